#!/usr/bin/env python3
"""Traffic rules on flows, destinations, quotas and sessions, per session, identity and source, on a running gateway."""

import socket
import time

from harness import GATEWAY, INTERNET, GatewayTest, Udpgw, UdpEcho, main

SECOND = "93.184.0.11"
SIZE = 1000
COST = SIZE + 28  # with its IPv4 and UDP headers, as rates and quotas count


class Traffic(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.net.address("client", "to_gateway", "10.77.0.3/24")

    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", [*INTERNET, SECOND])
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)
        self.running = self.gateway(listen=["127.0.0.1:7300", "unix:/run/udpgw.sock",
                                            {"address": f"{GATEWAY[0]}:7301", "auth": "none"}])

    def rule(self, scope="session", **columns):
        """Replaces the traffic rules by one row and waits until it is in force; its id."""
        self.running.policy.sql("DELETE FROM traffic_rules;")
        row = self.running.policy.insert("traffic_rules", group_id=0, scope=scope, **columns)
        self.assert_soon(self.running.policy_in_force, "the rule")
        return row

    def remote(self, source):
        """A client that comes from one of the client's addresses."""
        connection = self.net.socket("client", socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.bind((source, 0))
        connection.connect((GATEWAY[0], 7301))
        stream = Udpgw(connection)
        self.addCleanup(stream.close)
        return stream

    def unix(self):
        """A client over the Unix listener: its identity is this test's user."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect("/run/udpgw.sock")
        stream = Udpgw(connection)
        self.addCleanup(stream.close)
        return stream

    @staticmethod
    def early_in_a_minute():
        """Windows of destinations are minutes of the steady clock: a test is not to run over the end of one."""
        left = 60 - time.monotonic() % 60
        if left < 5:
            time.sleep(left)

    def dropped(self, cause):
        return self.running.metric("gatehouse_plugin_udpgw_drops_total", cause=cause)

    def refused(self, reason):
        return self.running.metric("gatehouse_plugin_udpgw_flows_refused_total", reason=reason)

    def test_new_flows_beyond_the_rate_are_refused_and_others_go_on(self):
        self.rule(new_flows_per_second=3)
        stream = self.client(self.running)
        for conid in range(10):
            stream.send(conid, self.there, b"%08d" % conid)
        got = stream.receive(10, timeout=0.5)
        self.assertLessEqual(len(got), 5)
        self.assertEqual(len(got) + self.refused("new_flow_rate"), 10)
        self.assertEqual(self.dropped("flow_limit"), self.refused("new_flow_rate"))
        self.assertIsNotNone(stream.ask(got[0].conid, self.there, b"again..."))

    def test_destinations_per_minute_count_addresses_not_flows(self):
        self.early_in_a_minute()
        row = self.rule(destinations_per_minute=1)
        stream = self.client(self.running)
        for conid in range(5):
            self.assertIsNotNone(stream.ask(conid, self.there, b"one....."), "one address, many flows")
        stream.send(9, (SECOND, self.echo.port), b"another.")
        self.assert_soon(lambda: self.refused("destinations") == 1, "the refusal")
        self.assert_soon(lambda: any("why=destinations" in line and f"traffic_rules {row}" in line
                                     for line in list(self.running.log)), "the log says why")
        self.rule(destinations_per_minute=2)
        self.assertIsNotNone(stream.ask(9, (SECOND, self.echo.port), b"another."), "after the edit, on this session")
        stream.send(10, (INTERNET[1], self.echo.port), b"a third.")
        self.assert_soon(lambda: self.refused("destinations") == 2, "what was seen before the edit counts")

    def test_quota_drops_in_both_directions_until_it_is_raised(self):
        self.rule(quota_bytes=10 * COST, quota_period="day")
        stream = self.client(self.running)
        for _ in range(4):
            self.assertIsNotNone(stream.ask(1, self.there, bytes(SIZE)))
        self.echo.silent = True
        for _ in range(5):
            stream.send(1, self.there, bytes(SIZE))
        self.assert_soon(lambda: self.dropped("quota") == 3, "4 x 2 passed, then 2 of 5")
        self.assert_soon(lambda: self.echo.received == 6, "those that passed")
        self.echo.send(INTERNET[0], self.echo.last_source(bytes(8)), bytes(SIZE))
        self.assert_soon(lambda: self.dropped("quota") == 4, "a reply")
        stream.send(2, self.there, b"new flow")
        self.assert_soon(lambda: self.refused("quota") == 1, "a new flow")
        self.assertEqual(self.dropped("quota"), 5)
        self.assertLess(self.running.busy(0.3), 0.3, "nothing waits and turns")

        self.echo.silent = False
        self.rule(quota_bytes=12 * COST, quota_period="day")
        self.assertIsNotNone(stream.ask(1, self.there, bytes(SIZE)), "raised: two are left")
        self.assertIsNone(stream.ask(1, self.there, bytes(SIZE), timeout=0.3), "and no more: what was used stays used")
        self.assertEqual(self.dropped("rate"), 0)

    def test_clients_without_an_identity_share_by_source_address(self):
        self.rule("identity", quota_bytes=4 * COST)
        first = self.remote("10.77.0.2")
        self.assertIsNotNone(first.ask(1, self.there, bytes(SIZE)))
        first.close()
        second = self.remote("10.77.0.2")  # a new session of the same source goes on with what is left
        self.assertIsNotNone(second.ask(1, self.there, bytes(SIZE)))
        self.assertIsNone(second.ask(1, self.there, bytes(SIZE), timeout=0.3))
        other = self.remote("10.77.0.3")
        self.assertIsNotNone(other.ask(1, self.there, bytes(SIZE)))
        local = self.client(self.running)  # everybody behind one SSH server looks like this
        for _ in range(4):
            self.assertIsNotNone(local.ask(1, self.there, bytes(SIZE)))
        self.assertEqual(self.running.metric("gatehouse_policy_limiter_keys", kind="source"), 2)
        self.assertEqual(self.running.metric("gatehouse_policy_limiter_evictions_total"), 0)
        self.assertEqual(self.running.metric("gatehouse_policy_limiter_refused_total"), 0)

    def test_two_clients_of_one_identity_share_its_limits(self):
        self.early_in_a_minute()
        self.rule("identity", destinations_per_minute=1, concurrent_flows=3)
        one, two = self.unix(), self.unix()
        self.assertIsNotNone(one.ask(1, self.there, b"one....."))
        two.send(1, (SECOND, self.echo.port), b"two.....")
        self.assert_soon(lambda: self.refused("destinations") == 1, "the other's destination counts")
        for conid in range(2, 6):
            self.assertIsNotNone(two.ask(conid, self.there, b"flow...."))
        self.assertEqual(self.running.udp_sockets(), 3)
        self.assertEqual(self.running.metric("gatehouse_policy_limiter_keys", kind="identity"), 1)

    def test_concurrent_sessions_refuse_the_next_and_end_none(self):
        row = self.rule("identity", concurrent_sessions=2)
        streams = [self.remote("10.77.0.2") for _ in range(2)]
        for stream in streams:
            self.assertIsNotNone(stream.ask(1, self.there, b"here...."))
        self.assertTrue(self.remote("10.77.0.2").wait_end())
        self.assertEqual(self.running.metric("gatehouse_plugin_udpgw_streams_refused_total",
                                             cause="concurrent_sessions"), 1)
        self.assert_soon(lambda: any("stream refused" in line and "concurrent_sessions" in line and
                                     f"traffic_rules {row}" in line for line in list(self.running.log)), "the log says why")
        self.assertIsNotNone(self.remote("10.77.0.3").ask(1, self.there, b"other..."))

        self.rule(concurrent_sessions=1)  # of scope session: the same meaning
        for stream in streams:
            self.assertIsNotNone(stream.ask(1, self.there, b"still..."))
        streams[0].close()
        self.assertTrue(self.remote("10.77.0.2").wait_end(), "one is there")
        streams[1].close()

        def admitted():
            return self.remote("10.77.0.2").ask(1, self.there, b"again...", timeout=0.5)
        self.assert_soon(admitted, "a place is free")

    def test_sessions_of_one_identity_are_counted_together(self):
        self.rule(concurrent_sessions=1)
        self.assertIsNotNone(self.unix().ask(1, self.there, b"here...."))
        self.assertTrue(self.unix().wait_end())
        for _ in range(3):
            self.assertIsNotNone(self.client(self.running).ask(1, self.there, b"loopback"))


if __name__ == "__main__":
    main()
