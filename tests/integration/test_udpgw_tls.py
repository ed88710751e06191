#!/usr/bin/env python3
"""udpgw over TLS: who is let in, certificates that are replaced, and floods of handshakes."""

import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time

from harness import GATEWAY, INTERNET, GatewayTest, UdpEcho, eventually, main
from harness.tls import Authority
from harness.udpgw import Udpgw, frame

PORT = 7301
HALF_HANDSHAKES = 20_000
# A process of its own: connects, says half a ClientHello, and waits for nothing. 2,000 stay open at a time.
FLOOD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
half, held, made = b"\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03" + bytes(100), [], 0
while made < int(sys.argv[3]):
    one = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
    try:
        one.sendall(half)
    except OSError:
        pass
    made += 1
    held.append(one)
    if len(held) > 2000:
        held.pop(0).close()
print(made)
"""


class TlsTest(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.authority = Authority(f"/run/tls-{self.id().rsplit('.', 1)[1]}")
        self.files = self.authority.issue("server")

    def start(self, policy=None, days=None, listener=None, section="", nofile=None, **tls):
        """A gateway with a plain listener on loopback and one with TLS for everybody."""
        certificate, key = self.files
        at = {"address": f"0.0.0.0:{PORT}", "tls": {"certificate": certificate, "key": key, **tls},
              **(listener or {"auth": "none"})}
        return self.gateway(policy=policy, listen=["127.0.0.1:7300", at], extra=section, nofile=nofile)

    def connect(self, context=None, name="gate.example", namespace="client", host=GATEWAY[0]):
        """A TLS connection, shaken hands."""
        plain = self.net.connect(namespace, host, PORT)
        stream = (context or self.authority.context()).wrap_socket(plain, server_hostname=name)
        self.addCleanup(stream.close)
        return stream

    def client(self, *where, **options):
        return Udpgw(self.connect(*where, **options))

    def assert_echoes(self, stream, conid=1, payload=b"hello"):
        got = stream.ask(conid, (INTERNET[0], self.echo.port), payload)
        self.assertIsNotNone(got)
        self.assertEqual(got.payload, payload)


class Tls(TlsTest):
    def test_datagrams_go_and_come_within_tls(self):
        self.start()
        stream = self.client()
        for size in (0, 1, 1400, 9000, 20000):
            self.assert_echoes(stream, payload=os.urandom(size))
        self.assertEqual(stream.stream.version(), "TLSv1.3")

    def test_many_large_frames_at_once_are_all_answered(self):
        self.start()
        stream = self.client()
        sent, answers = set(), set()
        for _ in range(20):  # so many at once as the echo's socket has room for
            batch = [os.urandom(4000) for _ in range(20)]
            stream.write(b"".join(frame(7, (INTERNET[0], self.echo.port), payload) for payload in batch))
            sent.update(batch)
            answers.update(got.payload for got in stream.receive(20))
        self.assertEqual(len(answers), 400)
        self.assertTrue(answers == sent)

    def test_openssl_s_client_is_served(self):
        self.start()
        program = self.net.popen("client", ["openssl", "s_client", "-quiet", "-connect", f"{GATEWAY[0]}:{PORT}",
                                            "-servername", "gate.example", "-CAfile", str(self.authority.certificate),
                                            "-verify_return_error"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (program.kill(), program.wait(), program.stdin.close(), program.stdout.close()))
        sent = frame(9, (INTERNET[0], self.echo.port), b"by s_client")
        program.stdin.write(sent)
        program.stdin.flush()
        self.assertEqual(program.stdout.read(len(sent)), frame(9, (INTERNET[0], self.echo.port), b"by s_client"))

    def test_only_one_three_is_spoken_unless_the_operator_says_otherwise(self):
        gateway = self.start()
        older = self.authority.context()
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises(ssl.SSLError):
            self.connect(older)
        gateway.drop_in('[tls]\nminimum = "1.2"\n')
        self.assertEqual(gateway.cli("reload").returncode, 0)
        stream = self.client(older)
        self.assert_echoes(stream)
        self.assertEqual(stream.stream.version(), "TLSv1.2")

    def test_plain_clients_are_refused_and_the_log_says_why(self):
        gateway = self.start()
        plain = Udpgw(self.net.connect("client", GATEWAY[0], PORT))
        self.addCleanup(plain.close)
        plain.send(1, (INTERNET[0], self.echo.port), b"plain")
        self.assertTrue(plain.wait_end())
        self.assert_says(gateway, "stream refused")
        self.assertEqual(gateway.metric("gatehouse_plugin_udpgw_openings_refused_total", cause="tls"), 1)

    def test_replies_still_come_after_the_clients_fin(self):
        self.start()
        slow = UdpEcho(self.net, "internet", [INTERNET[0]], port=4002, delay=0.3)
        self.addCleanup(slow.stop)
        stream = self.client()
        stream.send(3, (INTERNET[0], 4002), b"last")
        socket.socket.shutdown(stream.stream, socket.SHUT_WR)  # without a close_notify, as many clients do
        got = stream.next_of(3)
        self.assertIsNotNone(got)
        self.assertEqual(got.payload, b"last")
        self.assertTrue(stream.wait_end())


class ClientCertificates(TlsTest):
    def policy(self, db):
        db.sql("INSERT INTO credentials (kind, value, identity) VALUES ('cert', 'bob.example', 'cert:bob');")

    def start(self, **more):
        return super().start(policy=self.policy, listener={"auth": "cert"}, client_ca=self.authority.certificate, **more)

    def refused(self, context):
        """Whether such a client is turned away, and no other: in TLS 1.3 it learns that with its first read."""
        try:
            stream = Udpgw(self.connect(context))
            return stream.ask(1, (INTERNET[0], self.echo.port), b"x") is None and stream.wait_end()
        except (ssl.SSLError, ConnectionError):
            return True

    def test_a_certificate_that_a_row_names_gives_an_identity(self):
        gateway = self.start()
        shown = self.authority.issue("bob", "DNS:bob.example")
        stream = self.client(self.authority.context(shown))
        self.assert_echoes(stream)
        self.assertEqual([session["identity"] for session in gateway.json("sessions")["sessions"]], ["cert:bob"])

    def test_others_are_refused(self):
        gateway = self.start()
        stranger = Authority("/run/tls-stranger", "stranger")
        for shown in (None, self.authority.issue("eve", "DNS:eve.example"), stranger.issue("bob", "DNS:bob.example")):
            self.assertTrue(self.refused(self.authority.context(shown)), shown)
        refusals = {cause: gateway.metric("gatehouse_plugin_udpgw_openings_refused_total", cause=cause)
                    for cause in ("tls", "credential")}
        self.assertEqual(refusals, {"tls": 2, "credential": 1})
        self.assert_says(gateway, "no row of credentials has eve.example")
        self.assert_echoes(self.client(self.authority.context(self.authority.issue("bob", "DNS:bob.example"))))

    def test_a_row_that_goes_lets_no_new_stream_in(self):
        gateway = self.start()
        context = self.authority.context(self.authority.issue("bob", "DNS:bob.example"))
        self.assert_echoes(self.client(context))
        gateway.policy.sql("DELETE FROM credentials;")
        self.assertTrue(eventually(gateway.policy_in_force, 2))
        self.assertTrue(self.refused(context))


class Certificates(TlsTest):
    def shown(self):
        """The serial number that a new stream is shown."""
        return self.connect().getpeercert()["serialNumber"]

    def test_a_new_certificate_is_shown_without_a_reload_and_a_thousand_streams_go_on(self):
        gateway = self.start(nofile=8192)
        gateway.policy.sql("UPDATE traffic_rules SET concurrent_sessions = 0;")
        self.assertTrue(eventually(gateway.policy_in_force, 2))
        streams = [self.client() for _ in range(1000)]
        before = self.shown()
        self.files = self.authority.issue("server")
        self.assertTrue(eventually(lambda: self.shown() != before, 10, pause=0.3), "the old one is still shown")
        for number, stream in enumerate(streams):
            stream.send(number, (INTERNET[0], self.echo.port), b"%d" % number)
        for number, stream in enumerate(streams):
            got = stream.next_of(number, timeout=10)
            self.assertIsNotNone(got, f"stream {number}")
            self.assertEqual(got.payload, b"%d" % number)
        self.assertEqual(gateway.json("status")["state"], "ok")

    def test_hup_takes_other_files_and_leaves_streams_alone(self):
        gateway = self.start()
        before, stream = self.shown(), self.client()
        certificate, key = self.authority.issue("other")
        gateway.drop_in(f'[plugin.udpgw]\nlisten = ["127.0.0.1:7300", {{ address = "0.0.0.0:{PORT}", auth = "none", '
                        f'tls = {{ certificate = "{certificate}", key = "{key}" }} }}]\n')
        gateway.process.send_signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: self.shown() != before, 5, pause=0.2), gateway.text())
        self.assert_echoes(stream)

    def test_a_pair_that_does_not_match_yet_leaves_the_old_one(self):
        gateway = self.start()
        certificate, key = self.files
        before, old_key = self.shown(), key.read_text()
        self.authority.issue("server")
        new_key = key.read_text()
        key.write_text(old_key)  # half replaced: the certificate is new
        self.assertTrue(eventually(lambda: "certificate" in " ".join(gateway.json("status")["reasons"]), 10))
        self.assertEqual(self.shown(), before)
        key.write_text(new_key)
        self.assertTrue(eventually(lambda: self.shown() != before, 10, pause=0.3))
        self.assertTrue(eventually(lambda: gateway.json("status")["state"] == "ok", 10))

    def test_a_certificate_that_will_expire_soon_is_told(self):
        self.files = self.authority.issue("server", days=5)
        gateway = self.start()
        status = gateway.json("status")
        self.assertTrue(any("expire" in reason for reason in status["reasons"]), status)
        expiry = gateway.metric("gatehouse_certificate_expiry_seconds", plugin="udpgw")
        self.assertAlmostEqual(expiry, time.time() + 5 * 86400, delta=600)

    def test_reload_refuses_a_certificate_that_does_not_work_and_keeps_all(self):
        gateway = self.start()
        before = self.shown()
        stream = self.client()
        other = self.authority.issue("other")[1]
        gateway.drop_in(f'[plugin.udpgw]\nlisten = ["127.0.0.1:7300", {{ address = "0.0.0.0:{PORT}", auth = "none", '
                        f'tls = {{ certificate = "{self.files[0]}", key = "{other}" }} }}]\n')
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 2, done)
        self.assertIn(str(other), done.stdout + done.stderr)
        self.assertEqual(self.shown(), before)
        self.assert_echoes(stream)

    def test_one_that_has_expired_is_served_and_keeps_nobody_down(self):
        certificate, _ = self.authority.issue("server", days=0)  # valid until the second in which it was made
        time.sleep(1.1)
        gateway = self.start()
        done = gateway.cli("check")
        self.assertEqual(done.returncode, 0, done)
        self.assertRegex(done.stderr, rf"warning: .*toml:\d+.*{certificate} \(CN=server\) has expired at")
        self.assertTrue(eventually(lambda: "has expired at" in gateway.cli("status").stdout))
        self.assertIn("degraded", gateway.cli("status").stdout)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect()
        careless = self.authority.context()
        careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
        self.assert_echoes(self.client(careless))
        plain = Udpgw(self.net.connect("gateway", "127.0.0.1", 7300))
        self.addCleanup(plain.close)
        self.assert_echoes(plain)

    def test_check_tells_what_is_wrong_with_file_and_line(self):
        gateway = self.start()
        certificate, key = self.files
        other = self.authority.issue("other")[1]
        for wrong, says in ((f'tls = {{ certificate = "{certificate}" }}', "key"),
                            (f'tls = {{ certificate = "{certificate}", key = "{other}" }}', "other.key"),
                            (f'tls = {{ certificate = "{certificate}", key = "{certificate}" }}', "server.pem"),
                            (f'tls = {{ certificate = "/nowhere.pem", key = "{key}" }}', "/nowhere.pem"),
                            (f'tls = {{ certificate = "{certificate}", key = "{key}" }}, auth = "cert"', "client_ca"),
                            (f'tls = {{ certificate = "{certificate}", key = "{key}" }}, auth = "token"', "opening")):
            auth = "" if "auth" in wrong else ', auth = "none"'
            gateway.drop_in(f'[plugin.udpgw]\nlisten = [{{ address = "0.0.0.0:{PORT}", {wrong}{auth} }}]\n')
            done = gateway.cli("check")
            self.assertEqual(done.returncode, 2, wrong)
            self.assertIn("50-test.toml:2", done.stdout + done.stderr, wrong)
            self.assertIn(says, done.stdout + done.stderr, wrong)
        gateway.drop_in("")
        key.chmod(0o644)
        done = gateway.cli("check")
        self.assertEqual(done.returncode, 2)
        self.assertIn("server.key", done.stdout + done.stderr)


class Floods(TlsTest):
    def round_trips(self, stream, seconds):
        """Milliseconds of each, one after the other."""
        out, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            self.assertIsNotNone(stream.ask(1, (INTERNET[0], self.echo.port), b"x" * 100))
            out.append((time.monotonic() - begin) * 1e3)
        return sorted(out)

    def test_twenty_thousand_half_handshakes_slow_nobody_down(self):
        gateway = self.start(nofile=4096)
        stream = self.client()
        before = self.round_trips(stream, 2)
        self.assertIsNotNone(stream.ask(1, (INTERNET[0], self.echo.port), b"warm"))
        resident = gateway.resident_bytes()
        flood = self.net.popen("client", ["nice", "-n", "19", sys.executable, "-c", FLOOD, GATEWAY[0], str(PORT), str(HALF_HANDSHAKES)],
                               stdout=subprocess.PIPE, text=True)
        self.addCleanup(flood.stdout.close)
        during, descriptors, grown = [], 0, 0
        while flood.poll() is None:
            during += self.round_trips(stream, 0.5)
            self.assert_echoes(self.client(namespace="internet", host="93.184.0.1"))  # others are let in, too
            descriptors = max(descriptors, len(os.listdir(f"/proc/{gateway.process.pid}/fd")))
            grown = max(grown, gateway.resident_bytes() - resident)
        self.assertEqual(int(flood.stdout.read()), HALF_HANDSHAKES)
        during.sort()
        p99 = lambda times: times[len(times) * 99 // 100]
        print(f"median {statistics.median(before):.2f} -> {statistics.median(during):.2f} ms, "
              f"p99 {p99(before):.2f} -> {p99(during):.2f} ms, {len(during)} round trips; "
              f"{grown / 1e6:.1f} MB more, {descriptors} descriptors at most")
        self.assertLess(descriptors, 700)
        self.assertLess(grown, 64e6)
        self.assertLess(statistics.median(during), 2 * statistics.median(before) + 1)
        self.assertLess(p99(during), 2 * p99(before) + 5)  # a busy machine has slices of 4 ms


if __name__ == "__main__":
    main()
