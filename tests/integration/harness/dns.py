"""A real DNS server (dnsmasq) in a namespace, and as much of the DNS format as the tests need."""

import socket
import struct
import subprocess
import threading
from typing import NamedTuple

from .net import family_of

A, NS, CNAME, AAAA = 1, 2, 5, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


class Answer(NamedTuple):
    id: int
    rcode: int
    addresses: list
    recursion_available: bool


def query(name, kind=A, id=0x1234):
    """A DNS query for one name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">6H", id, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


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


def _skip_name(message, at):
    while message[at] != 0:
        if message[at] & 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1


class DnsServer:
    """dnsmasq on the given addresses, port 53. `records`: name -> list of addresses; a name covers its subdomains.

    Questions about `unanswered` are passed to that address, where nobody answers.
    """

    def __init__(self, net, namespace, addresses, records, port=53, unanswered=()):
        self._log = []
        argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                "--bind-interfaces", f"--port={port}", f"--listen-address={','.join(addresses)}", "--log-queries",
                "--log-facility=-", "--user=root", "--group=root", f"--pid-file=/run/dnsmasq.{addresses[0]}.pid",
                "--max-port=60999", "--cache-size=0"]
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
