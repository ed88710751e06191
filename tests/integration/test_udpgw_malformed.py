#!/usr/bin/env python3
"""What does not belong in the stream: skipped exactly, counted, and where it has no end the stream closes with a reason."""

from harness import INTERNET, GatewayTest, UdpEcho, frame, main
from harness.udpgw import keepalive

SHORT = bytes.fromhex("02000000")            # too short for a header
CUT = bytes.fromhex("08000005007f0000010000")[:10]  # IPv4 address one byte short
SMALL6 = bytes.fromhex("090008 0500 7f000001 0035")  # IPv6 flag, IPv4-sized body
EMPTY = bytes.fromhex("0000")
TUN2PROXY_KEEPALIVE = bytes.fromhex("0003010000")  # big-endian length: the other protocol of that name


class Malformed(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)
        self.running = self.gateway()

    def good(self, text=b"good"):
        return frame(1, self.there, text)

    def test_each_kind_is_skipped_exactly(self):
        stream = self.client(self.running)
        for bad in (SHORT, CUT, SMALL6, EMPTY):
            stream.write(self.good() + bad + self.good())
            self.assertEqual([one.payload for one in stream.receive(2)], [b"good", b"good"], bad.hex(" "))

    def test_63_in_a_row_are_borne(self):
        stream = self.client(self.running)
        for _ in range(3):
            stream.write(self.good() + SHORT * 63)
            self.assertEqual(len(stream.receive(1)), 1)
        stream.write(self.good(b"still"))
        self.assertEqual([one.payload for one in stream.receive(1)], [b"still"])

    def test_64_in_a_row_close_the_stream_with_a_log_line(self):
        stream = self.client(self.running)
        stream.write(self.good() + SHORT * 64)
        self.assertTrue(stream.wait_end())
        self.assert_soon(lambda: "malformed" in self.running.text(), "a log line that says why")

    def test_malformed_frames_are_counted(self):
        stream = self.client(self.running)
        stream.write(self.good() + SHORT * 10 + self.good())
        self.assertEqual(len(stream.receive(2)), 2)
        self.assert_soon(lambda: self.running.metric("gatehouse_plugin_udpgw_drops_total", cause="malformed") == 10,
                         "a counter at 10")

    def test_other_protocols_first_frame_closes_with_a_log_line(self):
        stream = self.client(self.running)
        stream.write(TUN2PROXY_KEEPALIVE)
        self.assertTrue(stream.wait_end())
        self.assert_soon(lambda: "tun2proxy" in self.running.text(), "a log line that names the protocol")

    def test_that_frame_later_in_a_stream_closes_nothing(self):
        stream = self.client(self.running)
        stream.write(self.good())
        self.assertEqual(len(stream.receive(1)), 1)
        stream.write(TUN2PROXY_KEEPALIVE)  # 0x0300 = 768 bytes follow, as this protocol reads it
        stream.write(bytes(768 - 3) + self.good(b"after"))
        self.assertEqual([one.payload for one in stream.receive(1)], [b"after"])

    def test_keepalive_bit_on_a_data_frame_is_a_keepalive(self):
        stream = self.client(self.running)
        stream.write(frame(1, self.there, b"never", 0x01) + keepalive() + self.good())
        self.assertEqual([one.payload for one in stream.receive(2, timeout=0.5)], [b"good"])
        self.assertEqual(self.echo.received, 1)

    def test_unknown_flags_are_data(self):
        stream = self.client(self.running)
        got = stream.ask(1, self.there, b"flags", 0xF0)
        self.assertEqual(got and (got.flags, got.payload), (0, b"flags"))

    def test_frames_cut_at_every_byte(self):
        stream = self.client(self.running)
        for byte in self.good(b"slow"):
            stream.write(bytes([byte]))
        self.assertEqual([one.payload for one in stream.receive(1)], [b"slow"])

    def test_port_0_does_no_harm(self):
        stream = self.client(self.running)
        stream.send(1, (INTERNET[0], 0), b"nowhere")
        stream.send(2, ("255.255.255.255", 4000), b"broadcast")
        stream.send(3, ("224.0.0.1", 4000), b"multicast")
        self.assertIsNotNone(stream.ask(1, self.there, b"after"))


if __name__ == "__main__":
    main()
