#!/usr/bin/env python3
"""HUP reloads all or nothing, TERM drains and then stops, INT stops."""

import signal
import socket
import time

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, answer, main, query
from harness.dns import NXDOMAIN, REFUSED
from harness.gateway import SLOW
from harness.udpgw import DNS

RESOLVER = "93.184.0.53"


class Signals(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def test_int_stops_at_once_with_clients_connected(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"one"))
        start = time.monotonic()
        gateway.stop(signal.SIGINT)
        self.assertLess(time.monotonic() - start, 3 * SLOW)
        self.assertTrue(stream.wait_end())
        self.assertEqual([path for path in gateway.runtime.iterdir() if path.is_socket()], [], "no socket is left")

    def test_term_without_clients_ends_soon(self):
        gateway = self.gateway()
        start = time.monotonic()
        gateway.stop(signal.SIGTERM)
        self.assertLess(time.monotonic() - start, 3 * SLOW)

    def test_term_serves_the_clients_that_are_there(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"one"))
        gateway.process.send_signal(signal.SIGTERM)
        self.assert_soon(lambda: not self.takes_new(gateway), "no new clients")
        self.assertIn(gateway.http("/readyz")[0], (0, 503))
        got = stream.ask(1, self.there, b"two", timeout=2)
        self.assertEqual(got and got.payload, b"two", "an old client is served while the gateway drains")
        stream.close()
        self.assertEqual(gateway.wait(), 0)

    def test_int_ends_a_drain(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"one"))
        gateway.process.send_signal(signal.SIGTERM)
        self.assert_soon(lambda: not self.takes_new(gateway), "no new clients")
        gateway.process.send_signal(signal.SIGINT)
        self.assertEqual(gateway.wait(5), 0)

    def test_hup_takes_a_new_option_without_losing_clients(self):
        dns = DnsServer(self.net, "internet", [RESOLVER], {"a.test": ["198.51.100.7"]})
        self.addCleanup(dns.stop)
        table = {"listen": ["127.0.0.1:7300"], "options": {"dns_resolvers": [RESOLVER], "blocked_answer": "nxdomain"}}
        gateway = self.gateway(plugins={"udpgw": table}, policy=lambda db: db.insert("domain_rules", domain="a.test"))
        stream = self.client(gateway)
        self.assertEqual(self.code(stream), NXDOMAIN)
        table["options"]["blocked_answer"] = "refused"
        gateway.write_config({"udpgw": table})
        gateway.process.send_signal(signal.SIGHUP)
        self.assert_soon(lambda: self.code(stream) == REFUSED, "the new option counts for the old stream")

    def test_hup_with_a_broken_file_keeps_the_old_configuration(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        gateway.config.write_text("[gateway\n")
        seen = len(gateway.log)
        gateway.process.send_signal(signal.SIGHUP)
        self.assert_soon(lambda: any("gatehouse.toml" in line for line in gateway.log[seen:]), "a log line says why")
        self.assertIsNotNone(stream.ask(1, self.there, b"still"))
        self.assertTrue(self.takes_new(gateway))
        self.assertNotEqual(gateway.cli("reload").returncode, 0)

    def test_hup_tells_the_supervisor(self):
        """As Type=notify-reload of systemd waits for it, with a real datagram socket."""
        gateway = self.gateway(start=False)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(str(gateway.base / "notify"))
            supervisor.settimeout(10 * SLOW)
            gateway.environment["NOTIFY_SOCKET"] = str(gateway.base / "notify")
            gateway.start()
            self.assertEqual(supervisor.recv(4096), b"READY=1")
            whole = gateway.config.read_text()
            for text in (whole, "[gateway\n", whole):
                gateway.config.write_text(text)
                before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                gateway.process.send_signal(signal.SIGHUP)
                state = dict(line.split("=") for line in supervisor.recv(4096).decode().split("\n"))
                after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                self.assertEqual(state["RELOADING"], "1")
                self.assertTrue(before <= int(state["MONOTONIC_USEC"]) <= after, (before, state, after))
                self.assertEqual(supervisor.recv(4096), b"READY=1", "also when the old configuration stays")
                self.assertEqual(gateway.http("/readyz")[0], 200)
            gateway.process.send_signal(signal.SIGINT)
            self.assertEqual(supervisor.recv(4096), b"STOPPING=1")
            self.assertEqual(gateway.wait(), 0)

    def test_hup_with_a_changed_listener(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        gateway.write_config({"udpgw": {"listen": ["127.0.0.1:7300", "127.0.0.1:7302"]}})
        self.assertEqual(gateway.cli("reload").returncode, 0)
        self.assert_soon(lambda: self.takes_new(gateway, 7302), "the added listener")
        self.assertIsNotNone(stream.ask(1, self.there, b"still"))

    def test_drain_verb(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        self.assertIsNotNone(stream.ask(1, self.there, b"one"))
        self.assertEqual(gateway.cli("drain").returncode, 0)
        self.assert_soon(lambda: gateway.http("/readyz")[0] == 503, "not ready while it drains")
        self.assertEqual(gateway.json("status")["state"], "draining")
        self.assertIsNotNone(stream.ask(1, self.there, b"two"))

    def code(self, stream):
        got = stream.ask(5, ("203.0.113.9", 53), query("a.test"), DNS, timeout=0.5)
        return got and answer(got.payload).rcode

    def takes_new(self, gateway, port=7300):
        """A new client is served, not only accepted by the kernel."""
        try:
            with gateway.udpgw(port=port) as stream:
                return stream.ask(1, self.there, b"new", timeout=0.5) is not None
        except OSError:
            return False


if __name__ == "__main__":
    main()
