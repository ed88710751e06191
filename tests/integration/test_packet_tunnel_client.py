#!/usr/bin/env python3
"""gatehouse-tunnel against the real gateway: traffic, routes, resolver, resume, kill switch, and what it leaves behind.

The client's host reaches the gateway (10.77.0.1) and, by a default route over it, the internet too: what does not go
through the tunnel is seen there from 10.77.0.2, what does from the gateway's own address.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import threading
import time

from harness import BUILD, CLIENT, GATEWAY, INTERNET, DnsServer, GatewayTest, UdpEcho, answer, main, query
from harness.tls import Authority
from harness.tunnel_client import RESOLV_CONF, TunnelClient

PORT = 7301
SERVER = f"{GATEWAY[0]}:{PORT}"
OUTSIDE = ("93.184.0.1", "2a00:a::1")  # the gateway's addresses towards the internet
DEVICE = "gatehouse-tun0"
STATE = pathlib.Path("/run/gatehouse-tunnel")
# Joins its standard streams with a Unix socket, as ssh does with one at the other end.
RELAY = """
import os, socket, sys, threading
there = socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""


class ClientTest(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.net.route("client", "default", GATEWAY[0])
        cls.net.run("client", ["ip", "-6", "route", "add", "default", "via", GATEWAY[1]])
        mac = json.loads(cls.net.run("gateway", ["ip", "-json", "link", "show", "to_client"]).stdout)[0]["address"]
        cls.net.run("client", ["ip", "neigh", "replace", GATEWAY[1], "lladdr", mac, "dev", "to_gateway"])
        cls.net.route("internet", "10.77.0.0/24", OUTSIDE[0])
        cls.net.run("internet", ["ip", "-6", "route", "add", "fd77::/64", "via", OUTSIDE[1]])

    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.addCleanup(self.forget)

    def forget(self):
        """What a client that was killed by its test has left; there is no later one that would undo it."""
        for family, priority in ((family, priority) for family in ("-4", "-6") for priority in range(30000, 30004)):
            self.net.run("client", ["ip", family, "rule", "delete", "priority", str(priority)], check=False)
        shutil.rmtree(STATE, ignore_errors=True)

    def start(self, policy=None, options=None, **listener):
        listener = {"address": f"0.0.0.0:{PORT}", "auth": "none", **listener}
        options = {"dns_resolvers": ["93.184.0.53"], **(options or {})}
        return self.gateway(policy=policy, plugins={"packet-tunnel": {"listen": [listener], "options": options}})

    def tunnel(self, *words, **more):
        """A client that has connected."""
        return TunnelClient(self, *(words or (SERVER,)), **more).connected()

    def source_of(self, to=INTERNET[0], mark=0, within=2.0):
        """By which address the internet sees a datagram of the client's host; None: no answer came."""
        key = os.urandom(8)
        with self.net.socket("client", socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as one:
            if mark:
                one.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
            one.settimeout(within)
            try:
                one.sendto(key, (to, self.echo.port))
                self.assertEqual(one.recv(100), key)
            except (TimeoutError, OSError):
                return None
        return self.echo.last_source(key)[0]

    def ip(self, *words):
        return self.net.run("client", ["ip", *words]).stdout

    def host_state(self):
        """All that a client may have changed."""
        return [self.ip("rule"), self.ip("-6", "rule"), self.ip("route", "show", "table", "all"),
                self.net.run("client", ["nft", "list", "ruleset"]).stdout]


class TcpEcho:
    """Sends back on the internet what comes by any connection."""

    def __init__(self, test, address=INTERNET[0], port=5000):
        self._listener = test.net.socket("internet", socket.AF_INET6 if ":" in address else socket.AF_INET,
                                         socket.SOCK_STREAM)
        self._listener.bind((address, port))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        test.addCleanup(self._listener.close)

    def _serve(self):
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(stream,), daemon=True).start()

    def _echo(self, stream):
        with stream:
            while data := stream.recv(1 << 16):
                stream.sendall(data)


def echo_through(stream, size, test):
    """Sends `size` random bytes and compares what comes back, meanwhile."""
    sent, got = hashlib.sha256(), hashlib.sha256()

    def send():
        for _ in range(size >> 16):
            part = os.urandom(1 << 16)
            sent.update(part)
            stream.sendall(part)
        stream.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    total = 0
    while data := stream.recv(1 << 18):
        got.update(data)
        total += len(data)
    sender.join(10)
    test.assertEqual(total, size)
    test.assertEqual(got.hexdigest(), sent.hexdigest())


class Traffic(ClientTest):
    def test_datagrams_of_both_families_leave_by_the_gateway(self):
        self.start()
        self.assertEqual(self.source_of(), CLIENT[0])  # as long as there is no tunnel
        self.tunnel(dns=False)
        for to, outside in zip(INTERNET, OUTSIDE):
            self.assertEqual(self.source_of(to), outside)

    def test_64_mib_come_back_as_they_went(self):
        self.start()
        self.tunnel(dns=False)
        for address, port in ((INTERNET[0], 5000), (INTERNET[1], 5001)):
            TcpEcho(self, address, port)
            with self.net.connect("client", address, port) as stream:
                echo_through(stream, 64 << 20, self)

    def test_super_packets_of_udp_arrive_as_datagrams(self):
        self.start()
        self.tunnel(dns=False)
        with self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(17, 103, 1000)  # SOL_UDP, UDP_SEGMENT
            one.settimeout(5)
            whole = os.urandom(30_000)
            one.sendto(whole, (INTERNET[0], self.echo.port))
            got = {one.recv(2000) for _ in range(30)}
        self.assertEqual(got, {whole[at:at + 1000] for at in range(0, 30_000, 1000)})

    def test_a_datagram_in_fragments_comes_back(self):
        self.start()
        self.tunnel(dns=False)
        with self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(5)
            whole = os.urandom(9000)
            one.sendto(whole, (INTERNET[0], self.echo.port))
            self.assertEqual(one.recv(10_000), whole)

    def test_what_the_server_would_refuse_fails_at_once(self):
        self.start()
        self.tunnel(dns=False)
        self.ip("route", "add", "169.254.7.0/24", "dev", DEVICE)
        began = time.monotonic()
        with self.assertRaises(ConnectionRefusedError):
            self.net.connect("client", "169.254.7.7", 80)
        self.assertLess(time.monotonic() - began, 1)

    def test_tls_and_websocket_carry_it_too(self):
        authority = Authority("/run/tls-tunnel")
        certificate, key = authority.issue("server")
        self.start(tls={"certificate": certificate, "key": key})
        TcpEcho(self)
        trust = ["--tls", "--ca", str(authority.certificate), "--server-name", "gate.example"]
        for more in ([], ["--websocket"]):
            client = self.tunnel(SERVER, *trust, *more, dns=False)
            self.assert_says(client, "by TLSv1.3")
            self.assertEqual(self.source_of(), OUTSIDE[0])
            with self.net.connect("client", INTERNET[0], 5000) as stream:
                echo_through(stream, 8 << 20, self)
            self.assertEqual(client.stop(), 0)

    def test_a_command_may_be_the_transport(self):
        self.gateway(plugins={"packet-tunnel": {"listen": ["unix:/run/tunnel.sock"]}})
        script = pathlib.Path("/run/relay.py")
        script.write_text(RELAY)
        client = self.tunnel("--exec-transport", f"exec python3 {script} /run/tunnel.sock", "--exclude", GATEWAY[0],
                             dns=False)
        self.assertEqual(self.source_of(), OUTSIDE[0])
        self.assertEqual(client.stop(), 0)
        self.assertEqual(self.net.run("client", ["pgrep", "-f", "relay.py"], check=False).stdout, "")

    def test_a_device_may_be_handed_over(self):
        self.start()
        device = self.net.open_tun("client", "handed0")
        self.addCleanup(os.close, device)
        self.ip("address", "add", "172.20.0.9/24", "dev", "handed0")
        self.ip("link", "set", "handed0", "up")
        self.ip("route", "add", INTERNET[0], "dev", "handed0")
        client = self.tunnel(SERVER, "--device-fd", str(device), dns=False, pass_fds=[device])
        self.assertEqual(self.source_of(), OUTSIDE[0])
        self.assertEqual(client.stop(), 0)
        self.assertIn("172.20.0.9/24", self.ip("address"))


    def test_a_device_made_beforehand_needs_no_capability(self):
        self.start()
        self.ip("tuntap", "add", "mode", "tun", "multi_queue", "user", str(os.geteuid()), "name", "made0")
        self.addCleanup(self.ip, "link", "delete", "made0")
        self.ip("address", "add", "172.20.0.9/24", "dev", "made0")
        self.ip("link", "set", "made0", "mtu", "1400", "up")
        self.ip("route", "add", INTERNET[0], "dev", "made0")
        client = TunnelClient(self, SERVER, "--device", "made0", "--no-routes", dns=False,
                              before=["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]).connected()
        self.assertEqual(self.source_of(), OUTSIDE[0])
        self.assertEqual(client.stop(), 0)
        self.assertIn("172.20.0.9/24", self.ip("address"))


class Terminal(ClientTest):
    def test_a_line_is_kept_up_to_date(self):
        self.start()
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        process = self.net.popen("client", [str(BUILD / "bin" / "gatehouse-tunnel"), SERVER, "--no-dns"], stderr=theirs)
        os.close(theirs)
        os.set_blocking(ours, False)
        seen = b""

        def shows(words):
            nonlocal seen
            try:
                seen += os.read(ours, 65536)
            except OSError:
                pass
            return re.search(words, seen) is not None

        self.assert_soon(lambda: shows(re.escape(b"\r\x1b[K" + SERVER.encode()) + b"  up 0 bit/s"), "the line")
        self.source_of()
        self.assert_soon(lambda: shows(b"  up [1-9][0-9.]* k?bit/s  down [1-9]"), "rates")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(5), 0)
        shows(b"")
        self.assertTrue(seen.endswith(b"\r\x1b[K"), seen[-80:])  # nothing of it stays


class Resolver(ClientTest):
    def setUp(self):
        super().setUp()
        server = DnsServer(self.net, "internet", ["93.184.0.53"], {"www.example.org": ["192.0.2.7"]})
        self.addCleanup(server.stop)

    def ask(self, to):
        with self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(5)
            one.sendto(query("www.example.org"), (to, 53))
            message, sender = one.recvfrom(2000)
            self.assertEqual(sender[0], to)
            return answer(message).addresses

    def test_the_system_asks_through_the_tunnel_and_as_before_afterwards(self):
        self.start()
        client = self.tunnel(SERVER)
        self.assertIn("nameserver 10.0.0.2\n", client.resolv_conf.read_text())
        self.assertEqual(self.ask("10.0.0.2"), ["192.0.2.7"])
        self.assertEqual(client.stop(), 0)
        self.assertEqual(client.resolv_conf.read_text(), RESOLV_CONF)

    def test_programs_may_have_any_address_for_it(self):
        self.start()
        client = self.tunnel(SERVER, "--dns", "172.16.0.2")
        self.assertIn("nameserver 172.16.0.2\n", client.resolv_conf.read_text())
        self.assertEqual(self.ask("172.16.0.2"), ["192.0.2.7"])

    def test_a_client_that_changes_no_resolver_leaves_that_of_another(self):
        self.start()
        client = self.tunnel(SERVER)
        other = self.tunnel(SERVER, "--device", "gatehouse-tun1", "--address", "172.17.0.1/24", "--no-dns",
                            "--only", "198.51.100.0/24", resolv_conf=client.resolv_conf)
        self.assertIn("nameserver 10.0.0.2\n", client.resolv_conf.read_text())
        self.assertEqual(other.stop(), 0)
        self.assertIn("nameserver 10.0.0.2\n", client.resolv_conf.read_text())

    def test_a_large_answer_comes_in_fragments_of_one_address(self):
        with self.net.socket("internet", socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("93.184.0.53", 5353))
            self.net.run("internet", ["nft", "add table ip large; add chain ip large in "
                                      "{ type nat hook prerouting priority dstnat; };"
                                      "add rule ip large in udp dport 53 dnat to 93.184.0.53:5353"])
            self.addCleanup(self.net.run, "internet", ["nft", "delete table ip large"])
            self.start()
            self.tunnel(SERVER, "--dns", "172.16.0.2")
            with self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.settimeout(5)
                one.sendto(query("www.example.org"), ("172.16.0.2", 53))
                server.settimeout(5)
                _, asking = server.recvfrom(2000)
                server.sendto(bytes(3000), asking)
                self.assertEqual(one.recvfrom(4000), (bytes(3000), ("172.16.0.2", 53)))

    def test_a_symbolic_link_comes_back_as_one(self):
        self.start()
        target, link = pathlib.Path("/run/stub.conf"), pathlib.Path("/run/linked.conf")
        target.write_text(RESOLV_CONF)
        link.symlink_to("stub.conf")
        client = self.tunnel(SERVER, resolv_conf=link)
        self.assertFalse(link.is_symlink())
        client.process.kill()
        client.wait()
        self.assertEqual(self.tunnel(SERVER, resolv_conf=link).stop(), 0)  # which undoes the killed one's, too
        self.assertEqual((link.is_symlink(), link.read_text()), (True, RESOLV_CONF))


class Routes(ClientTest):
    def test_an_ordinary_end_leaves_the_host_as_it_was(self):
        self.start()
        before = self.host_state()
        client = self.tunnel(SERVER)
        self.assertNotEqual(self.host_state(), before)
        self.assertEqual(client.stop(), 0)
        self.assertEqual(self.host_state(), before)
        self.assertEqual({file.suffix for file in STATE.iterdir()}, {".lock"})

    def test_the_next_start_undoes_what_a_killed_one_has_left(self):
        self.start()
        before = self.host_state()
        client = self.tunnel(SERVER)
        client.process.kill()
        client.wait()
        self.assertNotEqual(self.ip("rule"), before[0])
        second = self.tunnel(SERVER, resolv_conf=client.resolv_conf)
        self.assertEqual(self.source_of(), OUTSIDE[0])
        self.assertEqual(second.stop(), 0)
        self.assertEqual(self.host_state(), before)
        self.assertEqual(client.resolv_conf.read_text(), RESOLV_CONF)

    def test_two_cannot_have_one_device(self):
        self.start()
        self.tunnel(SERVER, dns=False)
        second = TunnelClient(self, SERVER, dns=False)
        self.assertEqual(second.wait(), 1)
        self.assert_says(second, "another gatehouse-tunnel has the device")
        self.assertEqual(self.source_of(), OUTSIDE[0])

    def test_two_that_begin_at_one_time_have_marks_of_their_own(self):
        """Before they connect neither has a rule that the other could see."""
        one = TunnelClient(self, SERVER, "--only", f"{INTERNET[0]}/32", dns=False)
        other = TunnelClient(self, SERVER, "--device", "other0", "--address", "10.99.0.1/24", "--only", "93.184.0.11/32",
                             dns=False)
        for client in (one, other):
            client.wait_for("Connection refused")
        self.start()
        one.connected()
        other.connected()
        marks = {word for word in self.ip("rule").split() if word.startswith("0x")}
        self.assertEqual(len(marks), 2, self.ip("rule"))
        self.assertEqual(one.stop(), 0)
        self.assertEqual(self.source_of(INTERNET[0]), CLIENT[0])
        self.echo.stop()
        self.echo = UdpEcho(self.net, "internet", ["93.184.0.11"])
        self.assertEqual(self.source_of("93.184.0.11"), OUTSIDE[0], "the other one's goes on")

    def test_what_a_killed_one_had_not_used_stays_with_who_has_it_now(self):
        """One with a kill switch has its number before it has routes; when it is killed then, the number is free."""
        other = ("--device", "other0", "--address", "10.99.0.1/24", "--block-when-down", "--only", "93.184.0.11/32")
        killed = TunnelClient(self, SERVER, *other, dns=False)
        killed.wait_for("Connection refused")
        killed.process.kill()
        killed.wait()
        self.start()
        self.tunnel(SERVER, "--only", f"{INTERNET[0]}/32", dns=False)
        self.assertEqual(self.tunnel(SERVER, *other, dns=False).stop(), 0)
        self.assertEqual(self.source_of(INTERNET[0]), OUTSIDE[0], "its routes are there")

    def test_two_do_not_replace_one_resolv_conf(self):
        self.start()
        first = self.tunnel(SERVER, "--only", f"{INTERNET[0]}/32")
        ours = first.resolv_conf.read_text()
        other = ("--device", "other0", "--address", "10.99.0.1/24", "--only", "93.184.0.11/32")
        second = TunnelClient(self, SERVER, *other, resolv_conf=first.resolv_conf)
        self.assertEqual(second.wait(), 1)
        self.assert_says(second, f"another gatehouse-tunnel has replaced {first.resolv_conf}")
        self.assertEqual(first.resolv_conf.read_text(), ours)
        self.assertEqual(self.tunnel(SERVER, *other, dns=False).stop(), 0)
        self.assertEqual(first.resolv_conf.read_text(), ours)
        self.assertEqual(first.stop(), 0)
        self.assertEqual(first.resolv_conf.read_text(), RESOLV_CONF)

    def test_only_takes_what_it_names(self):
        self.start()
        self.tunnel(SERVER, "--only", INTERNET[0], "--only", "2a00:a::10/128", dns=False)
        self.assertEqual([self.source_of(to) for to in INTERNET], list(OUTSIDE))
        self.assertIn("via 10.77.0.1 dev to_gateway", self.ip("route", "get", "93.184.0.11"))
        self.assertIn("via fd77::1 dev to_gateway", self.ip("route", "get", "2a00:a::11"))

    def test_exclude_leaves_out_what_it_names(self):
        self.start()
        self.tunnel(SERVER, "--exclude", "93.184.0.8/29", "--exclude-mark", "0x7", dns=False)
        self.assertEqual(self.source_of(INTERNET[0]), CLIENT[0])
        self.assertEqual(self.source_of(INTERNET[1]), OUTSIDE[1])
        self.assertEqual(self.source_of(INTERNET[1], mark=7), CLIENT[1])

    def test_a_strict_reverse_path_filter_lets_the_server_answer(self):
        self.start()
        for name in ("all", "to_gateway"):
            self.net.sysctl("client", f"net.ipv4.conf.{name}.rp_filter", 1)
            self.addCleanup(self.net.sysctl, "client", f"net.ipv4.conf.{name}.rp_filter", 0)
        before = self.host_state()
        client = self.tunnel(SERVER, dns=False)
        self.assertEqual(self.source_of(), OUTSIDE[0])
        self.assertEqual(client.stop(), 0)
        self.assertEqual(self.host_state(), before)

    def test_without_ipv6_at_the_server_it_fails_at_once_and_leaks_nothing(self):
        self.start(options={"ipv6": "off"})
        self.tunnel(SERVER, dns=False)
        began = time.monotonic()
        with self.assertRaises(OSError):
            self.net.connect("client", INTERNET[1], 80)
        self.assertLess(time.monotonic() - began, 1)
        self.assertIsNone(self.source_of(INTERNET[1], within=0.5))
        self.assertEqual(self.source_of(), OUTSIDE[0])


class Connections(ClientTest):
    def cut(self, how):
        """Everything that comes to the gateway for the tunnel is treated so, until the returned function is called."""
        self.net.run("gateway", ["nft", f"add table ip cut; add chain ip cut in {{ type filter hook input priority 0; }};"
                                        f"add rule ip cut in tcp dport {PORT} {how}"])
        heal = lambda: self.net.run("gateway", ["nft", "delete table ip cut"], check=False)
        self.addCleanup(heal)
        return heal

    def test_a_running_connection_survives_one_that_breaks(self):
        self.start()
        client = self.tunnel(SERVER, dns=False)
        TcpEcho(self)
        with self.net.connect("client", INTERNET[0], 5000) as stream:
            stream.sendall(b"before")
            self.assertEqual(stream.recv(100), b"before")
            heal = self.cut("reject with tcp reset")
            stream.sendall(b"meanwhile")
            client.wait_for("has ended: ")
            heal()
            client.connected(2)
            self.assertIn("session resumed", client.lines[-1])
            self.assertEqual(stream.recv(100), b"meanwhile")

    def test_a_session_file_brings_the_session_back(self):
        self.start()
        file = pathlib.Path("/run/session")
        first = self.tunnel(SERVER, "--session-file", str(file), dns=False)
        self.assert_says(first, "new session")
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(first.stop(), 0)
        self.assert_says(self.tunnel(SERVER, "--session-file", str(file), dns=False), "session resumed")

    def test_the_next_server_is_tried(self):
        self.start()
        client = self.tunnel("10.77.0.1:7399", SERVER, dns=False)
        self.assert_says(client, f"connected to {SERVER}")

    def test_a_peer_that_is_gone_is_noticed_by_what_is_written(self):
        self.start()
        client = self.tunnel(SERVER, dns=False)
        self.assertEqual(self.source_of(), OUTSIDE[0])
        heal = self.cut("drop")
        self.source_of(within=0.1)
        client.wait_for("has ended: ", within=25)
        heal()
        client.connected(2, within=15)
        self.assertEqual(self.source_of(), OUTSIDE[0])

    def test_a_name_is_looked_up_outside_while_the_tunnel_is_down(self):
        server = DnsServer(self.net, "internet", ["93.184.0.53"], {"gate.example": [GATEWAY[0]]})
        self.addCleanup(server.stop)
        gateway = self.start()
        resolv_conf = pathlib.Path("/run/outside.conf")
        resolv_conf.write_text("nameserver 93.184.0.53\n")
        STATE.mkdir(exist_ok=True)
        # The name has stood for another host, which nobody has any more.
        (STATE / f"{DEVICE}.json").write_text(json.dumps(
            {"rules": [], "servers": {f"gate.example:{PORT}": ["10.77.0.77"]}, "is_blocked": True}))
        client = TunnelClient(self, f"gate.example:{PORT}", resolv_conf=resolv_conf).connected(within=20)
        self.assertEqual(self.source_of(), OUTSIDE[0])
        gateway.stop()
        client.wait_for("has ended")
        gateway.start()
        client.connected(2, within=5)  # at once: what the name has led to is known
        client.stop()
        self.net.run("client", [str(BUILD / "bin" / "gatehouse-tunnel"), "--unblock"])

    def test_an_idle_client_sends_nothing(self):
        self.start()
        self.tunnel(SERVER, dns=False)
        self.source_of()
        time.sleep(1)
        with Capture(self) as seen:
            time.sleep(15)
        self.assertEqual([packet for packet in seen.packets if struct.pack(">H", PORT) in packet[34:38]], [])

    def test_another_network_is_noticed_at_once(self):
        self.start()
        client = self.tunnel(SERVER, dns=False)
        self.ip("address", "add", "10.77.0.9/24", "dev", "to_gateway")
        self.ip("route", "replace", "default", "via", GATEWAY[0], "src", "10.77.0.9")
        self.addCleanup(self.ip, "route", "replace", "default", "via", GATEWAY[0])
        self.addCleanup(self.ip, "address", "delete", "10.77.0.9/24", "dev", "to_gateway")
        self.addCleanup(self.ip, "address", "add", f"{CLIENT[0]}/24", "dev", "to_gateway")
        time.sleep(0.5)
        self.assertNotIn("moved", client.text())  # the old one is still there
        self.net.sysctl("client", "net.ipv4.conf.all.promote_secondaries", 1)
        self.ip("address", "delete", f"{CLIENT[0]}/24", "dev", "to_gateway")
        self.ip("route", "replace", "default", "via", GATEWAY[0])
        client.wait_for("moved to another network", within=3)
        client.connected(2)
        self.assertEqual(self.source_of(), OUTSIDE[0])

    def test_a_refusal_is_said_and_ends_it(self):
        self.start(auth="token", address=f"127.0.0.1:{PORT}")
        client = TunnelClient(self, f"127.0.0.1:{PORT}", namespace="gateway", dns=False)
        self.assertEqual(client.wait(), 1)
        self.assert_says(client, "the gateway refused with 401")
        self.assert_says(client, "--token-file")

    def test_a_token_opens_it(self):
        authority = Authority("/run/tls-token")
        certificate, key = authority.issue("server")
        gateway = self.start(auth="token", tls={"certificate": certificate, "key": key})
        token = gateway.json("token", "new", "bob")["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        file = pathlib.Path("/run/token")
        file.touch(mode=0o600)
        file.write_text(token + "\n")
        self.tunnel(SERVER, "--token-file", str(file), "--tls", "--ca", str(authority.certificate), "--server-name",
                    "gate.example", dns=False)
        self.assertEqual(self.source_of(), OUTSIDE[0])

    def test_it_waits_for_a_gateway_that_is_not_there_yet(self):
        client = TunnelClient(self, SERVER, dns=False).wait_for("Connection refused")
        self.start()
        client.connected()

    def test_wrong_use_is_told_and_ends_with_2(self):
        for words, said in ((["--only", "10.0.0.1/8"], "--only takes a text such as"), ([], "name a server"),
                            ([SERVER, "--device", "a/b"], "--device takes a name"), ([SERVER, "--wrong"], "--wrong")):
            client = TunnelClient(self, *words, dns=False)
            self.assertEqual(client.wait(), 2)
            self.assert_says(client, said)


class FakeServer:
    """Answers each opening on the gateway's host with the next of the given texts, the last one again and again."""

    def __init__(self, test, *answers):
        self.asked, self.streams = [], []
        self._answers = list(answers)
        self._listener = test.net.socket("gateway", socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", PORT))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        test.addCleanup(self.close)

    def _serve(self):
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            request = b""
            while not request.endswith(b"\r\n\r\n") and (part := stream.recv(4096)):
                request += part
            self.asked.append((time.monotonic(), request.decode()))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            stream.sendall(answer if isinstance(answer, bytes) else answer.encode())
            self.streams.append(stream)
            if not answer[:12].endswith("101" if isinstance(answer, str) else b"101"):
                stream.close()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stream in self.streams:
            stream.close()


def opened(*fields, rest=b""):
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: packet-tunnel", *fields, "", ""]
    return "\r\n".join(lines).encode() + rest


def refused(status, *fields):
    return "\r\n".join([f"HTTP/1.1 {status} No", "Content-Length: 18", *fields, "", '{"error": "so so"}']).encode()


class OddServers(ClientTest):
    def test_one_without_ipv6_makes_it_unreachable_here(self):
        FakeServer(self, opened("Tunnel-MTU: 1400", "Session-Resumed: no", "Tunnel-IPv6: no"))
        client = self.tunnel(SERVER, dns=False)
        client.wait_for("the server has no IPv6")
        self.assertNotEqual(self.net.run("client", ["ip", "route", "get", INTERNET[1]], check=False).returncode, 0)
        self.assertIn(f"dev {DEVICE}", self.ip("route", "get", INTERNET[0]))
        self.assertIn("mtu 1400", self.ip("link", "show", DEVICE))

    def test_one_that_asks_for_patience_gets_it(self):
        server = FakeServer(self, refused(503, "Retry-After: 2"), opened("Tunnel-MTU: 1500"))
        self.tunnel(SERVER, dns=False)
        (first, before), (second, after) = server.asked
        self.assertGreaterEqual(second - first, 2)
        session = [line for line in before.split("\r\n") if line.startswith("Session-ID: ")]
        self.assertEqual(len(session), 1)
        self.assertIn(session[0], after)  # the same again

    def test_another_network_does_not_make_it_impatient(self):
        server = FakeServer(self, opened("Tunnel-MTU: 1500"), refused(503, "Retry-After: 3"), opened("Tunnel-MTU: 1500"))
        client = self.tunnel(SERVER, dns=False)
        self.assert_soon(lambda: server.streams, "the stream")
        server.streams[0].close()
        client.wait_for("refused with 503")
        self.addCleanup(self.ip, "address", "delete", "10.77.0.9/24", "dev", "to_gateway")
        self.ip("address", "add", "10.77.0.9/24", "dev", "to_gateway")
        client.connected(2)
        self.assertGreaterEqual(server.asked[2][0] - server.asked[1][0], 3)

    def test_too_many_is_no_reason_to_give_up_and_forbidden_is_one(self):
        FakeServer(self, refused(429, "Retry-After: 1"), refused(403))
        client = TunnelClient(self, SERVER, dns=False)
        self.assertEqual(client.wait(), 1)
        self.assert_says(client, "refused with 429: so so")
        self.assert_says(client, "refused with 403: so so")

    def test_one_that_is_no_tunnel_is_named(self):
        FakeServer(self, opened())
        TunnelClient(self, SERVER, dns=False).wait_for("has no Tunnel-MTU")

    def test_a_packet_longer_than_agreed_ends_the_stream_and_no_more(self):
        server = FakeServer(self, opened("Tunnel-MTU: 1280", rest=b"\x05\x01"), opened("Tunnel-MTU: 1280"))
        client = self.tunnel(SERVER, dns=False)
        client.wait_for("longer than its Tunnel-MTU")
        client.connected(2)
        self.assertEqual(len(server.asked), 2)

    def test_garbage_in_frames_goes_nowhere(self):
        server = FakeServer(self, opened("Tunnel-MTU: 1500"))
        client = self.tunnel(SERVER, dns=False)
        self.assert_soon(lambda: server.streams, "the stream")
        for _ in range(200):
            server.streams[0].sendall(b"".join(struct.pack(">H", size) + os.urandom(size) for size in range(0, 1500, 50)))
        time.sleep(0.5)
        self.assertFalse(client.said("has ended"))
        self.assertEqual(client.stop(), 0)


class Capture:
    """Frames that leave the client's host by its only wire, while in `with`."""

    def __init__(self, test):
        self.packets = []
        self._socket = test.net.socket("client", socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind(("to_gateway", 3))  # ETH_P_ALL
        self._socket.settimeout(0.1)

    def __enter__(self):
        self._runs = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def _read(self):
        while self._runs:
            try:
                packet, about = self._socket.recvfrom(2000)
            except TimeoutError:
                continue
            if about[2] == socket.PACKET_OUTGOING:
                self.packets.append(packet)

    def __exit__(self, *_):
        time.sleep(0.2)
        self._runs = False
        self._thread.join(5)
        self._socket.close()

    def leaked(self):
        """IP packets that were neither for the server nor about the link itself."""
        out = []
        for packet in self.packets:
            kind = packet[12:14]
            if kind == b"\x08\x00" and packet[30:34] != socket.inet_aton(GATEWAY[0]):
                out.append(packet)
            is_neighbour = len(packet) > 54 and packet[20] == 58 and packet[54] in (133, 135, 136, 143)
            is_group = packet[20] == 0  # multicast listener reports have a hop-by-hop header
            if kind == b"\x86\xdd" and not is_neighbour and not is_group:
                out.append(packet)
        return out


class KillSwitch(ClientTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.unblock)

    def unblock(self):
        return self.net.run("client", [str(BUILD / "bin" / "gatehouse-tunnel"), "--unblock"])

    def try_everything(self):
        for to in INTERNET:
            self.source_of(to, within=0.1)
        for to, family in ((GATEWAY[0], socket.AF_INET), (GATEWAY[1], socket.AF_INET6)):
            with self.net.socket("client", family, socket.SOCK_DGRAM) as one:  # a resolver in the network next door
                try:
                    one.sendto(b"leak", (to, 53))
                except PermissionError:
                    pass

    def test_nothing_leaves_before_the_first_connection_nor_after_a_crash(self):
        with Capture(self) as open_host:
            self.try_everything()
        self.assertEqual(len(open_host.leaked()), 3)  # that the capture sees them; the fourth is for the gateway
        client = TunnelClient(self, SERVER, "--block-when-down", dns=False).wait_for("nothing leaves this host")
        client.wait_for("Connection refused")
        with Capture(self) as seen:
            self.try_everything()
            self.start()
            client.connected()
            self.assertEqual(self.source_of(), OUTSIDE[0])
            client.process.kill()
            client.wait()
            self.try_everything()
        self.assertEqual(seen.leaked(), [])
        udp = [packet for packet in seen.packets if packet[12:14] == b"\x08\x00" and packet[23] == 17]
        self.assertEqual(udp, [])  # not to the gateway either
        self.unblock()
        self.assertEqual(self.source_of(), CLIENT[0])

    def test_nothing_leaves_while_the_gateway_is_down(self):
        gateway = self.start()
        client = self.tunnel(SERVER, "--block-when-down", dns=False)
        with Capture(self) as seen:
            gateway.stop()
            client.wait_for("has ended")
            self.try_everything()
        self.assertEqual(seen.leaked(), [])

    def test_an_ordinary_stop_ends_it_and_a_hangup_does_not(self):
        self.start()
        before = self.host_state()
        client = self.tunnel(SERVER, "--block-when-down", dns=False)
        self.assertEqual(client.stop(signal.SIGHUP), 0)
        self.assertIsNone(self.source_of(within=0.2))
        self.assertEqual(self.tunnel(SERVER, "--block-when-down", dns=False).stop(), 0)
        self.assertEqual(self.host_state(), before)
        self.assertEqual(self.source_of(), CLIENT[0])

    def test_a_later_run_without_it_says_that_it_stays(self):
        self.start()
        self.tunnel(SERVER, "--block-when-down", dns=False).process.kill()
        client = self.tunnel(SERVER, dns=False)
        self.assert_says(client, "so it stays")
        self.assertEqual(self.source_of(), OUTSIDE[0])


class Probe(ClientTest):
    def probe(self, *words):
        done = self.net.run("client", [str(BUILD / "bin" / "gatehouse"), "probe", "--json", "packet-tunnel", SERVER,
                                       *words], check=False)
        return done.returncode, done.stdout, done.stderr

    def said(self, *words):
        code, out, err = self.probe(*words)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def test_it_reports_what_came_back(self):
        server = DnsServer(self.net, "internet", ["93.184.0.53"], {"www.example.org": ["192.0.2.7"]})
        self.addCleanup(server.stop)
        TcpEcho(self)
        self.start()
        said = self.said("--dns", "www.example.org", "--to", INTERNET[0])
        self.assertEqual(said["mtu"], 1500)
        self.assertEqual(self.said()["dns"]["name"], "example.com")  # something comes back of every probe
        self.assertEqual((said["dns"]["rcode"], said["dns"]["addresses"]), ("NOERROR", ["192.0.2.7"]))
        self.assertIn("echo", said)
        self.assertEqual(self.said("--to", f"{INTERNET[0]}:5000")["connect"]["answer"], "accepted")
        self.assertEqual(self.said("--to", f"{INTERNET[0]}:5999")["connect"]["answer"], "reset")

    def test_it_says_what_is_wrong(self):
        code, _, err = self.probe()
        self.assertEqual(code, 1)
        self.assertIn("Connection refused", err)
        code, _, err = self.probe("--to", "nonsense")
        self.assertEqual(code, 2)
        self.assertIn("usage: gatehouse probe packet-tunnel", err)


if __name__ == "__main__":
    main(at_once=2)
