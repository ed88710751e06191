"""The internet side: a UDP host that answers on several addresses, IPv4 and IPv6, and remembers who spoke."""

import selectors
import socket
import threading
import time
from collections import defaultdict, deque

from .net import family_of

SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
BUFFER = 64 << 20


class UdpEcho:
    """Sends every datagram back from the address that it came to. One thread; stop() ends it.

    `sources[payload[:8]]` are the (address, port) pairs that sent a payload with these first bytes, in order.
    """

    def __init__(self, net, namespace, addresses, port=4000, delay=0.0):
        self.port = port
        self.delay = delay       # seconds between a datagram and its echo
        self.silent = False      # take, count, do not answer
        self.received = 0
        self.sources = defaultdict(list)
        self._sockets = {}
        self._due = deque()
        self._selector = selectors.DefaultSelector()
        self._stopped = threading.Event()
        for address in addresses:
            one = net.socket(namespace, family_of(address), socket.SOCK_DGRAM)
            for force, plain in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
                try:
                    one.setsockopt(socket.SOL_SOCKET, force, BUFFER)
                except PermissionError:
                    one.setsockopt(socket.SOL_SOCKET, plain, BUFFER)
            one.bind((address, port))
            one.setblocking(False)
            self._sockets[address] = one
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def last_source(self, key):
        """The (address, port) that sent a payload with that beginning last."""
        return self.sources[key[:8]][-1]

    def send(self, address, to, payload):
        """Sends a datagram of its own from one of the addresses."""
        self._sockets[address].sendto(payload, to)

    def flood(self, address, to, count, size, burst=32, pause=0.0005):
        """Sends `count` datagrams, each beginning with its number, in bursts with a pause between them."""
        body = bytes(size - 8)
        for number in range(count):
            if number % burst == 0:
                time.sleep(pause)
            try:
                self._sockets[address].sendto(number.to_bytes(8, "big") + body, to)
            except BlockingIOError:
                time.sleep(pause)

    def _serve(self):
        while not self._stopped.is_set():
            ready = self._selector.select(self._pause())
            for key, _ in ready:
                self._drain(key.fileobj)
            while self._due and self._due[0][0] <= time.monotonic():
                _, one, payload, source = self._due.popleft()
                _send(one, payload, source)

    def _pause(self):
        return max(0.0, min(0.05, self._due[0][0] - time.monotonic())) if self._due else 0.05

    def _drain(self, one):
        for _ in range(256):
            try:
                payload, source = one.recvfrom(65536)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self.received += 1
            self.sources[payload[:8]].append(source[:2])
            if self.silent:
                continue
            if self.delay:
                self._due.append((time.monotonic() + self.delay, one, payload, source))
            else:
                _send(one, payload, source)

    def stop(self):
        self._stopped.set()
        self._thread.join(5)
        for one in self._sockets.values():
            one.close()


def _send(one, payload, source):
    try:
        one.sendto(payload, source)
    except (BlockingIOError, ConnectionRefusedError):
        pass
