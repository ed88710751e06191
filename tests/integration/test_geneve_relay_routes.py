#!/usr/bin/env python3
"""geneve-relay where requests arrive by one link and the route back goes by another.

      client                          gateway                              internet
    10.78.0.2, fd78::2  -- bind -->  10.77.0.9, fd77::9
              \\                      93.184.0.9, 2a00:a::9  ------------  93.184.0.10, 2a00:a::10
               \\                       /
              10.80.0.2           10.79.0.1, fd79::1
                 ^                    v
                  \\---- detour <-----/

A rule of the gateway's drops whatever of the relay leaves by the link that the client's packets came by: an answer that
names the link which it was asked on never arrives. An answer that leaves the source address to the route has the one
towards the detour, and the client's socket, which is connected, does not take it.
"""

import itertools
import re

from harness import main
from harness.relay_case import OUTSIDE, OUTSIDE_SECOND, PORT, SECOND, RelayTest

CLIENT = ("10.78.0.2", "fd78::2")  # on no link: who sends to it asks a route
BACK = ("10.79.0.2", "fd79::2")    # the detour


class Routes(RelayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        net = cls.net
        net.namespace("detour")
        net.link("gateway", ["10.79.0.1/24", "fd79::1/64"], "detour", ["10.79.0.2/24", "fd79::2/64"])
        net.link("detour", ["10.80.0.1/24", "fd80::1/64"], "client", ["10.80.0.2/24", "fd80::2/64"])
        for name in ("client", "gateway", "detour"):
            for device in net.run(name, ["ls", "/proc/sys/net/ipv4/conf"]).stdout.split():
                net.sysctl(name, f"net/ipv4/conf/{device}/rp_filter", 0)
        net.sysctl("detour", "net.ipv4.ip_forward", 1)
        net.sysctl("detour", "net.ipv6.conf.all.forwarding", 1)
        for own, relay, by_detour, on in zip(CLIENT, SECOND, BACK, ("10.80.0.2", "fd80::2")):
            net.address("client", "lo", own)
            net.run("client", ["ip", "route", "add", relay, "dev", "to_gateway", "src", own])
            net.route("gateway", own, by_detour)
            net.route("detour", own, on)
        net.run("gateway", ["nft", "add table inet routes; add chain inet routes out "
                                   "{ type filter hook output priority 0; }; add rule inet routes out "
                                   f"oifname to_client udp sport {PORT} counter drop"])

    def sent_by(self, device):
        """Packets that the gateway has sent by that device."""
        lines = self.net.run("gateway", ["cat", "/proc/net/dev"]).stdout
        return int(re.search(rf"^\s*{device}:(.*)$", lines, re.M)[1].split()[9])

    def dropped_on_the_way(self):
        said = self.net.run("gateway", ["nft", "list chain inet routes out"]).stdout
        return int(re.search(r"counter packets (\d+)", said)[1])

    def test_answers_and_data_take_the_route_back_from_the_address_that_was_asked(self):
        """All ways between two families: connected sockets hear nothing from any other address."""
        self.relay()
        for near, far in itertools.product(SECOND, (*OUTSIDE, *OUTSIDE_SECOND)):
            with self.subTest(near=near, far=far):
                before = self.sent_by("to_detour")
                a, b = self.pair(near, far)
                self.assertEqual(a.socket.getsockname()[0], CLIENT[SECOND.index(near)])
                self.assert_carries_both_ways(a, b)
                self.assertGreaterEqual(self.sent_by("to_detour") - before, 6, "a challenge, and five packets")
        self.assertEqual(self.dropped_on_the_way(), 0, "nothing has left by the link that requests come by")

    def test_a_client_whose_route_back_changes_is_reached_by_the_new_one(self):
        """What is bound names no link: data goes on by whatever route there is."""
        self.relay()
        for near, own, back, other in zip(SECOND, CLIENT, BACK, ("10.79.0.3", "fd79::3")):
            with self.subTest(near=near):
                a, b = self.pair(near)
                self.net.address("detour", "to_gateway", other + ("/64" if ":" in other else "/24"))
                self.net.run("gateway", ["ip", "route", "replace", own, "via", other])
                self.addCleanup(self.net.run, "gateway", ["ip", "route", "replace", own, "via", back])
                self.assert_carries_both_ways(a, b)


if __name__ == "__main__":
    main()
