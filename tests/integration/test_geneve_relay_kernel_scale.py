#!/usr/bin/env python3
"""geneve-relay with a hundred thousand legs in the kernel, which one row denies: within the second none is left there.

The topology is harness/relay_case.py's. The many are programs/relay_many_legs.cpp.
"""

import json
import statistics
import subprocess
import sys
import time

from harness import GATEWAY, main
from harness.gateway import BUILD, SLOW
from harness.relay_case import API, PORT, KernelRelayTest

ENDPOINTS = 50_000 if SLOW == 1 else 2_000
AT_ONCE = 1.0 * SLOW  # seconds that an edit may take


class Scale(KernelRelayTest):
    def many_in_kernel(self):
        """A gateway, all legs of whose endpoints are in the kernel."""
        gateway = self.relay_in_kernel(
            most_endpoints=ENDPOINTS + 100, bind_lifetime_seconds=600, steady_lifetime_seconds=0,
            handshakes_per_second_of_a_source=0, policy=lambda db: [db.traffic(scope=scope, concurrent_sessions=0) for scope in ("session", "identity")])
        many = self.net.popen("client", [str(BUILD / "bin" / "relay_many_legs"), f"unix:{API}", f"{GATEWAY[0]}:{PORT}",
                                         str(ENDPOINTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(many.communicate)  # its stdin ends, and so does it
        told = json.loads(many.stdout.readline() or "{}")
        self.assertEqual(told.get("endpoints"), ENDPOINTS, told)
        self.assert_soon(lambda: self.legs(gateway) == 2 * ENDPOINTS, "all are in the kernel", timeout=30)
        print(told, file=sys.stderr)
        return gateway

    def seconds_until(self, gateway, legs, change):
        """From the beginning of change() until so many legs are in the kernel."""
        began = time.monotonic()
        change()
        self.assert_soon(lambda: self.legs(gateway) == legs, f"{legs} legs are in the kernel", timeout=30)
        return time.monotonic() - began

    def test_what_one_row_denies_leaves_the_kernel_within_the_second(self):
        gateway = self.many_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        tries = []
        while len(tries) < 3:
            rows = []
            out = self.seconds_until(gateway, 0, lambda: rows.append(gateway.policy.insert(
                "admissions", plugin="geneve-relay", action="deny")))
            self.assert_dropped(gateway, a, b, "denied")
            back = self.seconds_until(gateway, 2 * ENDPOINTS + 2,
                                      lambda: gateway.policy.delete("admissions", rows[0]))
            tries.append((out, back))
        self.assert_in_kernel(gateway, a, b)
        for out, back in tries:
            print(f"{2 * ENDPOINTS} legs: out of the kernel {out:.3f} s after the edit began, back {back:.3f} s after it",
                  file=sys.stderr)
        self.assertLess(statistics.median(out for out, _ in tries), AT_ONCE)


if __name__ == "__main__":
    main()
