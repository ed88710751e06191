#!/usr/bin/env python3
"""socks5 against the clients that people have: curl, a browser, dig; and what policy makes of what they ask."""

import json
import os
import shutil
import socket
import threading
import time

from harness import BUILD, GATEWAY, INTERNET, UdpEcho, main
from harness.socks5 import (ASSOCIATE, BIND, CONNECT, NO_COMMAND, NO_HOST, NO_NETWORK, NOT_ALLOWED, REFUSED, SocksRefused,
                            UdpForward, ask, destination, exactly, read_destination)
from harness.socks5_case import CLOSED, OPEN, PROXY, RESOLVER, Socks5
from harness.tls import Authority

class Clients(Socks5):
    def test_curl_by_address_and_by_name(self):
        self.start()
        by_address = self.curl("--socks5", "%s:%d" % PROXY, f"http://{INTERNET[0]}:8080/hello")
        self.assertEqual(by_address.stdout, "hello")
        by_name = self.curl("--socks5-hostname", "%s:%d" % PROXY, "http://page.example:8080/hello")
        self.assertEqual(by_name.stdout, "hello")
        self.assertEqual(self.web.asked[-1][0], "page.example:8080")
        self.assertGreater(self.dns.queries("page.example"), 0)
        by_ipv6 = self.curl("--socks5", "%s:%d" % PROXY, f"http://[{INTERNET[1]}]:8080/hello")
        self.assertEqual(by_ipv6.stdout, "hello over IPv6")

    def test_curl_with_user_and_password(self):
        gateway = self.start(listen=[CLOSED])
        token = gateway.json("token", "new", "bob")["token"]
        self.in_force()
        url = "http://page.example:8080/bytes/100000"
        done = self.curl("-o", "/dev/null", "-w", "%{size_download}", "--proxy", f"socks5h://bob:{token}@127.0.0.1:1081",
                         url, namespace="gateway")
        self.assertEqual(done.stdout, "100000")
        for user in (f"bob:{token}x", "bob:"):
            done = self.curl("--proxy", f"socks5h://{user}@127.0.0.1:1081", url, namespace="gateway", check=False)
            self.assertEqual(done.returncode, 97, done.stderr)
        self.assertEqual(self.curl("--socks5", "127.0.0.1:1081", url, namespace="gateway", check=False).returncode, 97)
        self.assert_soon(lambda: gateway.json("sessions")["count"] == 0, "its stream has ended")
        sessions = gateway.json("sessions", "--ended")["sessions"]
        self.assertEqual({one["identity"] for one in sessions}, {"token:bob"})
        (row,) = gateway.json("usage", "--by", "identity")["usage"]
        self.assertEqual(row["identity"], "token:bob")
        self.assertGreater(row["bytes_down"], 100000)
        self.assertNotIn(token, gateway.text())

    def test_uploads_and_downloads_come_whole(self):
        gateway = self.start()
        folder = "/run/socks5-files"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/up", "wb") as file:
            file.write(os.urandom(8 << 20))
        done = self.curl("--socks5-hostname", "%s:%d" % PROXY, "-H", "Expect:", "--data-binary", f"@{folder}/up",
                         "http://page.example:8080/")
        self.assertEqual(done.stdout, "done")
        done = self.curl("--socks5-hostname", "%s:%d" % PROXY, "-o", f"{folder}/down", "-w", "%{size_download}",
                         "http://page.example:8080/bytes/50000000")
        self.assertEqual(done.stdout, "50000000")
        self.assertGreater(gateway.metric("gatehouse_plugin_socks5_bytes_spliced_total"), 40_000_000)

    def test_many_at_once_over_several_lanes(self):
        self.start(lanes=2)
        urls = [f"http://page.example:8080/bytes/{size}" for size in range(1000, 1200)]
        done = self.curl("--parallel", "--parallel-immediate", "--parallel-max", "50", "--socks5-hostname",
                         "%s:%d" % PROXY, *(word for url in urls for word in ("-o", "/dev/null", url)), "-w",
                         "%{size_download}\\n")
        self.assertEqual(sorted(map(int, done.stdout.split())), list(range(1000, 1200)))
        self.assert_soon(lambda: self.running.metric("gatehouse_plugin_socks5_streams") == 0, "all have ended")

    def test_a_browser(self):
        if shutil.which("chromium") is None:
            self.skipTest("chromium is not installed; scripts/deps.sh brings it on Debian")
        self.start()
        before = len(self.web.asked)
        done = self.net.run("client", ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                       "--user-data-dir=/run/chromium", "--no-first-run", "--disable-background-networking",
                                       "--proxy-server=socks5://%s:%d" % PROXY, "--virtual-time-budget=5000", "--dump-dom",
                                       "http://page.example:8080/"], check=False, timeout=120)
        self.assertIn("it runs", done.stdout, done.stderr[-2000:])
        asked = self.web.asked[before:]
        self.assertIn(("page.example:8080", "/"), asked)
        self.assertIn(("page.example:8080", "/image.png"), asked)

    def test_dig_over_an_association(self):
        def block(db):
            db.insert("domain_rules", domain="blocked.example")
        gateway = self.start(policy=block)
        forward = UdpForward(self.net, "client", PROXY, (RESOLVER, 53), 5353)
        self.addCleanup(forward.stop)

        def dig(name, *words):
            return self.net.run("client", ["dig", "@127.0.0.1", "-p", "5353", "+tries=1", "+time=3", *words, name]).stdout
        self.assertEqual(dig("page.example", "+short").strip(), INTERNET[0])
        self.assertEqual(dig("both.example", "+short", "-t", "AAAA").strip(), INTERNET[1])
        self.assertIn("NXDOMAIN", dig("ads.blocked.example"))
        self.assertEqual(self.dns.queries("ads.blocked.example"), 0)
        self.assertEqual(gateway.metric("gatehouse_plugin_socks5_blocked_answers_total"), 1)
        (session,) = gateway.json("sessions")["sessions"]
        self.assertIn("udp association", session["state"])
        forward.stop()
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_socks5_associations") == 0, "it ends with its stream")

    def test_datagrams_of_both_families_in_one_association(self):
        self.start()
        echo = UdpEcho(self.net, "internet", list(INTERNET))
        self.addCleanup(echo.stop)
        stream = self.net.connect("client", *PROXY)
        self.addCleanup(stream.close)
        relay = ask(stream, ASSOCIATE, "0.0.0.0", 0)
        self.assertEqual(relay[0], GATEWAY[0])
        near = self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(near.close)
        near.settimeout(3)
        for host in INTERNET:
            for size in (0, 1, 1400, 9000, 60000):
                payload = os.urandom(size)
                near.sendto(b"\0\0\0" + destination(host, 4000) + payload, relay)
                source, got = read_destination(near.recv(65536)[3:])
                self.assertEqual((source, got), ((host, 4000), payload))
        near.sendto(b"\0\0\0" + destination("both.example", 4000) + b"by name", relay)
        source, got = read_destination(near.recv(65536)[3:])
        self.assertEqual((source, got), ((INTERNET[1], 4000), b"by name"))

    def test_tls_before_it(self):
        authority = Authority("/run/tls-socks5")
        certificate, key = authority.issue("server")
        gateway = self.start(listen=[{"address": "0.0.0.0:1082", "auth": "token",
                                      "tls": {"certificate": certificate, "key": key}}])
        token = gateway.json("token", "new", "bob")["token"]
        self.in_force()
        plain = self.net.connect("client", GATEWAY[0], 1082)
        with authority.context().wrap_socket(plain, server_hostname="gate.example") as stream:
            ask(stream, CONNECT, "page.example", 8080, password=token)
            stream.sendall(b"GET /bytes/3000000 HTTP/1.1\r\nHost: page.example\r\nConnection: close\r\n\r\n")
            got = 0
            while part := stream.recv(65536):
                got += len(part)
        self.assertGreater(got, 3_000_000)

    def test_a_unix_listener_knows_its_users(self):
        gateway = self.start(listen=["unix:/run/socks5.sock"])
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(5)
            stream.connect("/run/socks5.sock")
            ask(stream, CONNECT, INTERNET[0], 8080)
            (session,) = gateway.json("sessions")["sessions"]
            self.assertEqual(session["identity"], "unix:root")
            self.assertIn(f"connected to {INTERNET[0]}:8080", session["state"])
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(5)
            stream.connect("/run/socks5.sock")
            with self.assertRaises(SocksRefused) as refused:
                ask(stream, ASSOCIATE, "0.0.0.0", 0)
            self.assertEqual(refused.exception.code, NO_COMMAND)

    def probe(self, *words):
        return self.net.run("gateway", [str(BUILD / "bin" / "gatehouse"), "probe", "--json", "--config",
                                        str(self.running.config), "socks5", *words], check=False)

    def test_the_probe(self):
        gateway = self.start(listen=[OPEN, CLOSED])
        found = json.loads(self.probe("127.0.0.1:1080", "--connect", "page.example:8080").stdout)
        self.assertEqual(found["connected_to"], "page.example:8080")
        self.assertTrue(found["from"].startswith("93.184.0.1:"))
        done = self.probe("127.0.0.1:1080", "--connect", "127.0.0.1:22")
        self.assertEqual(done.returncode, 1)
        self.assertIn("policy does not allow it", done.stdout + done.stderr)
        token = gateway.json("token", "new", "bob")["token"]
        self.in_force()
        with open(os.open("/run/password", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(token)
        found = json.loads(self.probe("127.0.0.1:1081", "--connect", f"{INTERNET[0]}:8080", "--password-file",
                                      "/run/password").stdout)
        self.assertEqual(found["connected_to"], f"{INTERNET[0]}:8080")


class Policies(Socks5):
    def test_own_places_are_denied_by_address_and_by_name(self):
        self.start()
        for host in ("127.0.0.1", "::1", GATEWAY[0], "93.184.0.1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1",
                     "10.0.0.1", "64:ff9b::7f00:1", "inner.example", "metadata.example"):
            self.assertEqual(self.refusal(host), NOT_ALLOWED, host)
        self.connect("several.example")  # the second of its addresses
        self.assertEqual(self.refusal("nowhere.example"), NO_HOST)
        self.assertEqual(self.refusal(INTERNET[0], 81), REFUSED)
        self.assertEqual(self.refusal(INTERNET[0], 25), NOT_ALLOWED)
        self.assertEqual(self.refusal(INTERNET[0], command=BIND), NO_COMMAND)

    def test_the_other_family_is_tried_where_one_does_not_answer(self):
        self.start()
        begin = time.monotonic()
        self.connect("half.example")
        self.assertLess(time.monotonic() - begin, 4)
        self.connect("both.example")

    def test_blocked_names_are_never_looked_up(self):
        def block(db):
            db.insert("domain_rules", domain="page.example")
        self.start(policy=block)
        self.assertEqual(self.refusal("page.example"), NOT_ALLOWED)
        self.assertEqual(self.refusal("www.PAGE.example."), NOT_ALLOWED)
        self.assertEqual(self.dns.queries("www.page.example"), 0)
        done = self.curl("--socks5-hostname", "%s:%d" % PROXY, "http://page.example:8080/hello", check=False)
        self.assertEqual(done.returncode, 97, done.stderr)
        self.connect("both.example")
        explained = self.running.cli("policy", "explain", "--plugin", "socks5", "tcp", f"{INTERNET[0]}:8080", "--domain",
                                     "page.example")
        self.assertEqual(explained.returncode, 1, explained.stdout)

    def test_a_row_cuts_what_runs(self):
        gateway = self.start()
        kept, cut, named = self.connect("both.example"), self.connect(INTERNET[0]), self.connect("page.example")
        row = gateway.policy.insert("port_permits", destination=INTERNET[0] + "/32", action="deny", priority=1)
        for stream in (cut, named):
            stream.settimeout(3)
            with self.assertRaises((ConnectionResetError, EOFError)):
                if stream.recv(1) == b"":
                    raise EOFError
        gateway.policy.delete("port_permits", row)
        self.in_force()
        named = self.connect("page.example")
        gateway.policy.insert("domain_rules", domain="page.example")
        named.settimeout(3)
        with self.assertRaises((ConnectionResetError, EOFError)):
            if named.recv(1) == b"":
                raise EOFError
        kept.sendall(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn(b"200", kept.recv(1000))
        self.assertEqual(gateway.metric("gatehouse_plugin_socks5_tunnels_cut_total"), 3)

    def test_a_rate_holds_and_loses_nothing(self):
        self.start(policy=lambda db: db.traffic(rate_down=1_000_000, burst_down=100_000))
        begin = time.monotonic()
        done = self.curl("--socks5-hostname", "%s:%d" % PROXY, "-o", "/dev/null", "-w", "%{size_download}",
                         "http://page.example:8080/bytes/2000000")
        took = time.monotonic() - begin
        self.assertEqual(done.stdout, "2000000")
        self.assertGreater(took, 1.5)
        self.assertLess(took, 4)

    def test_a_quota_ends_what_runs(self):
        self.start(policy=lambda db: db.traffic("identity", quota_bytes=500_000, quota_period="day"))
        done = self.curl("--socks5-hostname", "%s:%d" % PROXY, "-o", "/dev/null", "-w", "%{size_download}",
                         "http://page.example:8080/bytes/2000000", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertLess(int(done.stdout), 600_000)

    def test_sessions_and_admissions(self):
        gateway = self.start(policy=lambda db: db.traffic("identity", concurrent_sessions=2))
        first, _ = self.connect(INTERNET[0]), self.connect(INTERNET[0])
        stream = self.net.connect("client", *PROXY)
        self.addCleanup(stream.close)
        with self.assertRaises(SocksRefused) as refused:
            ask(stream, CONNECT, INTERNET[0], 8080)
        self.assertEqual((refused.exception.step, refused.exception.code), ("method", 0xff))
        first.close()
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_socks5_streams") == 1, "one has ended")
        self.connect(INTERNET[0])
        gateway.policy.insert("admissions", plugin="socks5", action="deny")
        self.in_force()
        with self.assertRaises(SocksRefused):
            self.connect(INTERNET[0])

    def test_an_open_listener_must_be_meant(self):
        gateway = self.gateway(start=False, plugins={"socks5": {"listen": ["0.0.0.0:1080"]}})
        done = gateway.cli("check")
        self.assertEqual(done.returncode, 2)
        self.assertIn('auth = "none"', done.stdout + done.stderr)


class Egress(Socks5):
    OWN = ["93.184.0.2", "2a00:a::2"]

    def setUp(self):
        if not getattr(Egress, "has_addresses", False):
            Egress.has_addresses = True
            self.net.address("gateway", "to_internet", self.OWN[0] + "/24")
            self.net.address("gateway", "to_internet", self.OWN[1] + "/64")

    def listen(self, host, kind):
        listener = self.net.socket("internet", socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        self.addCleanup(listener.close)
        listener.settimeout(5)
        listener.bind((host, 8091))
        return listener

    def test_connections_and_datagrams_leave_from_the_address_that_they_are_to(self):
        self.start(options={"egress_addresses": self.OWN})
        stream = self.net.connect("client", *PROXY)
        self.addCleanup(stream.close)
        relay = ask(stream, ASSOCIATE, "0.0.0.0", 0)
        near = self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(near.close)
        near.settimeout(3)
        for host, own in zip(INTERNET, self.OWN):
            listener = self.listen(host, socket.SOCK_STREAM)
            listener.listen()
            self.connect(host, 8091)
            there, source = listener.accept()
            there.close()
            self.assertEqual(source[0], own)
            far = self.listen(host, socket.SOCK_DGRAM)
            near.sendto(b"\0\0\0" + destination(host, 8091) + b"there", relay)
            got, source = far.recvfrom(100)
            self.assertEqual((got, source[0]), (b"there", own))
            far.sendto(b"back", source)
            self.assertEqual(read_destination(near.recv(100)[3:]), ((host, 8091), b"back"))

    def test_an_address_that_is_not_this_machines_carries_nothing(self):
        gateway = self.start(options={"egress_addresses": ["93.184.0.77"]})
        self.assertEqual(self.refusal(INTERNET[0]), NO_NETWORK)
        self.connect(INTERNET[1])
        self.running.drop_in('[plugin.socks5.options]\negress_addresses = ["no address"]\n')
        done = gateway.cli("reload")
        self.assertIn("`no address` is no address that a socket can send from", done.stdout + done.stderr)

    def test_status_says_when_ports_run_short(self):
        self.net.run("gateway", ["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40007"])
        self.addCleanup(self.net.run, "gateway", ["sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 60999"])
        gateway = self.start()
        for _ in range(30):
            stream = self.net.connect("client", *PROXY)
            self.addCleanup(stream.close)
            try:
                ask(stream, CONNECT, INTERNET[0], 8080)
            except SocksRefused as refused:
                self.assertEqual(refused.code, NO_NETWORK)
                break
        else:
            self.fail("more connections than ports")
        self.assertIn("local ports are used up", " ".join(gateway.json("status")["reasons"]))
        self.connect(INTERNET[1])  # the ports of another target are its own


class Lasting(Socks5):
    def test_silent_ones_end(self):
        gateway = self.start(options={"tunnel_idle_seconds": 2})
        slow = self.net.connect("client", *PROXY)
        self.addCleanup(slow.close)
        slow.sendall(b"\x05\x02\x00")  # and no more
        idle = self.connect(INTERNET[0])
        idle.settimeout(6)
        self.assertEqual(idle.recv(1), b"")
        slow.settimeout(15)
        self.assertEqual(slow.recv(1), b"")
        self.assertEqual(gateway.metric("gatehouse_plugin_socks5_streams_refused_total", cause="slow"), 1)

    def test_half_closed_streams_carry_on(self):
        self.start()
        listener = self.net.socket("internet", socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind((INTERNET[0], 8090))
        listener.listen()
        stream = self.connect(INTERNET[0], 8090)
        there, _ = listener.accept()
        self.addCleanup(there.close)
        stream.sendall(b"question")
        stream.shutdown(socket.SHUT_WR)
        self.assertEqual(exactly(there, 8), b"question")
        self.assertEqual(there.recv(1), b"")
        sent = os.urandom(5_000_000)
        sender = threading.Thread(target=lambda: (there.sendall(sent), there.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b""
        while part := stream.recv(1 << 20):
            got += part
        sender.join()
        self.assertTrue(got == sent)

    def test_an_end_to_a_client_ends_its_stream(self):
        gateway = self.start(options={"splice": False})
        stream = self.connect(INTERNET[0])
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        stream.sendall(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn(b"200", stream.recv(1000))
        stream.close()
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_socks5_tunnels") == 0, "its connection ends")


if __name__ == "__main__":
    main()
