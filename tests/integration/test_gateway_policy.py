#!/usr/bin/env python3
"""The live policy: rows edited by the sqlite3 shell, in force on running forwards within a second."""

import os
import pathlib
import time

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, answer, eventually, main, query
from harness.dns import NXDOMAIN
from harness.gateway import SLOW
from harness.udpgw import DNS, REBIND

RESOLVER = "93.184.0.53"
STATED = ("203.0.113.9", 53)
SOON = 1.0 * SLOW  # from COMMIT to effect


class LivePolicy(GatewayTest):
    def setUp(self):
        self.dns = DnsServer(self.net, "internet", [RESOLVER], {"a.test": ["198.51.100.7"], "b.test": ["198.51.100.8"]})
        self.addCleanup(self.dns.stop)
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)
        self.running = self.gateway(options={"dns_resolvers": [RESOLVER]})
        self.policy = self.running.policy
        self.stream = self.client(self.running)

    def resolves(self, name, conid=5):
        """NOERROR with an address, on a forward that stays open between calls."""
        got = self.stream.ask(conid, STATED, query(name), DNS, timeout=0.3)
        return got is not None and answer(got.payload).addresses != []

    def code(self, name, conid=5):
        got = self.stream.ask(conid, STATED, query(name), DNS, timeout=0.3)
        return None if got is None else answer(got.payload).rcode

    def echoes(self, conid=1):
        got = self.stream.ask(conid, self.there, b"ping", timeout=0.1)
        return got is not None

    def within_a_second(self, condition, what):
        start = time.monotonic()
        self.assertTrue(eventually(condition, 5), f"never: {what}")
        self.assertLess(time.monotonic() - start, SOON, what)

    def test_name_is_blocked_for_a_running_forward_and_restored(self):
        self.assertTrue(self.resolves("a.test"))
        row = self.policy.insert("domain_rules", domain="a.test")
        self.within_a_second(lambda: self.code("a.test") == NXDOMAIN, "a.test blocked")
        asked = self.dns.queries("a.test")
        got = self.stream.ask(5, STATED, query("www.a.test", id=77), DNS)
        self.assertEqual((got.host, got.port), STATED)
        self.assertEqual((answer(got.payload).id, answer(got.payload).rcode), (77, NXDOMAIN), "a suffix covers subdomains")
        self.assertTrue(answer(got.payload).recursion_available)
        self.assertEqual(self.dns.queries("a.test"), asked, "a blocked name never reaches the resolver")
        self.assertTrue(self.resolves("b.test"), "other names pass")
        self.policy.delete("domain_rules", row)
        self.within_a_second(lambda: self.resolves("a.test"), "a.test restored")

    def test_name_is_judged_on_port_53_without_the_flag(self):
        row = self.policy.insert("domain_rules", domain="a.test", match="exact")
        direct = (RESOLVER, 53)

        def blocked():
            got = self.stream.ask(9, direct, query("a.test"), timeout=0.3)
            return got is not None and answer(got.payload).rcode == NXDOMAIN

        self.within_a_second(blocked, "a.test blocked on a plain forward")
        got = self.stream.ask(9, direct, query("b.test"))
        self.assertEqual(answer(got.payload).addresses, ["198.51.100.8"])
        self.policy.delete("domain_rules", row)

    def test_upper_case_does_not_help(self):
        self.policy.insert("domain_rules", domain="a.test")
        self.within_a_second(lambda: self.code("a.test") == NXDOMAIN, "a.test blocked")
        self.assertEqual(self.code("A.tEsT"), NXDOMAIN)

    def test_refused_and_drop_as_blocked_answer(self):
        for choice, wanted in (("refused", 5), ("drop", None)):
            self.running.stop()
            other = self.gateway(options={"dns_resolvers": [RESOLVER], "blocked_answer": choice},
                                 policy=lambda db: db.insert("domain_rules", domain="a.test"))
            stream = self.client(other)
            got = stream.ask(5, STATED, query("a.test"), DNS | REBIND, timeout=0.5)
            self.assertEqual(got and answer(got.payload).rcode, wanted, choice)
            other.stop()

    def test_admission_cuts_a_running_forward_and_keeps_new_streams_out(self):
        self.assertTrue(self.echoes())
        other = self.policy.insert("admissions", plugin="echo", action="deny")
        row = self.policy.insert("admissions", plugin="udp*", listener="*", action="deny")
        self.within_a_second(lambda: not self.echoes(), "the forward cut")
        refused = self.client(self.running)
        self.assertTrue(refused.wait_end(), "a new stream is closed")
        self.policy.delete("admissions", row)
        self.within_a_second(self.echoes, "the forward restored")
        self.policy.delete("admissions", other)

    def test_port_is_denied_for_a_running_forward_and_restored(self):
        self.assertTrue(self.echoes())
        sockets = self.running.udp_sockets()
        row = self.policy.insert("port_permits", ports=str(self.echo.port), transport="udp", action="deny", priority=1)
        self.within_a_second(lambda: not self.echoes(), "the running forward is cut")
        self.assert_soon(lambda: self.running.udp_sockets() < sockets, "its socket is closed")
        self.policy.delete("port_permits", row)
        self.within_a_second(self.echoes, "restored")

    def test_idle_forward_is_cut_too(self):
        """Nothing is sent by the client: the far end's datagrams stop coming within a second."""
        self.assertTrue(self.echoes())
        source = self.echo.last_source(b"ping")
        self.echo.send(INTERNET[0], source, b"before")
        self.assertEqual(len(self.stream.receive(1)), 1)
        self.policy.insert("port_permits", ports=str(self.echo.port), action="deny", priority=1)
        self.within_a_second(lambda: self.running.udp_sockets() == 0, "no socket is left open")

    def test_bad_row_is_named_and_changes_nothing_else(self):
        row = self.policy.insert("port_permits", ports="fifty-three", action="deny", priority=1)

        def named():
            done = self.running.cli("policy", "problems")
            return f"{row}" in done.stdout and "port_permits" in done.stdout

        self.assert_soon(named, "`gatehouse policy problems` names the row")
        self.assertEqual(self.running.cli("policy", "problems").returncode, 1)
        self.assertTrue(self.echoes())
        self.assertTrue(self.resolves("b.test"))
        self.assert_soon(lambda: self.running.json("status")["state"] == "degraded", "an unreadable deny row degrades")
        self.policy.insert("domain_rules", domain="b.test")
        self.within_a_second(lambda: self.code("b.test") == NXDOMAIN, "other rows go on being compiled")
        self.policy.delete("port_permits", row)
        self.assert_soon(lambda: self.running.cli("policy", "problems").returncode == 0, "and is named no more")
        self.assert_soon(lambda: self.running.json("status")["state"] == "ok", "the state is ok again")

    def test_row_of_a_group_applies_to_its_members_only(self):
        group = self.policy.insert("groups", name="guests")
        self.policy.insert("group_members", group_id=group, kind="source", pattern="127.0.0.0/8")
        self.policy.insert("port_permits", group_id=group, ports=str(self.echo.port), action="deny", priority=1)
        self.within_a_second(lambda: not self.echoes(), "the group's members are denied")
        self.policy.sql(f"UPDATE group_members SET pattern = '10.77.0.0/24' WHERE group_id = {group};")
        self.within_a_second(self.echoes, "a client that is no member is not")

    def test_disabled_and_expired_rows_do_not_count(self):
        self.policy.insert("domain_rules", domain="a.test", enabled=0)
        self.policy.insert("domain_rules", domain="b.test", expires_at=int(time.time()) - 60)
        generation = self.running.json("status")["policy"]["generation"]
        self.policy.insert("domain_rules", domain="c.test")
        self.assert_soon(lambda: self.running.json("status")["policy"]["generation"] > generation, "a new generation")
        self.assertTrue(self.resolves("a.test") and self.resolves("b.test"))

    def test_private_destination_needs_a_permit_of_its_own(self):
        self.net.address("internet", "to_gateway", "10.98.0.10/24")
        self.net.address("gateway", "to_internet", "10.98.0.1/24")
        private = UdpEcho(self.net, "internet", ["10.98.0.10"], port=4100)
        self.addCleanup(private.stop)
        self.assertIsNone(self.stream.ask(3, ("10.98.0.10", 4100), b"no", timeout=0.3))
        self.policy.insert("port_permits", destination="0.0.0.0/0", priority=1)
        self.assertFalse(eventually(lambda: self.stream.ask(3, ("10.98.0.10", 4100), b"no", timeout=0.1), 1.5))
        self.policy.insert("port_permits", destination="10.98.0.0/24")
        self.within_a_second(lambda: self.stream.ask(3, ("10.98.0.10", 4100), b"yes", timeout=0.1), "now permitted")

    def test_shared_limit_that_clients_from_loopback_escape_is_named(self):
        self.policy.sql("DELETE FROM traffic_rules;")
        row = self.policy.insert("traffic_rules", scope="identity", concurrent_flows=8)
        said = f"traffic_rules {row}: concurrent_flows is shared"
        self.assert_soon(lambda: any(said in note for note in self.running.json("status")["policy"]["notes"]), "status")
        self.assertIn(f"look at: {said}", self.running.cli("policy", "problems").stdout)

    def test_explain_names_the_row(self):
        row = self.policy.insert("domain_rules", domain="a.test")
        asks = ["policy", "explain", "--plugin", "udpgw", "--source", "192.0.2.7", "udp", "93.184.0.53:53"]
        done = self.running.cli(*asks, "--domain", "a.test")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, rf"domain_rules\D+{row}\b")
        self.assertEqual(self.running.cli(*asks, "--domain", "b.test").returncode, 0)
        self.assertEqual(self.running.cli("policy", "explain", "udp", "127.0.0.1:53").returncode, 1)
        self.assertIn("hard", self.running.cli("policy", "order").stdout.lower())

    def test_replaced_database_is_noticed(self):
        """An editor that writes a new file and renames it over the old one."""
        self.assertTrue(self.resolves("a.test"))
        copy = pathlib.Path(str(self.running.state) + "/policy.copy")
        self.policy.sql(f"VACUUM INTO '{copy}';")
        type(self.policy)(copy).insert("domain_rules", domain="a.test")
        os.rename(copy, self.policy.path)
        self.assert_soon(lambda: self.code("a.test") == NXDOMAIN, "the new file's rows are in force")


class UnreadablePolicy(GatewayTest):
    def spoil(self, db):
        pathlib.Path(db.path).write_bytes(b"this is not a database\n" * 500)
        for suffix in ("-wal", "-shm"):
            pathlib.Path(db.path + suffix).unlink(missing_ok=True)

    def test_starts_denies_everything_and_says_so(self):
        echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(echo.stop)
        gateway = self.gateway(policy=self.spoil, ready=503)
        self.assertIn("policy", gateway.http("/readyz")[1])
        self.assertEqual(gateway.http("/livez")[0], 200)
        status = gateway.json("status")
        self.assertNotEqual(status["state"], "ok")
        self.assertTrue(any("policy" in reason for reason in status["reasons"]), status)
        self.assertEqual(gateway.cli("status").returncode, 1)
        stream = self.client(gateway)
        self.assertIsNone(stream.ask(1, (INTERNET[0], echo.port), b"denied", timeout=0.5))
        self.assertEqual(echo.received, 0)
        self.assert_says(gateway, "policy.db")


if __name__ == "__main__":
    main()
