#!/usr/bin/env python3
"""Traffic rules on rates: upstream is delayed and loses nothing, downstream beyond the rate is dropped and counted."""

import socket
import struct
import sys
import threading
import time

from harness import INTERNET, GatewayTest, UdpEcho, frame, main

SIZE = 1000
HEADERS = 28  # IPv4 and UDP: what an empty datagram costs


class Rates(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def rule(self, **columns):
        """A gateway with traffic rules in force."""
        self.running = self.gateway(listen=["127.0.0.1:7300", "unix:/run/udpgw.sock"])
        self.running.policy.traffic(**columns)
        self.assert_soon(self.running.policy_in_force, "the rule")

    def test_upstream_waits_and_loses_nothing(self):
        self.rule(rate_up=100 * SIZE, burst_up=10 * SIZE)
        stream = self.client(self.running)
        self.echo.silent = True
        before, start = self.echo.received, time.monotonic()
        for number in range(110):
            stream.send(1, self.there, b"%08d" % number + bytes(SIZE - 8))
        self.assert_soon(lambda: self.echo.received - before == 110, "every datagram", 10)
        self.assertGreater(time.monotonic() - start, 0.9, "110 KB at 100 KB/s, of which 10 KB at once")
        self.assertEqual(self.running.metric("gatehouse_plugin_udpgw_drops_total"), 0)

    def test_end_of_the_stream_does_not_overtake_what_waits(self):
        self.rule(rate_up=100 * SIZE, burst_up=10 * SIZE)
        stream = self.client(self.running)
        self.echo.silent = True
        before = self.echo.received
        for number in range(60):
            stream.send(1, self.there, b"%08d" % number + bytes(SIZE - 8))
        stream.finish()
        self.assert_soon(lambda: self.echo.received - before == 60, "what was sent before the end", 10)

    def test_hang_up_of_a_unix_client_is_taken_after_what_waits(self):
        """A closed Unix peer is readable for ever: the lane must neither spin nor forget the frames that it holds."""
        self.rule(rate_up=100 * SIZE, burst_up=10 * SIZE)
        self.echo.silent = True
        before = self.echo.received
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect("/run/udpgw.sock")
            for number in range(110):
                stream.sendall(frame(1, self.there, b"%08d" % number + bytes(SIZE - 8)))
        self.assertLess(self.running.busy(0.5), 0.3, "the lane waits")
        self.assert_soon(lambda: self.echo.received - before == 110, "every datagram", 10)

    def test_reset_stream_ends_although_a_rate_holds_its_frames(self):
        self.rule(rate_up=SIZE, burst_up=2 * SIZE)
        stream = self.client(self.running)
        for number in range(60):
            stream.send(1, self.there, b"%08d" % number + bytes(SIZE - 8))
        streams = lambda: self.running.metric("gatehouse_plugin_udpgw_streams")
        self.assert_soon(lambda: self.echo.received >= 1, "the first datagrams")
        self.assertEqual(streams(), 1)
        stream.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
        self.assert_soon(lambda: streams() == 0, "its place is free", 2)

    def test_bursts_do_not_starve_beside_small_datagrams_of_the_same_identity(self):
        other = UdpEcho(self.net, "internet", INTERNET, port=4001)
        self.addCleanup(other.stop)
        running = self.gateway(listen=[{"address": "127.0.0.1:7300", "identity": "token:bob"}],
                               policy=lambda db: db.traffic(scope="identity", rate_up=50 * SIZE))
        self.echo.silent = other.silent = True
        small, burst = self.client(running), self.client(running)
        end = time.monotonic() + 5

        def pour():
            while time.monotonic() < end:
                small.send(1, self.there, bytes(SIZE))  # at the limit: alone, none of them would wait
                time.sleep(0.019)

        def bursts():
            while time.monotonic() < end:
                burst.write(frame(1, (INTERNET[0], other.port), bytes(SIZE)) * 40)

        threads = [threading.Thread(target=one, daemon=True) for one in (pour, bursts)]
        before = self.echo.received, other.received
        for one in threads:
            one.start()
        threads[0].join()
        mine, others = self.echo.received - before[0], other.received - before[1]
        self.assertGreater(others, (mine + others) / 5, f"{mine} small datagrams, {others} of bursts")
        self.assertLess(mine + others, 400, "50 KB/s, and the first burst")

    def test_downstream_beyond_the_rate_is_dropped_and_counted(self):
        self.rule(rate_down=10 * SIZE, burst_down=10 * SIZE)
        stream = self.client(self.running)
        self.assertIsNotNone(stream.ask(1, self.there, b"first..."))
        self.echo.flood(INTERNET[0], self.echo.last_source(b"first..."), 100, SIZE)
        got = stream.receive(100, timeout=1)
        self.assertLess(len(got), 40)
        self.assertGreater(len(got), 4)
        dropped = self.running.metric("gatehouse_plugin_udpgw_drops_total", cause="rate")
        self.assertEqual(len(got) + dropped, 100)

    def pour_empty(self, stream):
        """Sends empty datagrams as fast as the stream takes them, until it is shut down."""
        block = frame(1, self.there) * 500

        def pour():
            try:
                while True:
                    stream.write(block)
            except OSError:
                pass

        thread = threading.Thread(target=pour, daemon=True)
        thread.start()

        def end():
            try:
                stream.stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the gateway was first
            thread.join(10)

        self.addCleanup(end)

    def test_empty_datagrams_pay_for_their_headers(self):
        rate = 10_000
        self.rule(rate_up=rate, burst_up=rate)
        self.echo.silent = True
        start = time.monotonic()
        self.pour_empty(self.client(self.running))
        self.assert_soon(lambda: time.monotonic() - start > 3, "some seconds of it")
        passed, took = self.echo.received, time.monotonic() - start
        paid = rate * (1 + took) / HEADERS
        print(f"{passed} empty datagrams in {took:.1f} s, paid for {paid:.0f}", file=sys.stderr)
        self.assertLess(passed, 1.5 * paid)
        self.assertGreater(passed, 1.5 * rate / HEADERS, "more than the burst: the rate goes on")

    def test_empty_datagrams_use_a_quota_up(self):
        quota = 28_000
        running = self.gateway(listen=[{"address": "127.0.0.1:7300", "identity": "token:bob"}],
                               policy=lambda db: db.traffic(scope="identity", quota_bytes=quota, quota_period="day"))
        self.echo.silent = True
        self.pour_empty(self.client(running))
        refused = lambda: running.metric("gatehouse_plugin_udpgw_drops_total", cause="quota")
        self.assert_soon(lambda: refused() > 10 * quota / HEADERS, "the quota is used up")
        self.assertLess(self.echo.received, 2 * quota / HEADERS)
        self.assertGreater(self.echo.received, quota / HEADERS / 2)

    def test_new_flows_per_second(self):
        self.rule(new_flows_per_second=5)
        stream = self.client(self.running)
        for conid in range(50):
            stream.send(conid, self.there, b"%08d" % conid)
        got = stream.receive(50, timeout=0.5)
        self.assertLessEqual(len(got), 10)
        self.assertGreaterEqual(len(got), 4)


if __name__ == "__main__":
    main()
