"""A real DNS server (dnsmasq) in a namespace, and as much of the DNS format as the tests need."""

import socket
import struct
import subprocess
import threading
from typing import NamedTuple

from .net import family_of

A, NS, CNAME, SOA, AAAA, HTTPS = 1, 2, 5, 6, 28, 65
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


class Answer(NamedTuple):
    id: int
    rcode: int
    addresses: list
    recursion_available: bool


def wire_name(labels):
    """Labels as a name in a message; each may have any byte."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(name, kind=A, id=0x1234):
    """A DNS query for one name, which is text, or labels as bytes."""
    labels = [label.encode() for label in name.rstrip(".").split(".")] if isinstance(name, str) else name
    return struct.pack(">6H", id, 0x0100, 1, 0, 0, 0) + wire_name(labels) + struct.pack(">2H", kind, 1)


def answer(message):
    """Reads a response: id, code and the addresses in its answer section."""
    id, flags, questions, answers, _, _ = struct.unpack_from(">6H", message)
    at = 12
    for _ in range(questions):
        at = _skip_name(message, at) + 4
    addresses = []
    for _ in range(answers):
        at = _skip_name(message, at)
        kind, _, _, size = struct.unpack_from(">2HIH", message, at)
        at += 10
        if kind in (A, AAAA):
            addresses.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, message[at:at + size]))
        at += size
    return Answer(id, flags & 15, addresses, bool(flags & 0x80))


def negative_ttl(message):
    """How long a resolver may remember that there is nothing (RFC 2308, 5), in seconds; None without a SOA record."""
    _, _, questions, answers, authorities, _ = struct.unpack_from(">6H", message)
    at = 12
    for _ in range(questions):
        at = _skip_name(message, at) + 4
    for _ in range(answers + authorities):
        at = _skip_name(message, at)
        kind, _, ttl, size = struct.unpack_from(">2HIH", message, at)
        at += 10 + size
        if kind == SOA:
            return min(ttl, struct.unpack_from(">I", message, at - 4)[0])
    return None


def _skip_name(message, at):
    while message[at] != 0:
        if message[at] & 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1


class DnsServer:
    """dnsmasq on the given addresses, port 53. `records`: name -> list of addresses; a name covers its subdomains.

    Questions about `unanswered` are passed to that address, where nobody answers. `options` are dnsmasq's own.
    """

    def __init__(self, net, namespace, addresses, records, port=53, unanswered=(), options=()):
        self._log = []
        argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                "--bind-interfaces", f"--port={port}", f"--listen-address={','.join(addresses)}", "--log-queries",
                "--log-facility=-", "--user=root", "--group=root", f"--pid-file=/run/dnsmasq.{addresses[0]}.{port}.pid",
                "--max-port=60999", *([] if any("cache-size" in one for one in options) else ["--cache-size=0"]), *options]
        argv += [f"--address=/{name}/{one}" for name, all in records.items() for one in all]
        argv += [f"--server=/{name}/{server}" for name, server in dict(unanswered).items()]
        self._process = net.popen(namespace, argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        self._started = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._started.wait(5) or self._process.poll() is not None:
            raise RuntimeError("dnsmasq did not start:\n" + "".join(self._log))

    def _read(self):
        for line in self._process.stderr:
            self._log.append(line)
            if "started" in line:
                self._started.set()
        self._started.set()

    def queries(self, name):
        """How often that name was asked here."""
        return sum(f"] {name} from " in line for line in list(self._log))

    def stop(self):
        self._process.terminate()
        self._process.wait(5)
        self._reader.join(5)


class SilentServer:
    """A socket that takes datagrams and never answers; counts them."""

    def __init__(self, net, namespace, address, port=53):
        self._socket = net.socket(namespace, family_of(address), socket.SOCK_DGRAM)
        self._socket.bind((address, port))

    def received(self):
        """The datagrams that came since the last call."""
        datagrams = []
        self._socket.setblocking(False)
        while True:
            try:
                datagrams.append(self._socket.recv(65536))
            except BlockingIOError:
                return datagrams

    def stop(self):
        self._socket.close()
