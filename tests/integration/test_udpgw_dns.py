#!/usr/bin/env python3
"""DNS through udpgw: with the DNS flag to the gateway's resolvers, and as a plain forward to port 53."""

import os
import pathlib
import subprocess

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, answer, eventually, main, query
from harness.dns import AAAA
from harness.udpgw import DNS, IPV6, REBIND

RESOLVER, RESOLVER6 = "93.184.0.53", "2a00:a::53"
STATED, STATED6 = ("203.0.113.9", 53), ("2001:db8::9", 53)  # what the client asks; nothing lives there
RECORDS = {"a.test": ["198.51.100.7", "2001:db8::7"], "b.test": ["198.51.100.8"]}


class DnsFlag(GatewayTest):
    def setUp(self):
        self.dns = DnsServer(self.net, "internet", [RESOLVER, RESOLVER6], RECORDS)
        self.addCleanup(self.dns.stop)

    def ask(self, stream, name="a.test", conid=5, stated=STATED, flags=REBIND | DNS, **kind):
        got = stream.ask(conid, stated, query(name, **kind), flags)
        self.assertIsNotNone(got, "no answer")
        self.assertEqual((got.host, got.port), stated, "the client sees the address that it asked")
        return got

    def test_a_record_comes_back_from_the_stated_address(self):
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER]}))
        got = self.ask(stream)
        self.assertEqual(got.flags, 0)
        self.assertEqual(answer(got.payload).addresses, ["198.51.100.7"])

    def test_aaaa_record(self):
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER]}))
        self.assertEqual(answer(self.ask(stream, kind=AAAA).payload).addresses, ["2001:db8::7"])

    def test_ipv6_client_of_an_ipv4_resolver(self):
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER]}))
        got = self.ask(stream, stated=STATED6)
        self.assertEqual(got.flags, IPV6)
        self.assertEqual(answer(got.payload).addresses, ["198.51.100.7"])

    def test_ipv6_resolver(self):
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER6]}))
        self.assertEqual(answer(self.ask(stream).payload).addresses, ["198.51.100.7"])

    def test_stated_port_does_not_matter(self):
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER]}))
        self.ask(stream, stated=("203.0.113.9", 9999))

    def test_resolver_with_a_port(self):
        other = DnsServer(self.net, "internet", ["93.184.0.54"], {"a.test": ["198.51.100.9"]}, port=5353)
        self.addCleanup(other.stop)
        stream = self.client(self.gateway(options={"dns_resolvers": ["93.184.0.54:5353"]}))
        self.assertEqual(answer(self.ask(stream).payload).addresses, ["198.51.100.9"])

    def test_several_queries_of_one_forward(self):
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER]}))
        self.ask(stream)
        for number in range(20):
            got = self.ask(stream, ("a.test", "b.test")[number % 2], flags=DNS, id=number)
            self.assertEqual(answer(got.payload).id, number)

    def test_flag_is_ignored_on_an_open_forward(self):
        echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(echo.stop)
        stream = self.client(self.gateway(options={"dns_resolvers": [RESOLVER]}))
        there = (INTERNET[0], echo.port)
        self.assertIsNotNone(stream.ask(1, there, b"one"))
        got = stream.ask(1, there, b"two", DNS)
        self.assertEqual(got and got.payload, b"two", "still goes to the echo host")

    def test_payload_that_is_no_query_does_not_reach_the_resolver(self):
        gateway = self.gateway(options={"dns_resolvers": [RESOLVER]})
        stream = self.client(gateway)
        self.assertIsNone(stream.ask(1, STATED, b"not a query", DNS | REBIND, timeout=0.5))
        self.ask(stream, conid=2)

    def test_private_resolver_of_the_configuration_is_allowed(self):
        self.net.address("internet", "to_gateway", "10.99.0.53/24")
        self.net.address("gateway", "to_internet", "10.99.0.1/24")
        private = DnsServer(self.net, "internet", ["10.99.0.53"], {"a.test": ["198.51.100.10"]})
        self.addCleanup(private.stop)
        stream = self.client(self.gateway(options={"dns_resolvers": ["10.99.0.53"]}))
        self.assertEqual(answer(self.ask(stream).payload).addresses, ["198.51.100.10"])
        self.assertIsNone(stream.ask(2, ("10.99.0.53", 53), query("a.test"), timeout=0.5), "but not as a destination")


class PlainPort53(GatewayTest):
    def setUp(self):
        self.dns = DnsServer(self.net, "internet", [RESOLVER, RESOLVER6], RECORDS)
        self.addCleanup(self.dns.stop)

    def test_goes_to_the_address_that_the_client_named(self):
        stream = self.client(self.gateway(options={"dns_resolvers": ["93.184.0.54"]}))
        for number, server in enumerate((RESOLVER, RESOLVER6)):
            got = stream.ask(number, (server, 53), query("b.test"))
            self.assertIsNotNone(got)
            self.assertEqual((got.host, got.port), (server, 53))
            self.assertEqual(answer(got.payload).addresses, ["198.51.100.8"])


class SystemResolver(GatewayTest):
    """dns_resolvers = ["system"]: /etc/resolv.conf, which this test covers with a file of its own."""

    def setUp(self):
        place = pathlib.Path(os.path.realpath("/etc/resolv.conf"))
        if not place.exists():  # a link into /run, which is empty here
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        self.resolv_conf = pathlib.Path("/run/resolv.conf")
        self.resolv_conf.write_text(f"search example.test\nnameserver {RESOLVER6}\n")
        subprocess.run(["mount", "--bind", self.resolv_conf, place], check=True)
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        self.first = DnsServer(self.net, "internet", [RESOLVER, RESOLVER6], {"a.test": ["198.51.100.7"]})
        self.addCleanup(self.first.stop)
        self.second = DnsServer(self.net, "internet", ["93.184.0.54"], {"a.test": ["198.51.100.99"]})
        self.addCleanup(self.second.stop)

    def test_ipv6_nameserver_is_used_and_a_change_is_noticed(self):
        stream = self.client(self.gateway(options={"dns_resolvers": ["system"]}))
        got = stream.ask(1, STATED, query("a.test"), DNS | REBIND)
        self.assertIsNotNone(got)
        self.assertEqual(answer(got.payload).addresses, ["198.51.100.7"])

        self.resolv_conf.write_text("nameserver 93.184.0.54\n")

        def asked_the_other():
            reply = stream.ask(2, STATED, query("a.test"), DNS | REBIND, timeout=1)
            return reply is not None and answer(reply.payload).addresses == ["198.51.100.99"]

        self.assertTrue(eventually(asked_the_other, 15, pause=0.2), "resolv.conf is read again")


if __name__ == "__main__":
    main()
