#!/usr/bin/env python3
"""Whatever the kernel delivers to the gateway's host is out of reach, whether an interface lists it or only a route."""

import time

from harness import INTERNET, GatewayTest, UdpEcho, main

REMOTE = ("198.51.100.7", "2a00:b::7")  # hosts of the internet, until a local route takes them over
LOCAL = ("198.51.100.0/24", "2a00:b::/64")
NAT64 = "2a00:a:0:0:64::/96"
LIMIT = 1.0  # seconds until a route is in force


class OwnAddresses(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.net.sysctl("gateway", "net.ipv6.ip_nonlocal_bind", 1)  # a service at an address that only a route names
        for host in REMOTE:
            cls.net.address("internet", "lo", host + ("/128" if ":" in host else "/32"))
        cls.net.route("gateway", "198.51.100.0/23", INTERNET[0])
        cls.net.route("gateway", "2a00:b::/48", INTERNET[1])
        for host in ("2a00:a::64:0:7f00:1", "2a00:a::64:0:5db8:a"):
            cls.net.address("internet", "to_gateway", host + "/64")

    def setUp(self):
        self.running = self.gateway(
            policy=lambda db: db.insert("port_permits", destination="198.51.100.0/24", priority=1))
        self.stream = self.client(self.running)

    def route(self, *words, family="-4"):
        self.net.run("gateway", ["ip", family, "route", *words])

    def answers(self, conid, there):
        return self.stream.ask(conid, there, b"ping", timeout=0.1) is not None

    def explained(self, host, port):
        return self.running.cli("policy", "explain", "--plugin", "udpgw", "udp",
                                f"[{host}]:{port}" if ":" in host else f"{host}:{port}").stdout

    def test_local_route_takes_addresses_out_of_reach_within_a_second(self):
        far = UdpEcho(self.net, "internet", REMOTE)
        self.addCleanup(far.stop)
        for conid, (host, net) in enumerate(zip(REMOTE, LOCAL), 1):
            with self.subTest(net):
                there, family = (host, far.port), "-6" if ":" in host else "-4"
                self.assertTrue(self.answers(conid, there), "a host of the internet")
                self.assertIn("hard denies     pass", self.explained(*there))
                self.route("add", "local", net, "dev", "lo", family=family)
                begin = time.monotonic()
                own = UdpEcho(self.net, "gateway", [host], port=far.port)  # a service of the gateway's host
                try:
                    self.assert_soon(lambda: not self.answers(conid, there), "denied")
                    self.assertLess(time.monotonic() - begin, LIMIT + 0.1, "with the last wait for an answer")
                    self.assertIn("one of the gateway's own addresses", self.explained(*there))
                    reached = own.received
                    self.assertFalse(self.answers(conid, there), "a flow that ran is cut")
                    self.assertFalse(self.answers(100 + conid, there), "a new one is not let through")
                    self.assertEqual(own.received, reached)
                finally:
                    own.stop()
                    self.route("delete", "local", net, "dev", "lo", family=family)
                self.assert_soon(lambda: self.answers(conid, there), "within reach again", timeout=LIMIT)

    def test_routes_of_other_tables_and_other_kinds_count_too(self):
        far = UdpEcho(self.net, "internet", REMOTE)
        self.addCleanup(far.stop)
        there = (REMOTE[0], far.port)
        for words in (("local", LOCAL[0], "dev", "lo", "table", "77"),
                      ("broadcast", REMOTE[0], "dev", "to_internet", "table", "77")):
            with self.subTest(words[0]):
                self.assert_soon(lambda: self.answers(1, there), "before")
                self.route("add", *words)
                self.assert_soon(lambda: not self.answers(1, there), "denied", timeout=LIMIT)
                self.assertIn("deny: hard_deny", self.explained(*there))
                self.route("delete", *words)

    def test_route_that_takes_a_local_ones_place_gives_the_addresses_back(self):
        far = UdpEcho(self.net, "internet", REMOTE)
        self.addCleanup(far.stop)
        for conid, (host, net, via) in enumerate(zip(REMOTE, LOCAL, INTERNET), 1):
            with self.subTest(net):
                there, family = (host, far.port), "-6" if ":" in host else "-4"
                self.route("add", "local", net, "dev", "lo", "table", "77", family=family)
                self.assert_soon(lambda: not self.answers(conid, there), "denied", timeout=LIMIT)
                self.route("replace", net, "via", via, "table", "77", family=family)
                self.assert_soon(lambda: self.answers(conid, there), "within reach again", timeout=LIMIT)
                self.route("delete", net, "table", "77", family=family)

    def test_transparent_proxys_route_of_everything_denies_nothing(self):
        far = UdpEcho(self.net, "internet", REMOTE)
        self.addCleanup(far.stop)
        self.assertTrue(self.answers(1, (REMOTE[0], far.port)))
        before = self.running.json("status")["policy"]["generation"]
        for family, everything in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
            self.route("add", "local", everything, "dev", "lo", "table", "100", family=family)
            self.addCleanup(self.route, "delete", "local", everything, "dev", "lo", "table", "100", family=family)
        self.route("add", "local", "198.51.101.0/24", "dev", "lo")
        self.addCleanup(self.route, "delete", "local", "198.51.101.0/24", "dev", "lo")
        self.assert_soon(lambda: self.running.json("status")["policy"]["generation"] > before, "routes were read")
        self.assertTrue(self.answers(1, (REMOTE[0], far.port)))

    def test_nat64_prefix_of_the_network_is_unwrapped(self):
        hosts = ("2a00:a::64:0:7f00:1", "2a00:a::64:0:5db8:a")  # 127.0.0.1 and 93.184.0.10 behind the prefix
        far = UdpEcho(self.net, "internet", hosts)
        self.addCleanup(far.stop)
        for conid, host in enumerate(hosts, 1):
            self.assertTrue(self.answers(conid, (host, far.port)), host)
        self.running.drop_in(f'[gateway]\nnat64_prefixes = ["{NAT64}"]\n')
        self.assertEqual(self.running.cli("reload").returncode, 0)
        self.assert_soon(lambda: not self.answers(1, (hosts[0], far.port)), "loopback behind NAT64", timeout=LIMIT)
        self.assertTrue(self.answers(2, (hosts[1], far.port)), "a public address behind NAT64")
        text = self.explained(hosts[0], far.port)
        self.assertIn("NAT64 of this network (RFC 6052): judged as 127.0.0.1", text)
        self.assertIn("deny: hard_deny", text)


if __name__ == "__main__":
    main(at_once=4)
