#!/usr/bin/env python3
"""geneve-relay: what leaves the kernel when it may be there no longer, and how soon.

The topology is harness/relay_case.py's. What comes there, and stays: test_geneve_relay_kernel.py.
"""

import contextlib
import threading
import time

from harness import main
from harness.gateway import SLOW
from harness.relay import geneve
from harness.relay_case import API, PORT, KernelRelayTest
from harness.stopped_thread import StoppedThread

EVERY = 0.005  # seconds between packets
AT_ONCE = 1.0 * SLOW  # seconds that an edit may take
IP_AND_UDP = 28  # bytes of a packet that quotas count, too


class Stream:
    """Packets from one client to the other, one each few milliseconds, and when the last of them came."""

    def __init__(self, a, b):
        self._a, self._b, self._stop = a, b, threading.Event()
        self.heard_at, self.heard = 0.0, 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._b.socket.settimeout(EVERY)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._b.socket.settimeout(3)

    def _run(self):
        while not self._stop.is_set():
            with contextlib.suppress(ConnectionRefusedError):  # nobody listens just now
                self._a.send(b"streams")
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                self._b.socket.recv(2000)
                self.heard_at, self.heard = time.monotonic(), self.heard + 1


class Leaving(KernelRelayTest):
    def assert_stops(self, a, b, change, within=AT_ONCE):
        """What runs from a to b has ended so many seconds after change() began."""
        with Stream(a, b) as stream:
            self.assert_soon(lambda: stream.heard > 10, "it runs")
            began = time.monotonic()
            change()
            self.assert_soon(lambda: time.monotonic() > max(began, stream.heard_at) + 0.5 * SLOW, "it stops", 10)
            took = stream.heard_at - began
        print(f"ended after {max(took, 0):.3f} s", end=" ", flush=True)
        self.assertLess(took, within)

    def switch(self, gateway, verb):
        done = gateway.cli("plugin", verb, "geneve-relay")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # ---- the relay goes
    def test_a_plugin_that_is_switched_off(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        self.assert_stops(a, b, lambda: self.switch(gateway, "disable"), within=10 * SLOW)
        self.assert_soon(lambda: not self.has_program(), "no program is left")
        self.switch(gateway, "enable")
        self.assert_in_kernel(gateway, a, b)
        self.assertEqual(self.handshakes(gateway), 0, "it goes on without one")

    def test_what_a_lane_has_that_is_held_through_its_drain(self):
        """Its legs end with the second, and are in nobody's way, also when it goes on long after it was given up."""
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        held = StoppedThread.named(gateway.process.pid, "gh-gen", f"-{a.vni % 2}")
        self.addCleanup(held.resume)
        self.assert_stops(a, b, lambda: self.switch(gateway, "disable"), within=2 * SLOW)
        self.assert_soon(lambda: not gateway.json("status")["plugins"], "it is given up", timeout=30)
        self.assertFalse(self.carries(a, b))
        self.switch(gateway, "enable")
        self.assert_in_kernel(gateway, a, b)  # the VNI, in the next instance
        held.resume()
        self.assert_stops(a, b, lambda: gateway.policy.insert("admissions", plugin="geneve-relay", action="deny"))
        for one, other in ((a, b), (b, a)):
            self.assertFalse(self.carries(one, other), "not by what the former had put there")
        self.assertEqual(self.handshakes(gateway), 0)

    def test_a_gateway_that_is_stopped_and_started(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        self.assert_stops(a, b, gateway.stop, within=10 * SLOW)
        self.assertFalse(self.has_program())
        gateway.start()
        self.assert_in_kernel(gateway, a, b)
        self.assertEqual(self.handshakes(gateway), 0)

    def test_a_port_that_a_reload_takes_away_and_gives_again(self):
        """The kernel relays nothing that user space would not."""
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        self.assert_stops(a, b, lambda: self.assertTrue(self.listens(gateway, PORT + 1)))
        self.assert_soon(lambda: self.legs(gateway) == 0, "no leg is left")
        self.assertTrue(self.listens(gateway, PORT), "also while a lane may hold it still")
        self.assert_in_kernel(gateway, a, b)

    def listens(self, gateway, port):
        """Is it at that port from now on?"""
        plugins = self.plugins(fast_path="xdp")
        plugins["geneve-relay"]["listen"] = [f"udp:0.0.0.0:{port}", f"udp:[::]:{port}"]
        gateway.write_config(plugins)
        return gateway.cli("reload").returncode == 0

    @staticmethod
    def handshakes(gateway):
        return gateway.metric("gatehouse_plugin_geneve_relay_handshakes_total", step="challenged")

    # ---- whose it was has no right to it any more
    def test_what_a_revoked_token_had(self):
        gateway = self.relay_in_kernel(api={"address": f"unix:{API}", "auth": "token"})
        tokens = [gateway.json("token", "new", name)["token"] for name in ("alice", "bob")]
        self.assert_soon(gateway.policy_in_force, "the tokens are in force")
        others, (a, b) = (self.pair(token=token) for token in tokens)
        for pair in (others, (a, b)):
            self.assert_in_kernel(gateway, *pair)

        def revoke():
            self.assertEqual(gateway.json("token", "revoke", "bob", "--cut")["ended_sessions"], 1)

        self.assert_stops(a, b, revoke)
        self.assert_soon(lambda: self.legs(gateway) == 2, "the others' are left")
        self.assert_in_kernel(gateway, *others)

    def test_a_quota_a_rate_and_an_allowance_hold_for_what_the_kernel_had(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        size, quota, allowance = 500, 200_000, 250_000
        rates = {"rate_up": 20_000, "burst_up": 20_000, "rate_down": 20_000, "burst_down": 20_000}
        for name, cause, rules, free in (
                ("a rate", "rate", rates, 0),
                ("a rate behind an allowance", "rate",
                 {**rates, "unthrottled_up": allowance, "unthrottled_down": allowance}, allowance),
                ("a quota", "quota", {"quota_bytes": quota, "quota_period": "day"}, 0)):
            with self.subTest(name):
                self.assert_in_kernel(gateway, a, b)
                began, dropped = time.monotonic(), self.drops(gateway, cause)
                gateway.policy.traffic(**rules)
                self.assert_soon(lambda: self.legs(gateway) == 0, "it is user space's", timeout=2)
                self.assertLess(time.monotonic() - began, AT_ONCE)
                self.assert_soon(lambda: self.legs(gateway, "metered") == 2, "it is said why")
                before = time.monotonic()
                got = self.count_of(a, b, 1000, size)
                most = quota if cause == "quota" else free + 20_000 * (2 + time.monotonic() - before)
                self.assertGreater(got, max(10, free // (size + IP_AND_UDP)))
                self.assertLessEqual(got * (size + IP_AND_UDP), most)
                self.assert_soon(lambda: self.drops(gateway, cause) == dropped + 1000 - got, "the others are counted")
                gateway.policy.traffic(**dict.fromkeys(rules))

    @staticmethod
    def count_of(a, b, packets, size):
        """How many of so many packets come, of so many bytes of UDP payload each."""
        got = 0
        b.socket.settimeout(0.001)
        for number in range(packets + 200):
            if number < packets:
                a.send_raw(geneve(a.vni, bytes(size - 8)))
            with contextlib.suppress(TimeoutError):
                b.socket.recv(2000)
                got += 1
        b.socket.settimeout(3)
        return got


if __name__ == "__main__":
    main()
