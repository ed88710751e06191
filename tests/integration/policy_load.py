"""Policy edits by the sqlite3 shell while udpgw clients keep every lane busy: is each edit's effect seen, and how soon?"""

import statistics
import threading
import time


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


def edits(policy, watcher, port, host, count, pace):
    """Denies and permits a port again, `count` transactions in all, one each `pace` seconds at most.

    Returns the seconds from COMMIT to effect of each; None for an effect that was never seen.
    """
    waits, row = [], None
    for _ in range(count):
        start = time.monotonic()
        if row is None:
            row = policy.insert("port_permits", ports=str(port), transport="udp", action="deny", priority=1)
        else:
            policy.delete("port_permits", row)
            row = None
        committed = time.monotonic()
        waits.append(None)
        while time.monotonic() - committed < 5:
            if (watcher.ask(2, (host, port), b"seen?", timeout=0.01) is None) == (row is not None):
                waits[-1] = time.monotonic() - committed
                break
            time.sleep(0.005)
        time.sleep(max(0.0, pace - (time.monotonic() - start)))
    if row is not None:
        policy.delete("port_permits", row)
    return waits


def summary(waits):
    seen = [wait for wait in waits if wait is not None]
    return (f"{len(waits)} transactions, {len(seen)} effects seen: median {statistics.median(seen) * 1000:.0f} ms, "
            f"longest {max(seen) * 1000:.0f} ms")
