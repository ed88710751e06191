#!/usr/bin/env python3
"""Resolver failover: one that is silent or closed costs one waiting time, not every query."""

import socket
import time

from harness import DnsServer, GatewayTest, SilentServer, answer, main, query
from harness.udpgw import DNS, REBIND

DEAD, ALIVE = "93.184.0.54", "93.184.0.53"
STATED = ("203.0.113.9", 53)
TIMEOUT = 0.4


class Failover(GatewayTest):
    def setUp(self):
        self.dns = DnsServer(self.net, "internet", [ALIVE], {"a.test": ["198.51.100.7"]},
                             unanswered={"silent.test": DEAD})
        self.addCleanup(self.dns.stop)

    def timed(self, stream, conid):
        start = time.monotonic()
        got = stream.ask(conid, STATED, query("a.test", id=conid), DNS | REBIND, timeout=5)
        self.assertIsNotNone(got, "no answer in spite of a second resolver")
        self.assertEqual((got.host, got.port), STATED)
        self.assertEqual((answer(got.payload).id, answer(got.payload).addresses), (conid, ["198.51.100.7"]))
        return time.monotonic() - start

    def run_against(self, *resolvers):
        return self.gateway(options={"dns_resolvers": resolvers or [DEAD, ALIVE],
                                     "resolver_timeout_ms": int(TIMEOUT * 1000)})

    def test_silent_resolver_is_waited_for_once(self):
        silent = SilentServer(self.net, "internet", DEAD)
        self.addCleanup(silent.stop)
        stream = self.client(self.run_against())
        first = self.timed(stream, 1)
        self.assertGreaterEqual(first, TIMEOUT * 0.9)
        self.assertLess(first, TIMEOUT + 1)
        self.assertEqual(len(silent.received()), 1, "the query was sent to the first resolver once")
        for conid in range(2, 12):
            self.assertLess(self.timed(stream, conid), TIMEOUT * 0.7, "the one that failed is last in turn")
        self.assertEqual(silent.received(), [])

    def test_question_without_an_answer_fails_no_resolver_that_answers_others(self):
        silent = SilentServer(self.net, "internet", DEAD)
        self.addCleanup(silent.stop)
        gateway = self.run_against(ALIVE, DEAD)
        asking, others = self.client(gateway), self.client(gateway)
        for number in range(3):
            asking.send(1, STATED, query("silent.test", id=7000 + number), DNS)
        end = time.monotonic() + 4 * TIMEOUT
        conid = 2
        while time.monotonic() < end:
            self.assertLess(self.timed(others, conid), TIMEOUT * 0.7, "the first resolver stays the first")
            conid += 1
        self.assertGreaterEqual(self.dns.queries("silent.test"), 3)

    def test_closed_port_does_not_cost_an_answer(self):
        stream = self.client(self.run_against())
        self.assertLess(self.timed(stream, 1), TIMEOUT + 1)
        self.assertLess(self.timed(stream, 2), TIMEOUT * 0.7)

    def test_answer_that_comes_too_late_is_delivered_and_no_round_trip(self):
        """The question is over: nobody waits for its answer in a list that would grow."""
        late = self.net.socket("internet", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(late.close)
        late.bind((DEAD, 53))
        late.settimeout(5)
        gateway = self.run_against(DEAD)
        stream = self.client(gateway)
        stream.send(1, STATED, query("a.test", id=7), DNS | REBIND)
        asked, source = late.recvfrom(4096)
        failures, round_trips = (f"gatehouse_plugin_udpgw_resolver_{name}"
                                 for name in ("failures_total", "round_trip_microseconds_count"))
        self.assert_soon(lambda: gateway.metric(failures) == 1, "the time for an answer is over")
        late.sendto(asked, source)
        got = stream.receive(1, timeout=5)
        self.assertEqual([one.payload for one in got], [asked])
        self.assertEqual(gateway.metric(round_trips), 0)
        stream.send(1, STATED, query("a.test", id=8), DNS)
        late.sendto(late.recv(4096), source)
        self.assertEqual(len(stream.receive(1, timeout=5)), 1)
        self.assertEqual(gateway.metric(round_trips), 1, "that of one that came in time")

    def test_failures_are_counted_per_resolver(self):
        silent = SilentServer(self.net, "internet", DEAD)
        self.addCleanup(silent.stop)
        gateway = self.run_against()
        self.timed(self.client(gateway), 1)
        self.assert_soon(lambda: "gatehouse_plugin_udpgw_resolver" in gateway.http("/metrics")[1]
                         and f'"{DEAD}' in gateway.http("/metrics")[1], "a resolver metric that names the dead one")


if __name__ == "__main__":
    main()
