"""A udpgw client: frames, a parser that takes the stream as it comes, and waiting for answers."""

import socket
import struct
import time
from typing import NamedTuple

from .net import family_of

KEEPALIVE, REBIND, DNS, IPV6 = 0x01, 0x02, 0x04, 0x08


class Frame(NamedTuple):
    """A frame from the gateway."""

    flags: int
    conid: int
    host: str
    port: int
    payload: bytes


def frame(conid, destination, payload=b"", flags=0):
    """One data frame as bytes. The IPv6 bit follows from the address."""
    host, port = destination
    family = family_of(host)
    if family == socket.AF_INET6:
        flags |= IPV6
    body = struct.pack("<BH", flags, conid) + socket.inet_pton(family, host) + struct.pack(">H", port) + payload
    return struct.pack("<H", len(body)) + body


def keepalive():
    return b"\x03\x00\x01\x00\x00"


def parse(data):
    """Every whole frame at the front of `data`, and the bytes left over."""
    frames, at = [], 0
    while len(data) - at >= 2:
        (length,) = struct.unpack_from("<H", data, at)
        if len(data) - at < 2 + length:
            break
        body = data[at + 2:at + 2 + length]
        at += 2 + length
        flags, conid = struct.unpack_from("<BH", body)
        size = 16 if flags & IPV6 else 4
        host = socket.inet_ntop(socket.AF_INET6 if flags & IPV6 else socket.AF_INET, body[3:3 + size])
        (port,) = struct.unpack_from(">H", body, 3 + size)
        frames.append(Frame(flags, conid, host, port, bytes(body[5 + size:])))
    return frames, data[at:]


class Udpgw:
    """One stream to the gateway. Give it a connected socket."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(30)
        self._rest = b""
        self._ready = []
        self.ended = False

    def send(self, conid, destination, payload=b"", flags=0):
        self.write(frame(conid, destination, payload, flags))

    def write(self, data):
        """Hands bytes to the stream as they are, in one write where the kernel takes them."""
        self.stream.sendall(data)

    def finish(self):
        """Half-closes: no more frames from here."""
        self.stream.shutdown(socket.SHUT_WR)

    def receive(self, count=1, timeout=5.0):
        """Up to `count` frames: fewer only if the time or the stream ended first."""
        deadline = time.monotonic() + timeout
        while len(self._ready) < count and not self.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.stream.settimeout(left)
            try:
                data = self.stream.recv(1 << 20)
            except TimeoutError:
                break
            except ConnectionResetError:
                data = b""
            self.ended = not data
            frames, self._rest = parse(self._rest + data)
            self._ready += frames
        self.stream.settimeout(30)
        taken, self._ready = self._ready[:count], self._ready[count:]
        return taken

    def ask(self, conid, destination, payload, flags=0, timeout=5.0):
        """Sends one frame and returns the next frame for its conid, or None."""
        self.send(conid, destination, payload, flags)
        return self.next_of(conid, timeout)

    def next_of(self, conid, timeout=5.0):
        """The next frame of that conid; frames of others that come first are dropped."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0 and not (self.ended and not self._ready):
            for got in self.receive(1, left):
                if got.conid == conid:
                    return got
        return None

    def wait_end(self, timeout=5.0):
        """True if the gateway closes the stream within the time."""
        deadline = time.monotonic() + timeout
        while not self.ended and (left := deadline - time.monotonic()) > 0:
            self.receive(len(self._ready) + 1, left)
        return self.ended

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
