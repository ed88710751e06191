#!/usr/bin/env python3
"""log.flow_log: every verdict as a line when an operator wants it, and nothing of it anywhere when not."""

import json
import pathlib
import signal
import socket

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, answer, main, query
from harness.dns import NXDOMAIN
from harness.udpgw import DNS

RESOLVER = "93.184.0.53"
ALLOWED, BLOCKED = "whereto-one.test", "whereto-two.test"
STATED = ("203.0.113.9", 53)
FILE = pathlib.Path("/run/flows.json")


class FlowLogCase(GatewayTest):
    def setUp(self):
        self.dns = DnsServer(self.net, "internet", [RESOLVER], {ALLOWED: ["198.51.100.7"]})
        self.addCleanup(self.dns.stop)
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        for file in FILE.parent.glob(FILE.name + "*"):
            file.unlink()

    def logging(self, file=FILE):
        """A gateway with a blocked name, whose clients are token:bob."""
        gateway = self.gateway(start=False, options={"dns_resolvers": [RESOLVER]},
                               listen=[{"address": "127.0.0.1:7300", "identity": "token:bob"}])
        if file:
            gateway.drop_in(f'[log]\nflow_log = "{file}"\n')
        self.row = gateway.init_policy().insert("domain_rules", domain=BLOCKED)
        return gateway.start()

    def lines(self, file=FILE):
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def shows(self, file=FILE, **members):
        """The first line that has these members, once it is there."""
        def found():
            return [line for line in self.lines(file) if members.items() <= line.items()]
        self.assert_soon(found, f"a line with {members} in {self.lines(file)}")
        return found()[0]

    def traffic(self, stream):
        """A name that is allowed, one that is not, a host, and this machine itself."""
        self.assertEqual(answer(stream.ask(1, STATED, query(ALLOWED), DNS).payload).addresses, ["198.51.100.7"])
        self.assertEqual(answer(stream.ask(2, STATED, query(BLOCKED), DNS).payload).rcode, NXDOMAIN)
        self.assertIsNotNone(stream.ask(3, (INTERNET[0], self.echo.port), b"hello"))
        self.assertIsNone(stream.ask(4, ("127.0.0.1", 53), query(ALLOWED), timeout=0.2))


class FlowLog(FlowLogCase):
    def test_each_verdict_is_a_line(self):
        gateway = self.logging()
        self.traffic(self.client(gateway))
        who = {"plugin": "udpgw", "identity": "token:bob", "source": "127.0.0.1", "transport": "udp"}
        allowed = self.shows(domain=ALLOWED, verdict="allow", reason="resolver", port=53, destination=RESOLVER, **who)
        self.assertRegex(allowed["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(allowed["generation"], gateway.json("status")["policy"]["generation"])
        self.shows(domain=BLOCKED, verdict="deny", reason="domain", table="domain_rules", row=self.row, **who)
        self.shows(destination=INTERNET[0], port=self.echo.port, verdict="allow", reason="port_permit",
                   table="port_permits", **who)
        denied = self.shows(destination="127.0.0.1", verdict="deny", reason="hard_deny", **who)
        self.assertNotIn("row", denied)
        self.assertEqual(FILE.stat().st_mode & 0o777, 0o640)
        status = gateway.json("status")["flow_log"]
        self.assertEqual((status["file"], status["lines"], status["lost"]), (str(FILE), len(self.lines()), 0))
        self.assertEqual(gateway.metric("gatehouse_flow_log_lines_total"), len(self.lines()))
        self.assert_says(gateway, "flow_log is set")

    def test_the_last_lines_are_there_after_the_end(self):
        gateway = self.logging()
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(3, (INTERNET[0], self.echo.port), b"hello"))
        gateway.stop()
        self.assertTrue([line for line in self.lines() if line["destination"] == INTERNET[0]])

    def test_rotation_with_and_without_a_signal(self):
        gateway = self.logging()
        stream = self.client(gateway)
        for number, tell in enumerate((lambda: None, lambda: gateway.process.send_signal(signal.SIGHUP)), 1):
            old = FILE.rename(f"{FILE}.{number}")
            tell()
            self.assert_soon(lambda: self.asked_again(stream, number) and FILE.exists(), "a new file")
            self.shows(file=FILE, domain=f"again-{number}.test")
            self.assertFalse([line for line in self.lines(old) if line.get("domain") == f"again-{number}.test"])

    def asked_again(self, stream, number):
        return stream.ask(9, STATED, query(f"again-{number}.test"), DNS, timeout=1) is not None

    def test_a_reload_switches_it_on_and_off(self):
        gateway = self.logging(file=None)
        stream = self.client(gateway)
        self.traffic(stream)
        gateway.drop_in(f'[log]\nflow_log = "{FILE}"\n')
        self.assertEqual(gateway.cli("reload").returncode, 0)
        self.assertEqual(self.lines(), [], "nothing of what was before")
        self.traffic(stream)
        self.shows(domain=ALLOWED)
        gateway.drop_in("")
        self.assertEqual(gateway.cli("reload").returncode, 0)
        before = FILE.read_text()
        self.traffic(stream)
        gateway.stop()
        self.assertEqual(FILE.read_text(), before)

    def test_a_file_that_cannot_be_is_a_sentence(self):
        gateway = self.logging(file=None)
        gateway.drop_in('[log]\nflow_log = "/run/none/flows.json"\n')
        done = gateway.cli("reload")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/run/none/flows.json", done.stderr)
        gateway.stop()
        gateway.spawn()
        self.assertEqual(gateway.wait(), 2)
        self.assert_says(gateway, "/run/none/flows.json")


class Privacy(FlowLogCase):
    """Where clients go is in no file of the gateway's: not in its databases, not in its log at the level info."""

    def test_nothing_of_destinations_or_names_is_kept(self):
        gateway = self.logging(file=None)
        gateway.drop_in('[log]\nlevel = "info"\n')
        self.assertEqual(gateway.cli("reload").returncode, 0)
        self.traffic(self.client(gateway))
        self.assertEqual(gateway.cli("usage").returncode, 0, "everything is written by then")
        self.search(gateway)
        gateway.stop()
        self.search(gateway)

    def search(self, gateway):
        kept = {path: path.read_bytes() for path in gateway.state.rglob("*")
                if path.is_file() and not path.name.startswith("policy")}
        self.assertIn(gateway.state / "state.db", kept)
        kept["the log"] = gateway.text().encode()
        traces = [b"whereto-", b"198.51.100.7", INTERNET[0].encode(), socket.inet_aton(INTERNET[0]), RESOLVER.encode(),
                  socket.inet_aton(RESOLVER)]
        for where, data in kept.items():
            for trace in traces:
                self.assertNotIn(trace, data, f"{trace} in {where}")


if __name__ == "__main__":
    main()
