#!/usr/bin/env python3
"""geneve-relay with its way in the kernel: what the gateway puts there, takes away, and says of it.

The topology is harness/relay_case.py's. What the program does with a packet: test_geneve_relay_fast_path.py.
"""

import signal

from harness import GATEWAY, main
from harness.relay_case import KERNEL, OUTSIDE, KernelRelayTest
from harness.stopped_thread import StoppedThread


class Kernel(KernelRelayTest):
    # ---- nobody turns any more
    def test_what_a_stopped_gateway_has_put_into_the_kernel_ends_with_the_second(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        gateway.process.send_signal(signal.SIGSTOP)
        try:
            self.assert_soon(lambda: not self.carries(a, b), "its legs are user space's", timeout=2)
            self.assertFalse(self.carries(b, a))
        finally:
            gateway.process.send_signal(signal.SIGCONT)
        self.assert_in_kernel(gateway, a, b)
        self.assertGreater(gateway.metric(KERNEL + "packets_total", outcome="silent_lane"), 0)

    def test_a_lane_that_hangs_relays_nothing_in_the_kernel_and_the_next_instance_does(self):
        gateway = self.relay_in_kernel()
        gateway.drop_in("[gateway]\nlane_timeout_seconds = 3\n")
        self.assertEqual(gateway.cli("reload").returncode, 0)
        pairs = [self.pair()]
        while len({a.vni % 2 for a, _ in pairs}) < 2:  # one of each lane
            pairs.append(self.pair())
        (a, b), others = pairs[-1], pairs[0]
        for pair in (pairs[-1], others):
            self.assert_in_kernel(gateway, *pair)
        self.addCleanup(StoppedThread.named(gateway.process.pid, "gh-gen", f"-{a.vni % 2}").resume)
        self.assert_soon(lambda: not self.carries(a, b), "it has gone silent", timeout=2)
        self.assertTrue(self.carries(*others), "the other lane's goes on")

        def made_anew():
            (plugin,) = gateway.json("status")["plugins"]
            return plugin["restarts"] == 1 and plugin["state"] == "running"

        self.assert_soon(made_anew, "the plugin is made anew", timeout=20)
        for pair in (pairs[-1], others):
            self.assert_in_kernel(gateway, *pair)
        self.assertNotIn("another gateway relays there", gateway.text())

    # ---- room
    def test_more_room_live_is_more_room_in_the_kernel(self):
        gateway = self.relay_in_kernel(most_endpoints=1)
        pairs = [self.pair()]
        self.assert_in_kernel(gateway, *pairs[0])
        gateway.write_config(self.plugins(fast_path="xdp", most_endpoints=3))
        self.assertEqual(gateway.cli("reload").returncode, 0)
        self.assert_in_kernel(gateway, *pairs[0])
        pairs += [self.pair() for _ in range(2)]
        for pair in pairs:
            self.assert_in_kernel(gateway, *pair)
        self.assertEqual((self.legs(gateway, "there"), self.legs(gateway, "full")), (6, 0))
        self.assertEqual(gateway.metric(KERNEL + "refused_total"), 0)

    # ---- what is seen
    def test_it_is_seen_what_the_kernel_relays_and_why_not(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        both = "first client: bound, relayed by {0}. Second client: bound, relayed by {0}"
        self.assertEqual(self.words(gateway, a), both.format("the kernel"))
        self.assertEqual(self.legs(gateway, "there"), 2)
        self.assertGreaterEqual(gateway.metric(KERNEL + "bytes_total"), 10 * (8 + 16))

        mixed, _ = self.pair(GATEWAY[0], OUTSIDE[1])
        self.assertEqual(self.words(gateway, mixed),
                         both.format("user space: the clients' addresses are of two families, or have a zone"))
        self.assertEqual(self.legs(gateway, "addresses"), 2)
        self.assertEqual(gateway.metric(KERNEL + "refused_total", cause="addresses"), 2)

        gateway.policy.traffic(rate_up=1_000_000, burst_up=1_000_000)
        self.assert_soon(lambda: self.words(gateway, a) == both.format("user space: a rule meters it"), "it is metered")
        self.assertEqual([self.legs(gateway, state) for state in ("there", "metered", "addresses")], [0, 4, 0])
        gateway.policy.traffic(rate_up=None, burst_up=None)
        self.assert_soon(lambda: self.words(gateway, a) == both.format("the kernel"), "it is not metered any more")


if __name__ == "__main__":
    main()
