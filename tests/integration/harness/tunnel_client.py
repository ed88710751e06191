"""gatehouse-tunnel in a namespace: starts it, reads what it says, ends it."""

import pathlib
import signal
import subprocess
import threading

from .case import eventually
from .gateway import BUILD, SLOW

PROGRAM = BUILD / "bin" / "gatehouse-tunnel"
RESOLV_CONF = "nameserver 192.0.2.53\nsearch example.org\n"


class TunnelClient:
    """One process. Its resolv.conf is a file of its own under /run, which is the test's own tmpfs."""

    count = 0

    def __init__(self, test, *words, namespace="client", dns=True, resolv_conf=None, before=(), **popen):
        TunnelClient.count += 1
        self.resolv_conf = resolv_conf or pathlib.Path(f"/run/resolv-{TunnelClient.count}.conf")
        if not self.resolv_conf.exists():
            self.resolv_conf.write_text(RESOLV_CONF)
        own = ["--resolv-conf", str(self.resolv_conf)] if dns else ["--no-dns"]
        self.lines = []
        self.process = test.net.popen(namespace, [*before, str(PROGRAM), *words, *own, "--verbose"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                                      **popen)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._test = test
        test.addCleanup(self.close)

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def text(self):
        return "".join(list(self.lines))

    def said(self, words, count=1):
        return self.text().count(words) >= count

    def wait_for(self, words, count=1, within=10.0):
        """Until it has said that so often."""
        eventually(lambda: self.said(words, count) or self.process.poll() is not None, within)
        how = "it is running" if self.process.poll() is None else "it has ended"
        self._test.assertTrue(self.said(words, count), f"`{words}` is not in what it says ({how}):\n{self.text()}")
        return self

    def connected(self, count=1, within=10.0):
        return self.wait_for("connected to", count, within)

    def wait(self, within=10.0):
        """Its exit status."""
        status = self.process.wait(within * SLOW)
        self._reader.join(5)
        return status

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        return self.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stderr.close()
