#!/usr/bin/env python3
"""The life of a forward: how many there may be, rebind, a change of address, ICMP errors, idle times, the stream's end."""

import threading
import time

from harness import INTERNET, GatewayTest, UdpEcho, frame, main
from harness.gateway import SLOW
from harness.udpgw import REBIND, keepalive

HOST, OTHER = INTERNET[0], "93.184.0.11"


class ForwardTest(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", [HOST, OTHER, INTERNET[1]])
        self.addCleanup(self.echo.stop)
        self.there = (HOST, self.echo.port)

    def all_answered(self, stream, conids, mark, at_once=5):
        """One frame to each conid, some in one write; every one is answered under its own conid."""
        for first in range(0, len(conids), at_once):
            payloads = {conid: mark + conid.to_bytes(4, "big") for conid in conids[first:first + at_once]}
            stream.write(b"".join(frame(conid, self.there, payload) for conid, payload in payloads.items()))
            got = stream.receive(len(payloads), timeout=10)
            self.assertEqual({one.conid: one.payload for one in got}, payloads)


class Limit(ForwardTest):
    def test_300_forwards_with_256_allowed(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        self.all_answered(stream, range(300), b"one.", 100)
        self.assertEqual(gateway.udp_sockets(), 256)
        self.all_answered(stream, range(300), b"two.", 100)
        self.assertEqual(gateway.udp_sockets(), 256)
        first = [self.echo.sources[b"one." + conid.to_bytes(4, "big")] for conid in range(300)]
        second = [self.echo.sources[b"two." + conid.to_bytes(4, "big")] for conid in range(300)]
        self.assertTrue(all(len(one) == 1 for one in first + second), "each datagram went out once")

    def test_least_recently_used_goes_first(self):
        stream = self.client(self.gateway(policy=lambda db: db.traffic(concurrent_flows=3)))
        for conid, key in ((1, b"old-1..."), (2, b"old-2..."), (3, b"old-3..."), (1, b"again-1.")):
            self.assertIsNotNone(stream.ask(conid, self.there, key))
        self.assertIsNotNone(stream.ask(4, self.there, b"new-4..."))
        self.assertIsNotNone(stream.ask(1, self.there, b"still-1."))
        self.assertIsNotNone(stream.ask(2, self.there, b"later-2."))
        source = self.echo.last_source
        self.assertEqual(source(b"old-1..."), source(b"still-1."), "1 was used and stays")
        self.assertNotEqual(source(b"old-2..."), source(b"later-2."), "2 was the oldest and was recycled")

    def test_rule_of_the_policy_bounds_the_forwards(self):
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=10))
        stream = self.client(gateway)
        self.all_answered(stream, range(50), b"ten.")
        self.assertEqual(gateway.udp_sockets(), 10)
        self.assertEqual(gateway.metric("gatehouse_policy_verdicts_total", reason="concurrent_flows"), 0,
                         "what goes through after recycling is no denial")

    def test_no_limit(self):
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0))
        stream = self.client(gateway)
        self.all_answered(stream, range(1000), b"all.", 1000)
        self.assertEqual(gateway.udp_sockets(), 1000)


class Rebind(ForwardTest):
    def test_new_source_port_at_once(self):
        stream = self.client(self.gateway())
        ports = set()
        for number in range(50):
            key = b"re%06d" % number
            self.assertIsNotNone(stream.ask(1, self.there, key, REBIND))
            ports.add(self.echo.last_source(key))
        self.assertGreater(len(ports), 45, "a rebound forward has a new socket")

    def test_same_source_port_without_rebind(self):
        stream = self.client(self.gateway())
        for number in range(10):
            self.assertIsNotNone(stream.ask(1, self.there, b"no%06d" % number))
        self.assertEqual(len({self.echo.last_source(b"no%06d" % number) for number in range(10)}), 1)

    def test_other_address_replaces_the_forward(self):
        stream = self.client(self.gateway())
        for host in (HOST, OTHER, INTERNET[1], HOST):
            got = stream.ask(1, (host, self.echo.port), host.encode())
            self.assertIsNotNone(got)
            self.assertEqual((got.host, got.payload), (host, host.encode()))

    def test_others_are_not_stalled(self):
        """One conid is rebound again and again among the datagrams of another: that one loses nothing."""
        gateway = self.gateway()
        stream = self.client(gateway)
        steady = [b"s" + number.to_bytes(7, "big") for number in range(2000)]
        batches = []
        for at in range(0, len(steady), 20):
            batches.append(b"".join(frame(2, self.there, payload + bytes(200)) for payload in steady[at:at + 20])
                           + frame(1, self.there, b"r" + at.to_bytes(7, "big"), REBIND))

        def send():
            for batch in batches:
                stream.write(batch)
                time.sleep(0.002)

        sender = threading.Thread(target=send)
        sender.start()
        got = []
        while len(got) < len(steady) and (more := stream.receive(1, timeout=3)):
            got += [one for one in more if one.conid == 2]
        sender.join()
        self.assertEqual([one.payload[:8] for one in got], steady, "all there and in order")
        self.assertEqual(len({self.echo.last_source(key) for key in steady}), 1)
        rebound = {self.echo.last_source(b"r" + at.to_bytes(7, "big")) for at in range(0, len(steady), 20)}
        self.assertGreater(len(rebound), 90, "each rebind took a new port")


class Foreign(ForwardTest):
    def test_nobody_else_speaks_through_a_forward(self):
        stream = self.client(self.gateway())
        self.assertIsNotNone(stream.ask(1, self.there, b"mine...."))
        source = self.echo.last_source(b"mine....")
        self.echo.send(OTHER, source, b"foreign")
        self.echo.send(HOST, source, b"own")
        got = stream.receive(2, timeout=0.5)
        self.assertEqual([one.payload for one in got], [b"own"])


class Icmp(ForwardTest):
    def test_next_frame_works_after_port_unreachable(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        for host in (HOST, INTERNET[1]):
            closed = (host, 4444)
            self.assertIsNone(stream.ask(1, closed, b"nobody there", timeout=0.3))
            late = UdpEcho(self.net, "internet", [host], port=4444)
            try:
                got = stream.ask(1, closed, b"now there", timeout=2)
                self.assertEqual(got and got.payload, b"now there")
            finally:
                late.stop()

    def test_errors_do_not_spin(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        stream.write(b"".join(frame(conid, (HOST, 4444), b"x") for conid in range(200)))
        self.assertIsNotNone(stream.ask(500, self.there, b"after"))
        self.assertLess(gateway.busy(), 0.1 * SLOW)


class Idle(ForwardTest):
    def test_idle_forward_is_closed_and_either_direction_is_life(self):
        gateway = self.gateway(policy=lambda db: db.traffic(udp_idle_seconds=1))
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"idle...."))
        self.assertIsNotNone(stream.ask(2, self.there, b"down...."))
        lively = self.echo.last_source(b"down....")
        for _ in range(8):  # only the far end of forward 2 speaks, for longer than the idle time
            time.sleep(0.3)
            self.echo.send(HOST, lively, b"tick")
        self.assertEqual(len(stream.receive(8, timeout=2)), 8)
        self.assertEqual(gateway.udp_sockets(), 1)
        self.assert_soon(lambda: gateway.udp_sockets() == 0, "the quiet forward is closed as well")
        self.assertIsNotNone(stream.ask(1, self.there, b"again..."), "and opens again when it is used")

    def test_idle_stream_is_closed(self):
        gateway = self.gateway(options={"stream_idle_seconds": 1})
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"one"))
        start = time.monotonic()
        self.assertTrue(stream.wait_end(10 * SLOW))
        self.assertGreater(time.monotonic() - start, 0.9)

    def test_replies_keep_a_stream(self):
        gateway = self.gateway(options={"stream_idle_seconds": 1})
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"source.."))
        for _ in range(8):
            time.sleep(0.3)
            self.echo.send(HOST, self.echo.last_source(b"source.."), b"tick")
            self.assertEqual(len(stream.receive(1)), 1)
        self.assertFalse(stream.ended)

    def test_keepalives_keep_a_stream_and_are_never_answered(self):
        gateway = self.gateway(options={"stream_idle_seconds": 1})
        stream = self.client(gateway)
        for _ in range(8):
            stream.write(keepalive())
            self.assertEqual(stream.receive(1, timeout=0.3), [])
        self.assertFalse(stream.ended)
        self.assertIsNotNone(stream.ask(1, self.there, b"alive"))

    def test_zero_means_no_stream_idle_time(self):
        stream = self.client(self.gateway(options={"stream_idle_seconds": 0}))
        self.assertIsNotNone(stream.ask(1, self.there, b"one"))
        self.assertFalse(stream.wait_end(2))


class End(ForwardTest):
    def test_replies_due_are_delivered_after_the_clients_fin(self):
        self.echo.delay = 0.5
        gateway = self.gateway(options={"fin_grace_seconds": 3})
        stream = self.client(gateway)
        stream.write(b"".join(frame(conid, self.there, b"due%d" % conid) for conid in range(20)))
        stream.finish()
        got = stream.receive(20, timeout=3)
        self.assertEqual({one.payload for one in got}, {b"due%d" % conid for conid in range(20)})
        self.assertTrue(stream.wait_end(5 * SLOW), "the gateway closes after the grace time")
        self.assert_soon(lambda: gateway.udp_sockets() == 0, "and with the stream its forwards")

    def test_grace_time_ends(self):
        self.echo.silent = True
        stream = self.client(self.gateway(options={"fin_grace_seconds": 1}))
        stream.send(1, self.there, b"never answered")
        stream.finish()
        start = time.monotonic()
        self.assertTrue(stream.wait_end(10 * SLOW))
        self.assertLess(time.monotonic() - start, 2.5 * SLOW)

    def test_forwards_go_with_an_aborted_stream(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        self.all_answered(stream, range(100), b"abrt", 100)
        stream.close()
        self.assert_soon(lambda: gateway.udp_sockets() == 0, "no forward without its stream")


if __name__ == "__main__":
    main()
