#!/usr/bin/env python3
"""udpgw over an HTTP opening: tokens, WebSocket, whose address counts, and what probe and attach make of it."""

import json
import os
import pathlib
import subprocess
import time

from harness import BUILD, INTERNET, GatewayTest, UdpEcho, eventually, main
from harness.tls import Authority, Refused, WebSocket, open_http
from harness.udpgw import Udpgw, frame

PORT = 7302  # of the gateway, on loopback


class HttpTest(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)

    def start(self, policy=None, **listener):
        return self.gateway(policy=policy, listen=[{"address": f"127.0.0.1:{PORT}", "opening": "http", **listener}])

    def token(self, gateway, name="bob", *more):
        """A new one, in force."""
        token = gateway.json("token", "new", name, *more)["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        return token

    def connect(self, **opening):
        """A udpgw stream behind an opening on loopback. Raises Refused."""
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        return self.opened(stream, **opening)

    @staticmethod
    def opened(stream, **opening):
        rest = open_http(stream, **opening)
        if opening.get("upgrade") == "websocket":
            return Udpgw(WebSocket(stream, rest))
        return Udpgw(stream)

    def refusal(self, **opening):
        with self.assertRaises(Refused) as refused:
            self.connect(**opening)
        return refused.exception

    def assert_echoes(self, stream, payload=b"hello"):
        got = stream.ask(1, (INTERNET[0], self.echo.port), payload)
        self.assertIsNotNone(got)
        self.assertEqual(got.payload, payload)


class Tokens(HttpTest):
    def test_a_token_gives_an_identity_over_bare_bytes_and_over_websocket(self):
        gateway = self.start(auth="token")
        token = self.token(gateway)
        for upgrade in (None, "websocket"):
            stream = self.connect(token=token, upgrade=upgrade)
            for size in (0, 1, 125, 126, 1400, 20000):
                self.assert_echoes(stream, os.urandom(size))
            sessions = gateway.json("sessions")["sessions"]
            self.assertEqual({session["identity"] for session in sessions if session["ended_at"] is None}, {"token:bob"})
        self.assertNotIn(token, gateway.text())

    def test_without_one_and_with_a_wrong_one_it_is_401(self):
        self.start(auth="token")
        for token in (None, "guessed-token"):
            refused = self.refusal(token=token)
            self.assertEqual(refused.status, 401)
            self.assertIn("WWW-Authenticate: Bearer", refused.head)
            self.assertNotIn("guessed", refused.body)

    def test_a_revoked_token_lets_no_new_stream_in_within_a_second(self):
        gateway = self.start(auth="token")
        token = self.token(gateway)
        self.assert_echoes(self.connect(token=token))
        self.assertEqual(gateway.cli("token", "revoke", "bob").returncode, 0)
        begin = time.monotonic()

        def is_refused():
            try:
                self.connect(token=token)
            except Refused as refused:
                return refused.status == 401
            return False

        self.assertTrue(eventually(is_refused, 5))
        self.assertLess(time.monotonic() - begin, 1)

    def test_revoke_with_cut_ends_running_streams_and_nobody_elses(self):
        gateway = self.start(auth="token")
        bob = [self.connect(token=self.token(gateway), upgrade=upgrade) for upgrade in (None, "websocket")]
        ann = self.connect(token=self.token(gateway, "ann"))
        for stream in (*bob, ann):
            self.assert_echoes(stream)
        done = gateway.json("token", "revoke", "bob", "--cut")
        self.assertEqual(done["ended_sessions"], 2)
        for stream in bob:
            self.assertTrue(stream.wait_end(timeout=1))
        self.assert_echoes(ann)

    def test_a_source_of_wrong_tokens_is_told_to_wait(self):
        def policy(db):
            db.sql("UPDATE traffic_rules SET token_failures_per_minute = 5;")

        gateway = self.start(policy=policy, auth="token", trusted_proxies=["127.0.0.1"])
        token = self.token(gateway)
        one, other = (["X-Forwarded-For: 192.0.2.7"], ["X-Forwarded-For: 192.0.2.8"])
        statuses = [self.refusal(token=f"wrong{number}", fields=one).status for number in range(8)]
        self.assertEqual(statuses, [401] * 5 + [429] * 3)
        refused = self.refusal(token=token, fields=one)  # nor is a good one looked at
        self.assertEqual(refused.status, 429)
        self.assertIn("Retry-After: ", refused.head)
        self.assert_echoes(self.connect(token=token, fields=other))

    def test_policy_says_no_before_the_switch(self):
        def policy(db):
            db.sql("INSERT INTO admissions (plugin, action) VALUES ('udpgw', 'deny');")

        self.start(policy=policy)
        self.assertEqual(self.refusal().status, 403)

    def test_one_stream_too_many_is_429(self):
        def policy(db):
            db.sql("UPDATE traffic_rules SET concurrent_sessions = 1;")

        gateway = self.start(policy=policy, auth="token")
        token = self.token(gateway)
        self.assert_echoes(self.connect(token=token))
        self.assertEqual(self.refusal(token=token).status, 429)


class Pages(HttpTest):
    def ask_as(self, origin):
        return self.connect(upgrade="websocket", fields=[f"Origin: {origin}"])

    def test_only_pages_that_are_meant_are_served(self):
        self.start(origins=["https://app.example", "http://localhost:8080"])
        for origin in ("https://app.example", "http://localhost:8080"):
            self.assert_echoes(self.ask_as(origin))
        self.assert_echoes(self.connect())
        for origin in ("https://evil.example", "null", "http://app.example"):
            with self.assertRaises(Refused) as refused:
                self.ask_as(origin)
            self.assertEqual(refused.exception.status, 403)
            self.assertNotIn("evil", refused.exception.body)

    def test_without_any_no_page_is_served_and_check_wants_an_opening(self):
        gateway = self.start()
        with self.assertRaises(Refused) as refused:
            self.ask_as("https://app.example")
        self.assertEqual(refused.exception.status, 403)
        for facts, says in (('origins = ["https://app.example"]', 'write opening = "http"'),
                            ('opening = "http", origins = ["*"]', "each page that may ask is named")):
            gateway.drop_in(f'[plugin.udpgw]\nlisten = [{{ address = "127.0.0.1:{PORT}", {facts} }}]\n')
            done = gateway.cli("check")
            self.assertEqual(done.returncode, 2, facts)
            self.assertIn("50-test.toml:2", done.stderr)
            self.assertIn(says, done.stderr)


class Openings(HttpTest):
    def test_what_is_no_opening_is_told_so(self):
        self.start()
        for plugin, upgrade, status in (("echo", "udpgw", 404), ("udpgw", "h2c", 426)):
            self.assertEqual(self.refusal(plugin=plugin, upgrade=upgrade).status, status)
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        stream.sendall(b"\x05\x00\x00\x01\x00\x00\x00")  # udpgw without an opening
        self.assertIn(b"400", stream.recv(4096))

    def test_who_says_half_an_opening_is_let_go(self):
        gateway = self.start()
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        stream.sendall(b"GET /udpgw HTTP/1.1\r\nHost: x")
        stream.settimeout(10)
        self.assertEqual(stream.recv(4096), b"")
        self.assertEqual(gateway.metric("gatehouse_plugin_udpgw_openings_refused_total", cause="too_slow"), 1)


class ProbeAndAttach(HttpTest):
    """The gateway's own clients, within TLS."""

    def setUp(self):
        super().setUp()
        self.authority = Authority(f"/run/tls-{self.id().rsplit('.', 1)[1]}")
        certificate, key = self.authority.issue("server")
        self.running = self.start(auth="token", tls={"certificate": certificate, "key": key})
        self.token_file = pathlib.Path(self.authority.folder / "token")
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(self.token(self.running) + "\n")
        self.words = ["--tls", "--ca", str(self.authority.certificate), "--server-name", "gate.example"]

    def probe(self, *words):
        return self.net.run("gateway", [str(BUILD / "bin" / "gatehouse"), "probe", "--config", str(self.running.config),
                                        "--json", "udpgw", f"127.0.0.1:{PORT}", *self.words, "--echo",
                                        f"{INTERNET[0]}:{self.echo.port}", "--count", "3", *words], check=False)

    def test_probe_goes_through_bare_bytes_and_websocket(self):
        for opening in ("--http", "--websocket"):
            done = self.probe(opening, "--token-file", str(self.token_file))
            self.assertEqual(done.returncode, 0, done)
            said = json.loads(done.stdout)
            self.assertEqual((said["round_trips"], said["tls"]["version"], said["http"]), (3, "TLSv1.3", True))

    def test_probe_says_what_is_missing(self):
        done = self.probe("--http")
        self.assertEqual(done.returncode, 1)
        self.assertIn("401", done.stderr)
        self.words[2] = str(Authority("/run/tls-stranger-http", "stranger").certificate)
        done = self.probe("--http", "--token-file", str(self.token_file))
        self.assertEqual(done.returncode, 1)
        self.assertIn("not signed by an authority", done.stderr)

    def test_attach_joins_standard_streams_with_a_listener_over_tcp(self):
        for opening in ("--http", "--websocket"):
            program = self.net.popen("gateway", [str(BUILD / "bin" / "gatehouse"), "attach", "udpgw", "--config",
                                                 str(self.running.config), "--address", f"127.0.0.1:{PORT}", *self.words,
                                                 opening, "--token-file", str(self.token_file)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.addCleanup(lambda program=program: (program.kill(), program.wait(), program.stdout.close()))
            sent = frame(9, (INTERNET[0], self.echo.port), b"attached")
            program.stdin.write(sent)
            program.stdin.flush()
            self.assertEqual(program.stdout.read(len(sent)), sent)
            program.stdin.close()
            self.assertEqual(program.wait(10), 0)


class ProxyHeaders(HttpTest):
    def header(self, text):
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        stream.sendall(text)
        return stream

    def test_both_versions_tell_the_source(self):
        gateway = self.gateway(listen=[{"address": f"127.0.0.1:{PORT}", "proxy_protocol": True,
                                        "trusted_proxies": ["127.0.0.1"]}])
        one = self.header(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n")
        two = self.header(b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 8, 198, 51, 100, 1]) + b"\x12\x34\x01\xbb")
        for stream in (one, two):
            self.assert_echoes(Udpgw(stream))
        sources = {session["source"] for session in gateway.json("sessions")["sessions"]}
        self.assertEqual(sources, {"192.0.2.7:4711", "192.0.2.8:4660"})

    def test_limits_of_a_source_hold_behind_a_proxy(self):
        def policy(db):
            db.sql("UPDATE traffic_rules SET concurrent_sessions = 1;")

        self.gateway(policy=policy, listen=[{"address": f"127.0.0.1:{PORT}", "proxy_protocol": True,
                                             "trusted_proxies": ["127.0.0.1"]}])
        first = Udpgw(self.header(b"PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r\n"))
        self.assert_echoes(first)
        again = Udpgw(self.header(b"PROXY TCP4 192.0.2.7 198.51.100.1 2 443\r\n"))
        self.assertTrue(again.wait_end())
        other = Udpgw(self.header(b"PROXY TCP4 192.0.2.8 198.51.100.1 1 443\r\n"))
        self.assert_echoes(other)

    def test_who_is_no_trusted_proxy_is_refused(self):
        gateway = self.gateway(listen=[{"address": f"127.0.0.1:{PORT}", "proxy_protocol": True,
                                        "trusted_proxies": ["192.0.2.0/24"]}])
        stream = Udpgw(self.header(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"))
        self.assertTrue(stream.wait_end())
        self.assertEqual(gateway.metric("gatehouse_plugin_udpgw_openings_refused_total", cause="proxy"), 1)


if __name__ == "__main__":
    main()
