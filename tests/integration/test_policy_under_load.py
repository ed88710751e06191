#!/usr/bin/env python3
"""Row edits while udpgw clients check on every lane: no stall, and each edit in force within a second.

By hand, a thousand transactions over ten million names:

    GATEHOUSE_EDITS=1000 GATEHOUSE_PACE=0.06 GATEHOUSE_LIST=names.txt python3 -B test_policy_under_load.py
"""

import os

from harness import INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import SLOW
from policy_load import Pinger, edits, summary

EDITS = int(os.environ.get("GATEHOUSE_EDITS", "24"))
PACE = float(os.environ.get("GATEHOUSE_PACE", "0.1"))
LIST = os.environ.get("GATEHOUSE_LIST")
LANES = 2


class EditsUnderLoad(GatewayTest):
    def test_each_edit_is_in_force_within_a_second_and_nobody_waits(self):
        echo = UdpEcho(self.net, "internet", INTERNET)
        other = UdpEcho(self.net, "internet", INTERNET, port=echo.port + 1)
        self.addCleanup(echo.stop)
        self.addCleanup(other.stop)
        gateway = self.gateway(lanes=LANES, start=False)
        gateway.init_policy()
        if LIST:
            done = gateway.cli("policy", "import", "load", LIST)
            self.assertEqual(done.returncode, 0, done.stderr)
        gateway.start()
        pingers = [Pinger(self.client(gateway), (INTERNET[0], echo.port)) for _ in range(2 * LANES)]
        for pinger in pingers:
            pinger.start()
        before = gateway.json("status")["policy"]["generation"]
        waits = edits(gateway.policy, self.client(gateway), other.port, INTERNET[0], EDITS, PACE)
        for pinger in pingers:
            pinger.finish()
        print(f"{summary(waits)}; {sum(p.answers for p in pingers)} answers, "
              f"longest wait {max(p.longest for p in pingers) * 1000:.0f} ms", flush=True)
        self.assertNotIn(None, waits, "every effect is seen")
        self.assertLess(max(waits), 1.0 * SLOW)
        self.assertEqual(sum(pinger.lost for pinger in pingers), 0, "no answer is lost")
        self.assertLess(max(pinger.longest for pinger in pingers), 1.0 * SLOW, "no stall")
        self.assertGreaterEqual(gateway.json("status")["policy"]["generation"], before + EDITS)
        self.assertEqual(gateway.json("status")["state"], "ok")


if __name__ == "__main__":
    main()
