"""A TCP end in user space over a packet tunnel: enough of RFC 9293 to carry bytes both ways over losses."""

import time

from .tunnel import ACK, FIN, PSH, RST, SYN, TCP, tcp

RETRY = 0.2  # seconds without progress, then everything that is not acknowledged is sent again
SEGMENT, WINDOW = 1400, 60000
SUPER_PACKET = 5 * SEGMENT  # where the tunnel takes it in one piece


class TunnelTcp:
    """One connection to `remote`. The tunnel may be replaced at any time (`tunnel = ...`). One thread."""

    def __init__(self, tunnel, client, remote, sport, dport):
        self.tunnel, self.client, self.remote, self.ports = tunnel, client, remote, (sport, dport)
        self.received = bytearray()
        self.was_reset = self.has_ended = False
        self._isn, self._base = 1000, None  # _base: the sequence number of the first byte that comes
        self._to_send, self._sent, self._acked = b"", 0, 0  # the latter two are bytes of the first
        self._early = {}  # segments that came before what goes before them, by their place
        self._progress = time.monotonic()
        deadline = time.monotonic() + 10
        while self._base is None:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody answers the SYN")
            self._segment(SYN, self._isn, 0)
            self.pump(RETRY)
        self._acknowledge()

    def send(self, data):
        self._to_send += data
        self._push()

    @property
    def unacknowledged(self):
        return len(self._to_send) - self._acked

    def pump(self, seconds):
        """Takes what comes in that time, and sends again what is not acknowledged."""
        end = time.monotonic() + seconds
        while not self.was_reset and (left := end - time.monotonic()) > 0:
            packet = self.tunnel.receive(min(left, RETRY))
            if packet is not None and packet.protocol == TCP and packet.ports == self.ports[::-1]:
                self._take(packet)
            elif packet is None:
                if self._base is not None and time.monotonic() - self._progress > RETRY:
                    self._progress = time.monotonic()
                    self._acknowledge()  # so that the other end goes on, too
                    self._push(self._acked)
                if self.tunnel_is_over():
                    return

    def tunnel_is_over(self):
        try:
            self.tunnel.stream.settimeout(0)
            return self.tunnel.stream.recv(1, 2) == b""  # MSG_PEEK
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.tunnel.stream.settimeout(None)

    def _take(self, packet):
        if packet.flags & RST:
            self.was_reset = True
            return
        if packet.flags & SYN:
            self._base = (packet.seq + 1) & 0xFFFFFFFF
            return
        if self._base is None:
            return
        acked = (packet.ack - self._isn - 1) & 0xFFFFFFFF
        if self._acked < acked <= len(self._to_send):
            self._acked, self._progress = acked, time.monotonic()
            self._push()
        at = (packet.seq - self._base) & 0xFFFFFFFF
        data = packet.payload
        if data:
            if len(self.received) < at + len(data) and at < len(self.received) + WINDOW * 2:
                self._early[at] = data
            while (begin := next((one for one in self._early if one <= len(self.received)), None)) is not None:
                self.received += self._early.pop(begin)[len(self.received) - begin:]
                self._progress = time.monotonic()
            self._acknowledge()
        if packet.flags & FIN and at + len(data) == len(self.received):
            self.has_ended = True
            self._acknowledge()

    def _acknowledge(self):
        self._segment(ACK, self._isn + 1 + self._sent, self._next())

    def _next(self):
        return (self._base + len(self.received) + self.has_ended) & 0xFFFFFFFF

    def _push(self, begin=None):
        """What was not sent so far; from `begin` on once more."""
        end = min(len(self._to_send), self._acked + WINDOW // 4)
        step = SUPER_PACKET if self.tunnel.is_large else SEGMENT
        for at in range(self._sent if begin is None else begin, end, step):
            self._segment(ACK | PSH, self._isn + 1 + at, self._next(), self._to_send[at:min(at + step, end)])
        self._sent = max(self._sent, end)

    def _segment(self, flags, seq, ack, data=b""):
        packet = tcp(self.client, self.remote, *self.ports, seq & 0xFFFFFFFF, ack, flags, data)
        try:
            if len(data) > SEGMENT:
                self.tunnel.send_large(packet, segment=SEGMENT)
            else:
                self.tunnel.send(packet)
        except OSError:
            pass  # the tunnel is down: it is sent again
