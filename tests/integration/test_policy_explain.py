#!/usr/bin/env python3
"""`gatehouse policy explain` beside a running gateway: what its clients have used of their limits, asked of the gateway."""

import os
import socket

from harness import GATEWAY, INTERNET, GatewayTest, Udpgw, UdpEcho, main

SIZE = 1000
COST = SIZE + 28  # with its IPv4 and UDP headers, as rates and quotas count


class Explain(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)
        self.running = self.gateway(listen=["unix:/run/udpgw.sock",
                                            {"address": f"{GATEWAY[0]}:7301", "auth": "none"}])
        self.running.policy.sql("DELETE FROM traffic_rules;")
        self.row = self.running.policy.insert("traffic_rules", group_id=0, scope="identity", rate_up=100,
                                              burst_up=20 * COST, quota_bytes=50 * COST, concurrent_flows=8)
        self.assert_soon(self.running.policy_in_force, "the rule")

    def words(self, *more):
        return ["policy", "explain", "--plugin", "udpgw", *more, "udp", f"{INTERNET[0]}:{self.echo.port}"]

    def asked(self, *who):
        """What `--json` says of the gateway, its limits by name."""
        answer = self.running.json(*self.words(*who))["gateway"]
        self.assertTrue(answer["running"], answer)
        return answer, {limit["name"]: limit for limit in answer["limits"]}

    def test_tells_what_an_identity_has_used(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect("/run/udpgw.sock")
        stream = Udpgw(connection)
        self.addCleanup(stream.close)
        me = f"unix:{os.environ.get('USER', 'root')}" if os.geteuid() else "unix:root"
        answer, _ = self.asked("--identity", "token:nobody")
        self.assertEqual((answer["key"], answer["remembered"]), ("token:nobody", False))
        for _ in range(3):
            self.assertIsNotNone(stream.ask(1, self.there, bytes(SIZE)))
        self.assertIsNotNone(stream.ask(2, self.there, bytes(SIZE)))

        answer, limits = self.asked("--identity", me)
        self.assertEqual(answer["generation"], self.running.json("status")["policy"]["generation"])
        self.assertEqual((answer["key"], answer["remembered"]), (me, True))
        self.assertEqual(limits["quota_bytes"]["used"], 8 * COST, "both directions")
        self.assertEqual(limits["quota_bytes"]["left"], 42 * COST)
        self.assertEqual(limits["rate_up"]["burst"], 20 * COST)
        self.assertEqual(limits["rate_up"]["left"] // COST, 16, "four went up, and 100 a second come back")
        self.assertEqual((limits["concurrent_flows"]["used"], limits["concurrent_flows"]["left"]), (2, 6))
        self.assertEqual((limits["concurrent_sessions"]["used"], limits["concurrent_sessions"]["most"]), (1, None))
        self.assertEqual(limits["quota_bytes"]["row"], self.row)
        self.assertNotIn(INTERNET[0], str(answer), "where the client went is nobody's business")

        text = self.running.cli(*self.words("--identity", me)).stdout
        self.assertIn(f"now: {me}, quota_bytes: {8 * COST} of {50 * COST} used, {42 * COST} left until ", text)
        self.assertRegex(text, rf"now: {me}, rate_up: 16\d\d\d of 20560 bytes may pass at once\n")
        self.assertRegex(text, r"running: generation \d+ of revision \d+\n")

    def test_tells_what_a_source_has_used_and_that_loopback_shares_nothing(self):
        connection = self.net.socket("client", socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect((GATEWAY[0], 7301))
        stream = Udpgw(connection)
        self.addCleanup(stream.close)
        self.assertIsNotNone(stream.ask(1, self.there, bytes(SIZE)))
        answer, limits = self.asked("--source", "10.77.0.2")
        self.assertEqual(answer["key"], "10.77.0.2/32")
        self.assertEqual(limits["quota_bytes"]["used"], 2 * COST)
        answer, limits = self.asked("--source", "127.0.0.1")
        self.assertEqual((answer["key"], limits), (None, {}))

    def test_asks_nobody_for_another_time_or_database_and_goes_on_without_a_gateway(self):
        other = str(self.running.state / "other.db")
        self.running.policy.sql(f"VACUUM INTO '{other}';")
        for elsewhere in (["--at", "2030-01-01"], ["--db", other]):
            self.assertNotIn("gateway", self.running.json(*self.words(*elsewhere)))
        self.running.stop()
        done = self.running.cli(*self.words())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("running: what is left of limits is not known: the gateway is not running (nobody listens on ",
                      done.stdout)
        self.assertFalse(self.running.json(*self.words())["gateway"]["running"])


if __name__ == "__main__":
    main()
