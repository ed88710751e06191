"""A packet-tunnel client without a device: it makes packets by hand, and reads what comes back."""

import select
import socket
import struct
import time
from typing import NamedTuple

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT4, CLIENT6 = "172.16.0.1", "fd26:b6a6:4454:310a::1"
DNS4, DNS6 = "10.0.0.2", "fd19:ca83:e6d5:1c44::2"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def raw(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def ip(source, destination, protocol, body, ttl=64, id=1, offset=0, more=False, df=False):
    """An IP packet. `offset` of a fragment is in bytes."""
    if ":" in source:
        next_header = protocol
        if offset or more:
            body = struct.pack(">BBHI", protocol, 0, offset | more, id) + body
            next_header = 44
        return struct.pack(">IHBB", 6 << 28, len(body), next_header, ttl) + raw(source) + raw(destination) + body
    flags = (0x4000 if df else 0) | (0x2000 if more else 0) | offset // 8
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), id, flags, ttl, protocol, 0) + raw(source) + raw(destination)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def summed(source, destination, protocol, body, at):
    """`body` with its checksum, which covers the addresses, at that offset."""
    pseudo = raw(source) + raw(destination) + struct.pack(">IHBB", len(body), 0, 0, protocol)
    sum = checksum(pseudo + body)
    if protocol == UDP and sum == 0:
        sum = 0xFFFF
    return body[:at] + struct.pack(">H", sum) + body[at + 2:]


def udp_body(source, destination, sport, dport, payload, sums=True):
    body = struct.pack(">4H", sport, dport, 8 + len(payload), 0) + payload
    return summed(source, destination, UDP, body, 6) if sums else body


def udp(source, destination, sport, dport, payload, sums=True):
    return ip(source, destination, UDP, udp_body(source, destination, sport, dport, payload, sums))


def tcp(source, destination, sport, dport, seq, ack, flags, payload=b""):
    body = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 64240, 0, 0) + payload
    return ip(source, destination, TCP, summed(source, destination, TCP, body, 16))


def echo_request(source, destination, id, seq, payload=b"ping"):
    if ":" in source:
        body = struct.pack(">BBHHH", 128, 0, 0, id, seq) + payload
        return ip(source, destination, ICMP6, summed(source, destination, ICMP6, body, 2))
    body = struct.pack(">BBHHH", 8, 0, 0, id, seq) + payload
    return ip(source, destination, ICMP, body[:2] + struct.pack(">H", checksum(body)) + body[4:])


class Packet(NamedTuple):
    """What a packet says; `body` is what follows the IP header."""

    version: int
    protocol: int
    source: str
    destination: str
    body: bytes
    whole: bytes
    offset: int
    more: bool
    segment: int = 0  # of a super-packet in a large frame; its transport checksum is partial

    @property
    def ports(self):
        return struct.unpack_from(">2H", self.body)

    @property
    def payload(self):
        """Of UDP, or of TCP."""
        return self.body[8:] if self.protocol == UDP else self.body[(self.body[12] >> 4) * 4:]

    @property
    def flags(self):
        return self.body[13]

    @property
    def seq(self):
        return struct.unpack_from(">I", self.body, 4)[0]

    @property
    def ack(self):
        return struct.unpack_from(">I", self.body, 8)[0]

    def sums_are_right(self):
        """Every checksum in it; of a fragment only the IP header's."""
        if self.version == 4 and checksum(self.whole[:20]) != 0:
            return False
        if self.offset or self.more:
            return True
        if self.protocol == ICMP:
            return checksum(self.body) == 0
        if self.protocol == UDP and self.version == 4 and self.body[6:8] == b"\0\0":
            return True
        pseudo = raw(self.source) + raw(self.destination) + struct.pack(">IHBB", len(self.body), 0, 0, self.protocol)
        return checksum(pseudo + self.body) == 0


def read(data):
    """The facts of a packet."""
    version = data[0] >> 4
    if version == 4:
        size = (data[0] & 15) * 4
        flags = struct.unpack_from(">H", data, 6)[0]
        return Packet(4, data[9], socket.inet_ntop(socket.AF_INET, data[12:16]),
                      socket.inet_ntop(socket.AF_INET, data[16:20]), data[size:], data, (flags & 0x1FFF) * 8,
                      bool(flags & 0x2000))
    protocol, body, offset, more = data[6], data[40:], 0, False
    if protocol == 44:
        protocol, word = body[0], struct.unpack_from(">H", body, 2)[0]
        offset, more, body = word & 0xFFF8, bool(word & 1), body[8:]
    return Packet(6, protocol, socket.inet_ntop(socket.AF_INET6, data[8:24]),
                  socket.inet_ntop(socket.AF_INET6, data[24:40]), body, data, offset, more)


def large_frame(packet, segment):
    """A super-packet as it stands on a stream with large frames."""
    return struct.pack(">HHH", 0, segment, len(packet)) + packet


class Refused(Exception):
    """The opening was answered by something else than 101."""

    def __init__(self, status, fields, body):
        super().__init__(status, body)
        self.status, self.fields, self.body = status, fields, body


class Tunnel:
    """A session's client on a connected stream. `features` is what it asks for; is_large: large frames hold."""

    def __init__(self, stream, session, token=None, host="gate.example", plugin="packet-tunnel", extra="",
                 features=None):
        self.stream, self.session = stream, session
        self._buffer = bytearray()
        request = (f"GET /{plugin} HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: {plugin}\r\n"
                   + (f"Session-ID: {session}\r\n" if session is not None else "")
                   + (f"Tunnel-Features: {features}\r\n" if features is not None else "")
                   + (f"Authorization: Bearer {token}\r\n" if token else "") + extra + "\r\n")
        stream.sendall(request.encode())
        while b"\r\n\r\n" not in self._buffer:
            chunk = stream.recv(65536)
            if not chunk:
                raise Refused(0, {}, bytes(self._buffer))
            self._buffer += chunk
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        status = int(lines[0].split()[1])
        if status != 101:
            while chunk := stream.recv(65536):
                rest += chunk
            raise Refused(status, fields, rest)
        self.fields, self.mtu = fields, int(fields["tunnel-mtu"])
        self.resumed = fields["session-resumed"] == "yes"
        self.is_large = fields.get("tunnel-features") == "large-frames"
        self._buffer = bytearray(rest)

    def send(self, *packets):
        self.stream.sendall(b"".join(struct.pack(">H", len(one)) + one for one in packets))

    def send_large(self, *packets, segment):
        """Super-packets, whatever is in them."""
        self.stream.sendall(b"".join(large_frame(one, segment) for one in packets))

    def _take(self):
        """The packet at the front of what has come, as (bytes, segment size); None: it is not whole."""
        head, segment = 2, 0
        if len(self._buffer) < 2:
            return None
        size = struct.unpack_from(">H", self._buffer)[0]
        if size == 0 and self.is_large:
            if len(self._buffer) < 6:
                return None
            head, (segment, size) = 6, struct.unpack_from(">HH", self._buffer, 2)
        if len(self._buffer) < head + size:
            return None
        packet = bytes(self._buffer[head:head + size])
        del self._buffer[:head + size]
        return packet, segment

    def receive(self, within=5.0):
        """The next packet; None when none comes, and when the stream has ended."""
        deadline = time.monotonic() + within
        while True:
            if (taken := self._take()) is not None:
                return read(taken[0])._replace(segment=taken[1])
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.stream], [], [], left)[0]:
                return None
            chunk = self.stream.recv(1 << 20)
            if not chunk:
                return None
            self._buffer += chunk

    def find(self, wanted, within=5.0):
        """The next packet that `wanted(packet)` wants; others are passed over."""
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            packet = self.receive(left)
            if packet is None:
                return None
            if wanted(packet):
                return packet
        return None

    def has_ended(self, within=5.0):
        """Does the gateway end the stream in that time? What comes until then is passed over."""
        self.stream.settimeout(within)
        try:
            while self.stream.recv(1 << 20):
                pass
            return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self):
        self.stream.close()
