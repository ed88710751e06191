"""A test case with the usual topology, and the way a test file runs.

      client                        gateway                              internet
    10.77.0.2/24  ------------  10.77.0.1/24
    fd77::2/64                  fd77::1/64
                                93.184.0.1/24  ------------  93.184.0.10, .11 (echo), .53, .54 (DNS) /24
                                2a00:a::1/64                 2a00:a::10, ::11, ::53, ::54 /64

The internet's addresses look public, since the default policy denies private and documentation ranges; they exist
in the test's own namespaces only.
"""

import concurrent.futures
import signal
import subprocess
import sys
import time
import unittest

from . import net as namespaces
from .gateway import SLOW, Gateway
from .net import Net

CLIENT = ("10.77.0.2", "fd77::2")
GATEWAY = ("10.77.0.1", "fd77::1")
INTERNET = ("93.184.0.10", "2a00:a::10")


class GatewayTest(unittest.TestCase):
    """Every test of a class shares the topology; a test starts the gateways that it wants."""

    @classmethod
    def setUpClass(cls):
        cls.net = Net()
        cls.addClassCleanup(cls.net.close)
        for name in ("client", "gateway", "internet"):
            cls.net.namespace(name)
        cls.net.link("client", ["10.77.0.2/24", "fd77::2/64"], "gateway", ["10.77.0.1/24", "fd77::1/64"])
        cls.net.link("gateway", ["93.184.0.1/24", "2a00:a::1/64"], "internet",
                     ["93.184.0.10/24", "93.184.0.11/24", "93.184.0.53/24", "93.184.0.54/24", "2a00:a::10/64",
                      "2a00:a::11/64", "2a00:a::53/64", "2a00:a::54/64"])

    def gateway(self, policy=None, ready=200, start=True, plugins=None, nofile=None, extra="", **udpgw):
        """A running gateway that is stopped, and held to a clean end, after the test.

        `policy(db)` edits policy.db before the start. Keyword arguments are keys of [plugin.udpgw]: `options={...}`.
        """
        if plugins is None:
            plugins = {"udpgw": {"listen": ["127.0.0.1:7300"], **udpgw}}
        gateway = Gateway(self.net, "gateway", plugins, nofile=nofile, extra=extra)
        self.addCleanup(self._report, gateway)
        self.addCleanup(gateway.stop)
        if policy:
            policy(gateway.init_policy())
        return gateway.start(ready) if start else gateway

    def _report(self, gateway):
        if self._outcome.result and any(test is self for test, _ in
                                        self._outcome.result.failures + self._outcome.result.errors):
            print(f"--- {self.id()}: the gateway's log, last lines\n{''.join(gateway.log[-60:])}", file=sys.stderr)

    def client(self, gateway, **where):
        """A udpgw stream that is closed after the test."""
        stream = gateway.udpgw(**where)
        self.addCleanup(stream.close)
        return stream

    def assert_soon(self, condition, what, timeout=5.0):
        self.assertTrue(eventually(condition, timeout), f"not within {timeout} s: {what}")

    def assert_says(self, process, words, timeout=5.0):
        """Waits for what a gateway or a client prints: a thread reads it, so it comes behind what the process did."""
        self.assertTrue(eventually(lambda: words in process.text(), timeout), f"not said: {words!r}\n{process.text()}")


def eventually(condition, timeout=5.0, pause=0.02):
    """Asks until the condition holds; its last value."""
    deadline = time.monotonic() + timeout * SLOW
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(pause)
    return value


def main(at_once=1):
    """Runs the test file: inside namespaces, with SIGTERM as an ordinary exit, 77 when every test was skipped.

    `at_once` > 1 is for tests that mostly wait: each runs in a process and in namespaces of its own.
    """
    if at_once > 1 and len(sys.argv) == 1:
        sys.exit(_run_apart(at_once))
    namespaces.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    program = unittest.main(module="__main__", exit=False, verbosity=2, failfast=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped and len(result.skipped) == result.testsRun:
        namespaces.skip("; ".join(sorted({reason for _, reason in result.skipped})))


def _run_apart(at_once):
    """Runs this file once for each of its tests; the exit status of all together."""
    cases = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    names = [test.id().removeprefix("__main__.") for case in cases for test in case]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        ends = list(pool.map(_run_alone, names))
    failed = [name for name, end in zip(names, ends) if end not in (0, namespaces.SKIPPED)]
    print(f"{len(names)} tests" + (f", failed: {', '.join(failed)}" if failed else ", OK"), flush=True)
    return 1 if failed else namespaces.SKIPPED if set(ends) == {namespaces.SKIPPED} else 0


def _run_alone(name):
    done = subprocess.run([sys.executable, "-B", sys.argv[0], name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=250)
    print(done.stdout, end="", flush=True)
    return done.returncode
