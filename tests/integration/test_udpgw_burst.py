#!/usr/bin/env python3
"""Bursts in one write come back whole, and so do the largest datagrams."""

from harness import INTERNET, GatewayTest, UdpEcho, frame, main

KIB = 1024


class Burst(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.running = self.gateway(options={"client_buffer_bytes": 4 * KIB * KIB})

    def burst(self, count, size):
        """All frames of the burst in one write, on a forward that is not yet open."""
        stream = self.client(self.running)
        payloads = [number.to_bytes(8, "big") + bytes([number & 255]) * (size - 8) for number in range(count)]
        stream.write(b"".join(frame(7, (INTERNET[0], self.echo.port), payload) for payload in payloads))
        got = stream.receive(count, timeout=20)
        self.assertEqual(self.echo.received, count, "datagrams that reached the echo host")
        self.assertEqual(len(got), count, "echoes that came back")
        self.assertTrue(sorted(one.payload for one in got) == payloads, "each payload came back once, unchanged")
        self.assertEqual({(one.flags, one.conid, one.host, one.port) for one in got},
                         {(0, 7, INTERNET[0], self.echo.port)})

    def test_600_datagrams_of_64_bytes(self):
        self.burst(600, 64)

    def test_100_datagrams_of_1400_bytes(self):
        self.burst(100, 1400)

    def test_1000_datagrams_of_1000_bytes(self):
        self.burst(1000, 1000)

    def test_burst_over_many_forwards(self):
        stream = self.client(self.running)
        sent = {(conid, number) for conid in range(50) for number in range(20)}
        stream.write(b"".join(frame(conid, (INTERNET[0], self.echo.port), number.to_bytes(8, "big") + bytes(500))
                              for conid, number in sorted(sent, key=lambda one: one[1])))
        got = stream.receive(len(sent), timeout=20)
        came = {(one.conid, int.from_bytes(one.payload[:8], "big")) for one in got}
        self.assertEqual(sorted(sent - came), [])

    def test_largest_ipv4_datagram(self):
        stream = self.client(self.running)
        got = stream.ask(1, (INTERNET[0], self.echo.port), b"L" * 65507)
        self.assertTrue(got is not None and got.payload == b"L" * 65507)

    def test_largest_ipv6_payload_that_a_length_can_say(self):
        stream = self.client(self.running)
        got = stream.ask(1, (INTERNET[1], self.echo.port), b"L" * (65535 - 21))
        self.assertTrue(got is not None and got.payload == b"L" * (65535 - 21))

    def test_payload_that_no_datagram_can_carry_is_dropped_alone(self):
        stream = self.client(self.running)
        stream.send(1, (INTERNET[0], self.echo.port), b"X" * 65508)
        stream.send(1, (INTERNET[0], self.echo.port), b"X" * 65526)
        got = stream.ask(1, (INTERNET[0], self.echo.port), b"after")
        self.assertEqual(got and got.payload, b"after")
        self.assertEqual(self.echo.received, 1)

    def test_empty_datagram_goes_out_and_comes_back(self):
        stream = self.client(self.running)
        got = stream.ask(1, (INTERNET[0], self.echo.port), b"")
        self.assertEqual(got and got.payload, b"")


if __name__ == "__main__":
    main()
