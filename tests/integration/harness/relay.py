"""A client of geneve-relay, for one endpoint at a time: Geneve headers, disco envelopes and the handshake, on libsodium.

See plugins/geneve-relay/wire for the formats.
"""

import ctypes
import ctypes.util
import http.client
import json
import os
import socket
import struct

from .gateway import SLOW
from .net import family_of

MAGIC = b"TS\xf0\x9f\x92\xac"
DISCO, WIREGUARD = 0x7A11, 0x7A12
BIND, CHALLENGE, ANSWER = 4, 5, 6
KEY, NONCE, TAG = 32, 24, 16
SOL_UDP, UDP_SEGMENT = 17, 103  # linux/udp.h
QUIET = 0.4 * SLOW  # seconds after which nothing will come

_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
if _sodium.sodium_init() < 0:
    raise RuntimeError("libsodium does not work here")


class Keys:
    """A disco key pair."""

    def __init__(self):
        public, self._secret = ctypes.create_string_buffer(KEY), ctypes.create_string_buffer(KEY)
        _sodium.crypto_box_keypair(public, self._secret)
        self.public = public.raw

    def __str__(self):
        return "discokey:" + self.public.hex()

    def _shared(self, other):
        out = ctypes.create_string_buffer(KEY)
        if _sodium.crypto_box_beforenm(out, other, self._secret) != 0:
            raise ValueError("a key of low order")
        return out

    def seal(self, other, plain):
        """The envelope of `plain` for the owner of the public key `other`."""
        nonce, box = os.urandom(NONCE), ctypes.create_string_buffer(len(plain) + TAG)
        _sodium.crypto_box_easy_afternm(box, plain, ctypes.c_ulonglong(len(plain)), nonce, self._shared(other))
        return MAGIC + self.public + nonce + box.raw

    def open(self, envelope):
        """(sender, what the envelope holds)."""
        if not envelope.startswith(MAGIC) or len(envelope) < len(MAGIC) + KEY + NONCE + TAG:
            raise ValueError("no envelope")
        sender, rest = envelope[6:6 + KEY], envelope[6 + KEY:]
        nonce, box = rest[:NONCE], rest[NONCE:]
        plain = ctypes.create_string_buffer(len(box) - TAG)
        if _sodium.crypto_box_open_easy_afternm(plain, box, ctypes.c_ulonglong(len(box)), nonce,
                                                self._shared(sender)) != 0:
            raise ValueError("the box does not open")
        return sender, plain.raw


def geneve(vni, payload=b"", control=False, protocol=WIREGUARD, version=0):
    """A datagram with its Geneve header."""
    return (bytes([version << 6, 0x80 if control else 0]) + protocol.to_bytes(2, "big") + vni.to_bytes(3, "big") +
            b"\0" + payload)


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path, body, **headers):
    """(status, headers, text) of POST /v0/relay/endpoint at the Unix socket `path`."""
    connection = Unix(path)
    try:
        connection.request("POST", "/v0/relay/endpoint", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def allocate(path, left, right, token=None):
    """The endpoint of two Keys, as the relay says it in JSON, asked for with that token."""
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    status, _, text = ask(path, json.dumps({"DiscoKeys": [str(left), str(right)]}), **fields)
    if status != 200:
        raise RuntimeError(f"no endpoint: {status} {text}")
    return json.loads(text)


class RelayClient:
    """One client of an endpoint: a socket in a namespace, and keys.

    `connected`: the socket hears nobody but the address that it was bound to the relay by.
    """

    def __init__(self, net, namespace, host, port, keys=None, connected=True):
        self.keys = keys or Keys()
        self.relay = (host, port)
        self._net, self._namespace, self._connected = net, namespace, connected
        self._endpoint = None
        self._generation = 0
        self.open_socket()

    def open_socket(self):
        """A new socket, and so another port."""
        self.close()
        self.socket = self._net.socket(self._namespace, family_of(self.relay[0]), socket.SOCK_DGRAM)
        self.socket.settimeout(3)
        if self._connected:
            self.socket.connect(self.relay)

    def close(self):
        if hasattr(self, "socket"):
            self.socket.close()

    def of(self, endpoint):
        """From now on everything is about this endpoint."""
        self._endpoint = endpoint
        self.server = bytes.fromhex(endpoint["ServerDisco"].partition(":")[2])
        self.vni = endpoint["VNI"]
        keys = [bytes.fromhex(key.partition(":")[2]) for key in endpoint["ClientDisco"]]
        self.other = keys[1 - keys.index(self.keys.public)]
        return self

    def send_raw(self, datagram):
        self.socket.send(datagram) if self._connected else self.socket.sendto(datagram, self.relay)

    def send(self, payload, **header):
        self.send_raw(geneve(self.vni, payload, **header))

    def send_together(self, datagrams):
        """By one UDP_SEGMENT send: all but the last are of one size, and that is not larger. For who is connected."""
        self.socket.sendmsg([b"".join(datagrams)], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", len(datagrams[0])))])

    def receive(self):
        """The payload of the next datagram, behind its Geneve header; None when none comes."""
        try:
            return self.socket.recv(65536)[8:]
        except TimeoutError:
            return None

    def hears_nothing(self, seconds=QUIET):
        self.socket.settimeout(seconds)
        try:
            return self.receive() is None
        finally:
            self.socket.settimeout(3)

    def hears(self, payload):
        """Does that come, before nothing more does?"""
        self.socket.settimeout(QUIET)
        try:
            while (got := self.receive()) is not None:
                if got == payload:
                    return True
            return False
        finally:
            self.socket.settimeout(3)

    # ---- the handshake
    def message(self, kind, generation, challenge=bytes(32), vni=None, other=None):
        """The plain message of today's form."""
        return (bytes([kind, 0]) + (self.vni if vni is None else vni).to_bytes(4, "big") +
                generation.to_bytes(4, "big") + (self.other if other is None else other) + challenge)

    def control(self, plain, keys=None, **header):
        """A control packet with that in its box."""
        return geneve(self.vni, (keys or self.keys).seal(self.server, plain), control=True,
                      **{"protocol": DISCO, **header})

    def ask_to_bind(self):
        """Sends a Bind and returns the challenge's message."""
        self._generation += 1
        self.send_raw(self.control(self.message(BIND, self._generation)))
        answer = self.socket.recv(2000)
        sender, plain = self.keys.open(answer[8:])
        if sender != self.server or plain[0] != CHALLENGE or plain[2:6] != self.vni.to_bytes(4, "big"):
            raise RuntimeError(f"no challenge of the endpoint: {plain.hex()}")
        return plain

    def bind(self):
        """The whole handshake; the relay does not say that it is over."""
        challenge = self.ask_to_bind()
        self.send_raw(self.control(bytes([ANSWER]) + challenge[1:]))
        return self
