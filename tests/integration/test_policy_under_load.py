#!/usr/bin/env python3
"""Row edits while udpgw clients check on every lane: no stall, and each edit in force within a second.

By hand, a thousand transactions in a minute over ten million names:

    GATEHOUSE_EDITS=1000 GATEHOUSE_PACE=0.06 GATEHOUSE_LIST=names.txt python3 -B test_policy_under_load.py
"""

import math
import os
import time

from harness import INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import SLOW
from policy_load import Pinger, Prober, edit_addresses, summary, waits

EDITS = int(os.environ.get("GATEHOUSE_EDITS", "40"))
PACE = float(os.environ.get("GATEHOUSE_PACE", "0.06"))
LIST = os.environ.get("GATEHOUSE_LIST")
LANES = 2
LIMIT = 1.0 * SLOW  # seconds
# So many that an address is edited again only after the effect of its last edit is due.
ADDRESSES = [f"93.184.0.{100 + at}" for at in range(math.ceil(1.5 * LIMIT / PACE))]


class EditsUnderLoad(GatewayTest):
    def start(self):
        gateway = self.gateway(lanes=LANES, start=False)
        gateway.init_policy()
        if LIST:
            done = gateway.cli("policy", "import", "load", LIST, timeout=600)
            self.assertEqual(done.returncode, 0, done.stderr)
            print(done.stdout, end="", flush=True)
        return gateway.start(within=120 if LIST else 15)

    def echo(self, addresses, port):
        echo = UdpEcho(self.net, "internet", addresses, port=port)
        self.addCleanup(echo.stop)
        return port

    def test_each_edit_is_in_force_within_a_second_and_nobody_waits(self):
        for address in ADDRESSES:
            self.net.address("internet", "to_gateway", f"{address}/24")
        gateway = self.start()
        steady = (INTERNET[0], self.echo(INTERNET, 4000))
        changing = self.echo(ADDRESSES, 4001)
        pingers = [Pinger(self.client(gateway), steady) for _ in range(2 * LANES)]
        probers = [Prober(self.client(gateway), ADDRESSES, changing) for _ in range(LANES)]
        for thread in pingers + probers:
            thread.start()
        time.sleep(0.3)  # every flow is open
        edits = edit_addresses(gateway.policy, ADDRESSES, EDITS, PACE)
        end = edits[-1].begin + 1.2 * LIMIT
        time.sleep(max(0.0, end - time.monotonic()))
        for thread in pingers + probers:
            thread.finish()
        waited = waits(edits, probers, end)
        print(f"{summary(edits, waited)}; {sum(p.answers for p in pingers)} answers, "
              f"longest wait {max(p.longest for p in pingers) * 1000:.0f} ms", flush=True)
        self.assertNotIn(None, waited, "every effect is seen on every stream")
        self.assertLess(max(waited), LIMIT)
        self.assertEqual(sum(pinger.lost for pinger in pingers), 0, "no answer is lost")
        self.assertLess(max(pinger.longest for pinger in pingers), LIMIT, "no stall")
        self.assertTrue(gateway.policy_in_force())
        self.assertEqual(gateway.json("status")["state"], "ok")


if __name__ == "__main__":
    main()
