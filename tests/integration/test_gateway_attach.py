#!/usr/bin/env python3
"""attach, probe and sessions: a frontend reached through the command line."""

import pwd
import os
import subprocess

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, frame, main
from harness.gateway import PROGRAM
from harness.udpgw import parse

RESOLVER = "93.184.0.53"


def values(tree, key):
    """Every value of that key anywhere in a JSON tree."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(tree, list):
        for one in tree:
            yield from values(one, key)


class CommandLine(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.dns = DnsServer(self.net, "internet", [RESOLVER], {"a.test": ["198.51.100.7"]})
        self.addCleanup(self.dns.stop)
        self.running = self.gateway(listen=["127.0.0.1:7300", "unix:/run/udpgw.sock"],
                                    options={"dns_resolvers": [RESOLVER]})

    def attached(self):
        child = self.net.popen("gateway", [str(PROGRAM), "attach", "--config", str(self.running.config), "udpgw"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stdin.close)
        return child

    def test_attach_joins_stdin_and_stdout_to_the_frontend(self):
        child = self.attached()
        for number in range(10):
            child.stdin.write(frame(7, (INTERNET[0], self.echo.port), b"line %d" % number))
            child.stdin.flush()
            got, _ = parse(child.stdout.read(2 + 9 + 6))
            self.assertEqual([one.payload for one in got], [b"line %d" % number])
        me = pwd.getpwuid(os.geteuid()).pw_name
        self.assertIn(f"unix:{me}", list(values(self.running.json("sessions"), "identity")))
        child.stdin.close()
        self.assertEqual(child.wait(10), 0, "ends with its input")

    def test_attach_delivers_replies_due_at_the_end_of_input(self):
        self.echo.delay = 0.3
        child = self.attached()
        child.stdin.write(frame(7, (INTERNET[0], self.echo.port), b"late"))
        child.stdin.close()
        got, rest = parse(child.stdout.read())
        self.assertEqual(([one.payload for one in got], rest), ([b"late"], b""))

    def test_attach_ends_with_the_gateway(self):
        child = self.attached()
        child.stdin.write(frame(7, (INTERNET[0], self.echo.port), b"x"))
        child.stdin.flush()
        self.assertEqual(len(child.stdout.read(12)), 12)
        self.running.stop()
        child.wait(10)

    def test_policy_judges_the_unix_identity(self):
        group = self.running.policy.insert("groups", name="shell users")
        self.running.policy.insert("group_members", group_id=group, kind="identity", pattern="unix:*")
        self.running.policy.insert("port_permits", group_id=group, ports=str(self.echo.port), action="deny", priority=1)
        child = self.attached()
        plain = self.client(self.running)

        def denied():
            before = self.echo.received
            child.stdin.write(frame(7, (INTERNET[0], self.echo.port), b"attached"))
            child.stdin.flush()
            plain.ask(1, (INTERNET[0], self.echo.port), b"plain", timeout=0.3)
            return self.echo.received - before == 1

        self.assert_soon(denied, "the Unix client is denied, the TCP client is not")

    def test_sessions_lists_clients_while_they_are_there(self):
        stream = self.client(self.running)
        self.assertIsNotNone(stream.ask(1, (INTERNET[0], self.echo.port), b"x"))
        self.assertIn("udpgw", list(values(self.running.json("sessions"), "plugin")))
        stream.close()
        self.assert_soon(lambda: "udpgw" not in list(values(self.running.json("sessions"), "plugin")), "gone")

    def probe(self, *words):
        return self.net.run("gateway", [str(PROGRAM), "probe", "--config", str(self.running.config), "udpgw", *words],
                            check=False)

    def test_probe_asks_a_name_through_the_gateway(self):
        done = self.probe("127.0.0.1:7300", "--dns", "a.test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("198.51.100.7", done.stdout)
        self.assertEqual(self.dns.queries("a.test"), 1)

    def test_probe_needs_no_configuration(self):
        done = self.net.run("gateway", [str(PROGRAM), "probe", "udpgw", "127.0.0.1:7300", "--dns", "a.test"], check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("198.51.100.7", done.stdout)

    def test_probe_measures_round_trips(self):
        done = self.probe("127.0.0.1:7300", "--echo", f"{INTERNET[0]}:{self.echo.port}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(self.echo.received, 0)
        done = self.probe("127.0.0.1:7300", "--echo", f"[{INTERNET[1]}]:{self.echo.port}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_probe_of_nothing_fails(self):
        done = self.probe("127.0.0.1:7999", "--dns", "a.test")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        done = self.probe("127.0.0.1:7300", "--echo", f"{INTERNET[0]}:9")
        self.assertEqual(done.returncode, 1, "an echo that does not come back")

    def test_status_names_the_plugin_and_the_generation(self):
        status = self.running.json("status")
        self.assertEqual(status["state"], "ok", status)
        self.assertEqual([one["name"] for one in status["plugins"]], ["udpgw"])
        self.assertGreater(status["policy"]["generation"], 0)
        self.assertEqual(self.running.cli("status").returncode, 0)

    def test_status_without_a_gateway_says_so(self):
        self.running.stop()
        done = self.running.cli("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("control.sock", done.stdout + done.stderr)

    def test_metrics_are_open_metrics(self):
        status, body = self.running.http("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(body.rstrip().endswith("# EOF"))
        self.assertIn("gatehouse_plugin_udpgw_", body)


if __name__ == "__main__":
    main()
