#!/usr/bin/env python3
"""IPv6 destinations, and IPv4 ones in IPv6 clothes."""

from harness import INTERNET, GatewayTest, UdpEcho, main
from harness.udpgw import IPV6


class Ipv6(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.stream = self.client(self.gateway())

    def test_reply_has_the_ipv6_bit_and_the_address(self):
        got = self.stream.ask(0x0102, (INTERNET[1], self.echo.port), b"abc")
        self.assertIsNotNone(got)
        self.assertEqual((got.flags, got.conid, got.host, got.port, got.payload),
                         (IPV6, 0x0102, INTERNET[1], self.echo.port, b"abc"))

    def test_mapped_address_goes_out_as_ipv4_and_comes_back_as_given(self):
        mapped = "::ffff:" + INTERNET[0]
        got = self.stream.ask(3, (mapped, self.echo.port), b"mapped")
        self.assertIsNotNone(got)
        self.assertEqual((got.flags, got.host, got.payload), (IPV6, mapped, b"mapped"))
        self.assertEqual(self.echo.last_source(b"mapped")[0], "93.184.0.1")

    def test_mapped_loopback_is_denied_like_loopback(self):
        local = UdpEcho(self.net, "gateway", ["127.0.0.1", "::1"], port=4001)
        self.addCleanup(local.stop)
        for number, host in enumerate(("127.0.0.1", "::ffff:127.0.0.1", "::1", "::127.0.0.1", "0.0.0.0", "::",
                                       "64:ff9b::127.0.0.1", "2002:7f00:1::1")):
            self.stream.send(100 + number, (host, local.port), host.encode())
        self.assertIsNotNone(self.stream.ask(1, (INTERNET[0], self.echo.port), b"after"))
        self.assertEqual(local.received, 0)

    def test_gateways_own_addresses_are_denied(self):
        own = UdpEcho(self.net, "gateway", ["93.184.0.1", "2a00:a::1"], port=4001)
        self.addCleanup(own.stop)
        self.stream.send(100, ("93.184.0.1", own.port), b"own")
        self.stream.send(101, ("2a00:a::1", own.port), b"own")
        self.assertIsNotNone(self.stream.ask(1, (INTERNET[0], self.echo.port), b"after"))
        self.assertEqual(own.received, 0)


if __name__ == "__main__":
    main()
