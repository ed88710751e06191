"""Policy edits by the sqlite3 shell, one after the other at their own pace, and the flows that show when each is live.

Editing and watching know nothing of one another but the time: an edit never waits for the effect of another.
"""

import statistics
import struct
import threading
import time
from typing import NamedTuple

from harness.udpgw import frame

ROUND = 0.02  # seconds between two probes of one address: what a measured time may be too long by


class Edit(NamedTuple):
    """One transaction, which denies an address or permits it again."""

    at: int         # the address's place
    denies: bool
    begin: float    # when the shell was started
    end: float      # when it had ended


class Pinger(threading.Thread):
    """Asks the echo over one stream without a pause; remembers the longest wait for an answer."""

    def __init__(self, stream, there):
        super().__init__(daemon=True)
        self.stream, self.there = stream, there
        self.answers, self.lost, self.longest = 0, 0, 0.0
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            start = time.monotonic()
            if self.stream.ask(1, self.there, b"ping", timeout=2) is None:
                self.lost += 1
            else:
                self.answers += 1
            self.longest = max(self.longest, time.monotonic() - start)
            time.sleep(0.001)

    def finish(self):
        self.done.set()
        self.join(10)


class Prober(threading.Thread):
    """Sends a datagram to each address over one stream, round after round, and remembers which ones were answered."""

    def __init__(self, stream, addresses, port):
        super().__init__(daemon=True)
        self.stream, self.addresses, self.port = stream, addresses, port
        self.sent = []                               # by round: when
        self.answered = [{} for _ in addresses]      # by address: round -> when its answer was there
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            payload = struct.pack(">I", len(self.sent))
            self.sent.append(time.monotonic())
            self.stream.write(b"".join(frame(at, (address, self.port), payload)
                                       for at, address in enumerate(self.addresses)))
            while (left := self.sent[-1] + ROUND - time.monotonic()) > 0:
                for got in self.stream.receive(len(self.addresses), left):
                    self.answered[got.conid][struct.unpack(">I", got.payload)[0]] = time.monotonic()

    def finish(self):
        self.done.set()
        self.join(10)

    def effect(self, edit, until):
        """When this stream first met the edit, no later than `until`; None if it did not.

        Denied: from the first datagram on that is not answered, nor any after it. Permitted: the first answer.
        """
        answered = self.answered[edit.at]
        rounds = [number for number, sent in enumerate(self.sent) if edit.begin <= sent < until]
        if not edit.denies:
            return min((answered[number] for number in rounds if number in answered), default=None)
        unanswered = None
        for number in reversed(rounds):
            if number in answered:
                break
            unanswered = self.sent[number]
        return unanswered


def edit_addresses(policy, addresses, count, pace):
    """`count` transactions, one begun each `pace` seconds: one address after the other is denied, then permitted again.

    Each is a shell of its own, and the shell's autocommit its transaction.
    """
    edits, begin = [], time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number * pace - time.monotonic()))
        turn, at = divmod(number, len(addresses))
        start = time.monotonic()
        if turn % 2 == 0:
            policy.sql("INSERT INTO port_permits (destination, action, priority) "
                       f"VALUES ('{addresses[at]}/32', 'deny', 1);")
        else:
            policy.sql(f"DELETE FROM port_permits WHERE destination = '{addresses[at]}/32';")
        edits.append(Edit(at, turn % 2 == 0, start, time.monotonic()))
    return edits


def waits(edits, probers, end):
    """The seconds from the start of each edit's shell to its effect on the last stream; None where one never saw it."""
    out, until = [], {}
    for edit in reversed(edits):
        seen = [prober.effect(edit, until.get(edit.at, end)) for prober in probers]
        out.append(None if None in seen else max(seen) - edit.begin)
        until[edit.at] = edit.begin
    return out[::-1]


def summary(edits, waited):
    seen = [wait for wait in waited if wait is not None]
    seconds = edits[-1].end - edits[0].begin
    shells = statistics.median(edit.end - edit.begin for edit in edits)
    return (f"{len(edits)} transactions in {seconds:.1f} s ({shells * 1000:.0f} ms each), {len(seen)} effects seen: "
            f"median {statistics.median(seen) * 1000:.0f} ms, longest {max(seen) * 1000:.0f} ms")
