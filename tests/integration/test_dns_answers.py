#!/usr/bin/env python3
"""DNS answers that are judged, blocked answers that are remembered, and which ports are DNS: against a real dnsmasq, by
udpgw, through the packet tunnel and by socks5."""

import secrets
import select
import socket
import struct
import threading
import time

from harness import DnsServer, GatewayTest, answer, eventually, main, query
from harness.dns import HTTPS, NOERROR, NXDOMAIN, REFUSED, negative_ttl, wire_name
from harness.gateway import SLOW
from harness.socks5 import CONNECT, NOT_ALLOWED, REFUSED as NOBODY_LISTENS, SocksRefused, UdpForward
from harness.socks5 import ask as ask_socks
from harness.tunnel import ACK, CLIENT4, DNS4, PSH, SYN, UDP, Tunnel, tcp, udp
from harness.udpgw import DNS, REBIND

RESOLVER = "93.184.0.53"
STATED = ("203.0.113.9", 53)
FREE, TRACKER = "93.184.0.10", "93.184.0.11"


def service(*labels):
    """The data of an HTTPS record that leads to that name."""
    return (b"\0\1" + wire_name([label.encode() for label in labels])).hex()


# first.test -> second.test -> tracker.test, which has an address; shop.test has its service at edge.tracker.test.
RECORDS = [f"--host-record=tracker.test,{TRACKER}", "--cname=second.test,tracker.test",
           "--cname=first.test,second.test", f"--host-record=free.test,{FREE}", "--cname=alias.test,free.test",
           f"--dns-rr=shop.test,{HTTPS},{service('edge', 'tracker', 'test')}",
           f"--dns-rr=plain.test,{HTTPS},{service('free', 'test')}"]


class DnsTest(GatewayTest):
    def setUp(self):
        self.dns = DnsServer(self.net, "internet", [RESOLVER], {}, options=RECORDS)
        self.addCleanup(self.dns.stop)

    def in_force(self):
        self.assert_soon(self.running.policy_in_force, "the rows are in force")

    def start(self, policy=None, **options):
        self.running = self.gateway(policy=policy, options={"dns_resolvers": [RESOLVER], **options})
        self.policy = self.running.policy
        self.stream = self.client(self.running)

    def ask(self, name, kind=1, to=STATED, flags=DNS, conid=5):
        """The answer as bytes."""
        got = self.stream.ask(conid, to, query(name, kind), flags)
        self.assertIsNotNone(got, f"no answer to {name}")
        return got.payload


class ByUdpgw(DnsTest):
    def blocks(self, row, action="deny"):
        return self.running.metric("gatehouse_policy_row_hits_total", table="domain_rules", row=str(row), action=action)

    def test_an_answer_that_leads_to_a_blocked_name_is_a_blocked_one(self):
        rows = []
        self.start(lambda db: rows.append(db.insert("domain_rules", domain="tracker.test")))
        for number, (name, kind) in enumerate((("first.test", 1), ("second.test", 1), ("shop.test", HTTPS)), 1):
            got = self.ask(name, kind)
            self.assertEqual((answer(got).rcode, answer(got).addresses), (NXDOMAIN, []), name)
            self.assertEqual(negative_ttl(got), 10, name)
            self.assert_soon(lambda: self.dns.queries(name) == 1, "the question itself is not blocked")
            self.assert_soon(lambda: self.blocks(rows[0]) == number, "the row has been counted")
        self.assertEqual(answer(self.ask("alias.test")).addresses, [FREE])
        self.assertEqual(answer(self.ask("plain.test", HTTPS)).rcode, NOERROR)
        direct = self.ask("first.test", to=(RESOLVER, 53), flags=REBIND, conid=6)
        self.assertEqual(answer(direct).rcode, NXDOMAIN, "by a plain forward to port 53, too")
        self.assertEqual(self.running.metric("gatehouse_plugin_udpgw_blocked_answers_total"), 4)

    def test_it_is_as_the_blocked_answer_to_a_question(self):
        for choice, code, ttl in (("refused", REFUSED, None), ("nodata", NOERROR, 77), ("nxdomain", NXDOMAIN, 77)):
            self.start(lambda db: db.insert("domain_rules", domain="tracker.test"), blocked_answer=choice,
                       blocked_ttl_seconds=77)
            for name in ("first.test", "tracker.test"):
                got = self.ask(name)
                self.assertEqual((answer(got).rcode, answer(got).addresses), (code, []), choice)
                self.assertEqual(negative_ttl(got), ttl, choice)
            self.running.stop()

    def test_dropped_where_nothing_is_said_of_blocked_names(self):
        self.start(lambda db: db.insert("domain_rules", domain="tracker.test"), blocked_answer="drop")
        self.assertIsNone(self.stream.ask(5, STATED, query("first.test"), DNS, timeout=0.5))
        self.assertEqual(answer(self.ask("alias.test")).addresses, [FREE])

    def test_rows_are_live_and_a_setting_turns_it_off(self):
        self.start()
        self.assertEqual(answer(self.ask("first.test")).addresses, [TRACKER], "no rule has a name")
        self.policy.insert("domain_rules", domain="tracker.test", match="exact")
        self.in_force()
        self.assertEqual(answer(self.ask("first.test")).rcode, NXDOMAIN)
        self.policy.sql("UPDATE settings SET value = '0' WHERE name = 'judge_answers';")
        self.in_force()
        self.assertEqual(answer(self.ask("first.test")).addresses, [TRACKER])
        self.assertEqual(answer(self.ask("tracker.test")).rcode, NXDOMAIN, "questions are judged as ever")

    def test_a_monitor_watches_where_answers_lead(self):
        rows = []
        self.start(lambda db: rows.append(db.insert("domain_rules", domain="tracker.test", action="monitor")))
        self.assertEqual(answer(self.ask("first.test")).addresses, [TRACKER])
        self.assert_soon(lambda: self.blocks(rows[0], "monitor") > 0, "the row has seen it")

    def test_a_label_with_a_dot_is_one_label(self):
        self.start(lambda db: db.insert("domain_rules", domain="tracker.test"))
        self.assertEqual(answer(self.ask([b"x", b"tracker", b"test"])).rcode, NXDOMAIN)
        self.ask([b"x.tracker", b"test"])  # some answer: it has been asked
        self.ask([b"Dr. Pepper\xc3\xa9 2", b"_http", b"_tcp", b"free", b"test"], 16)

    def test_other_ports_are_dns_where_a_setting_says_so(self):
        other = DnsServer(self.net, "internet", [RESOLVER], {}, port=5300, options=RECORDS)
        self.addCleanup(other.stop)
        self.start(lambda db: db.insert("domain_rules", domain="tracker.test"))
        there = (RESOLVER, 5300)
        self.assertEqual(answer(self.ask("tracker.test", to=there, flags=0)).addresses, [TRACKER])
        self.policy.sql("UPDATE settings SET value = '53,5300' WHERE name = 'dns_ports';")
        self.in_force()
        for name in ("tracker.test", "first.test"):
            self.assertEqual(answer(self.ask(name, to=there, flags=0)).rcode, NXDOMAIN, name)
        self.policy.sql("UPDATE settings SET value = 'fifty' WHERE name = 'dns_ports';")
        self.in_force()
        self.assertIn("is no list of ports", self.running.cli("policy", "problems").stdout)
        self.assertEqual(answer(self.ask("tracker.test", to=there, flags=0)).addresses, [TRACKER])

    def test_a_resolver_remembers_a_blocked_answer_for_its_time(self):
        """A dnsmasq with a cache asks through udpgw."""
        self.start(lambda db: db.insert("domain_rules", domain="tracker.test"), blocked_ttl_seconds=3 * SLOW)
        inlet = self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM)
        inlet.bind(("127.0.0.1", 5399))
        self.addCleanup(inlet.close)
        done = threading.Event()

        def pass_on():
            while not done.is_set():
                if select.select([inlet], [], [], 0.1)[0]:
                    message, asker = inlet.recvfrom(4096)
                    if got := self.stream.ask(5, STATED, message, DNS):
                        inlet.sendto(got.payload, asker)

        passing = threading.Thread(target=pass_on)
        passing.start()
        self.addCleanup(passing.join)
        self.addCleanup(done.set)
        caching = DnsServer(self.net, "gateway", ["127.0.0.1"], {}, port=5398,
                            options=["--server=127.0.0.1#5399", "--cache-size=100"])
        self.addCleanup(caching.stop)
        asker = self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(asker.close)
        asker.settimeout(5)

        def code(name):
            asker.sendto(query(name), ("127.0.0.1", 5398))
            return answer(asker.recv(4096)).rcode

        def blocked():
            return self.running.metric("gatehouse_plugin_udpgw_blocked_answers_total")

        for number, name in enumerate(("tracker.test", "first.test"), 1):
            begin = time.monotonic()
            for _ in range(5):
                self.assertEqual(code(name), NXDOMAIN)
            self.assertLess(time.monotonic() - begin, 3 * SLOW, "too slow for what follows")
            self.assertEqual(blocked(), number, "four of five came from the cache")
        self.assertTrue(eventually(lambda: code("tracker.test") == NXDOMAIN and blocked() > 2, 10), "and not for ever")


class ThroughTheTunnel(DnsTest):
    def open(self, policy=None):
        plugin = {"listen": [{"address": "127.0.0.1:7400"}], "options": {"dns_resolvers": [RESOLVER]}}
        self.running = self.gateway(policy=policy, plugins={"packet-tunnel": plugin})
        stream = self.net.connect("gateway", "127.0.0.1", 7400)
        self.addCleanup(stream.close)
        self.tunnel = Tunnel(stream, secrets.token_urlsafe(32))

    def ask(self, name, kind=1, to=DNS4, port=53, **_):
        self.tunnel.send(udp(CLIENT4, to, 5353, port, query(name, kind)))
        got = self.tunnel.find(lambda one: one.protocol == UDP and one.ports == (port, 5353))
        self.assertIsNotNone(got, f"no answer to {name}")
        self.assertEqual((got.source, got.destination), (to, CLIENT4))
        self.assertTrue(got.sums_are_right())
        return got.payload

    def test_an_answer_that_leads_to_a_blocked_name_is_a_blocked_one(self):
        self.open(lambda db: db.insert("domain_rules", domain="tracker.test"))
        for to in (DNS4, RESOLVER):
            for name, kind in (("first.test", 1), ("shop.test", HTTPS), ("tracker.test", 1)):
                got = self.ask(name, kind, to)
                self.assertEqual((answer(got).rcode, answer(got).addresses), (NXDOMAIN, []), name)
                self.assertEqual(negative_ttl(got), 10, name)
            self.assertEqual(answer(self.ask("alias.test", to=to)).addresses, [FREE])
        self.assert_soon(lambda: self.dns.queries("first.test") == 2, "both questions have been asked")
        rejected = "gatehouse_plugin_packet_tunnel_packets_rejected_total"
        self.assertEqual(self.running.metric(rejected, reason="disallowed_domain", direction="down"), 4)

    def test_other_ports_are_dns_where_a_setting_says_so(self):
        other = DnsServer(self.net, "internet", [RESOLVER], {}, port=5300, options=RECORDS)
        self.addCleanup(other.stop)
        self.open(lambda db: db.insert("domain_rules", domain="tracker.test"))
        self.assertEqual(answer(self.ask("tracker.test", to=RESOLVER, port=5300)).addresses, [TRACKER])
        self.running.policy.sql("UPDATE settings SET value = '53,5300' WHERE name = 'dns_ports';")
        self.in_force()
        for name in ("tracker.test", "first.test"):
            self.assertEqual(answer(self.ask(name, to=RESOLVER, port=5300)).rcode, NXDOMAIN, name)

    def test_what_is_whole_in_a_segment_of_tcp_is_judged(self):
        self.open(lambda db: db.insert("domain_rules", domain="tracker.test"))

        def ask(name, port):
            """The resolver's message, or None."""
            self.tunnel.send(tcp(CLIENT4, RESOLVER, port, 53, 1000, 0, SYN))
            opened = self.tunnel.find(lambda one: one.protocol == 6 and one.ports == (53, port) and one.flags & SYN)
            self.assertIsNotNone(opened)
            question = query(name)
            self.tunnel.send(tcp(CLIENT4, RESOLVER, port, 53, 1001, opened.seq + 1, ACK | PSH,
                                 struct.pack(">H", len(question)) + question))
            got = self.tunnel.find(lambda one: one.protocol == 6 and one.ports == (53, port) and one.payload, 1)
            return got and got.payload[2:]

        self.assertEqual(answer(ask("alias.test", 6000)).addresses, [FREE])
        self.assertIsNone(ask("first.test", 6001))


class BySocks5(DnsTest):
    def open(self):
        plugin = {"listen": [{"address": "127.0.0.1:1080"}], "options": {"dns_resolvers": [RESOLVER]}}
        self.running = self.gateway(policy=lambda db: db.insert("domain_rules", domain="tracker.test"),
                                    plugins={"socks5": plugin})

    def refusal(self, name):
        stream = self.net.connect("gateway", "127.0.0.1", 1080)
        self.addCleanup(stream.close)
        with self.assertRaises(SocksRefused) as refused:
            ask_socks(stream, CONNECT, name, 8099)
        return refused.exception.code

    def test_a_name_that_leads_to_a_blocked_one_is_none_to_connect_to(self):
        self.open()
        self.assertEqual(self.refusal("alias.test"), NOBODY_LISTENS)
        self.assertEqual(self.refusal("first.test"), NOT_ALLOWED)
        self.assert_soon(lambda: self.dns.queries("first.test") == 2, "it was looked up, A and AAAA")

    def test_an_association_has_answers_judged(self):
        self.open()
        forward = UdpForward(self.net, "gateway", ("127.0.0.1", 1080), (RESOLVER, 53), 5353)
        self.addCleanup(forward.stop)
        asker = self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(asker.close)
        asker.settimeout(5)
        for name, kind, code in (("alias.test", 1, NOERROR), ("first.test", 1, NXDOMAIN), ("shop.test", HTTPS, NXDOMAIN)):
            asker.sendto(query(name, kind), ("127.0.0.1", 5353))
            got = asker.recv(4096)
            self.assertEqual(answer(got).rcode, code, name)
            self.assertEqual(negative_ttl(got), None if code == NOERROR else 10)


if __name__ == "__main__":
    main()
