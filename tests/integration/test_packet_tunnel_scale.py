#!/usr/bin/env python3
"""Many sessions of the packet tunnel: opened at once, remembered by the hundred thousand, and over kill -9."""

import hashlib
import resource
import secrets
import select
import signal
import socket
import sqlite3
import struct
import sys
import time

from harness import INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import SLOW
from harness.tunnel import CLIENT4, Tunnel, read, udp

PORT = 7400
AT_ONCE = 1000
REMEMBERED = 100_000
TRACKED = 100_000
# Seconds that AT_ONCE sessions may take; on a quiet machine of two cores it is 0.1.
OPENING = 2.0 * SLOW


class Opening:
    """One client among many: a non-blocking stream whose 101 has not come yet."""

    def __init__(self, net, session, extra=""):
        self.session, self.answer, self.stream = session, b"", net.socket("gateway", socket.AF_INET, socket.SOCK_STREAM)
        self._request = (f"GET /packet-tunnel HTTP/1.1\r\nHost: gate.example\r\nConnection: upgrade\r\n"
                         f"Upgrade: packet-tunnel\r\nSession-ID: {session}\r\n{extra}\r\n").encode()

    def begin(self):
        self.stream.connect(("127.0.0.1", PORT))
        self.stream.setblocking(False)
        self.stream.send(self._request)

    def take(self):
        """Reads; is the answer whole, or the stream over?"""
        try:
            chunk = self.stream.recv(65536)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        self.answer += chunk
        return not chunk or b"\r\n\r\n" in self.answer

    @property
    def is_in(self):
        return self.answer.startswith(b"HTTP/1.1 101")


def open_all(openings, within):
    """Opens them as fast as the gateway lets them in; seconds that it took."""
    poller, by_fd, start = select.epoll(), {one.stream.fileno(): one for one in openings}, time.monotonic()
    for one in openings:
        one.begin()
        poller.register(one.stream.fileno(), select.EPOLLIN)
    while by_fd and time.monotonic() < start + within:
        for fd, _ in poller.poll(0.5):
            if by_fd[fd].take():
                poller.unregister(fd)
                del by_fd[fd]
    poller.close()
    return time.monotonic() - start


class Scale(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))

    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)

    def start(self, traffic=None, lanes=2, **options):
        def policy(db):
            db.sql("DELETE FROM traffic_rules;")
            db.traffic(concurrent_sessions=0, **(traffic or {}))

        return self.gateway(policy=policy, nofile=8192, plugins={"packet-tunnel": {
            "listen": [{"address": f"127.0.0.1:{PORT}"}], "lanes": lanes,
            "options": {"dns_resolvers": ["93.184.0.53"], **options}}})

    def openings(self, count):
        out = [Opening(self.net, secrets.token_urlsafe(32)) for _ in range(count)]
        for one in out:
            self.addCleanup(one.stream.close)
        return out

    def open(self, session=None):
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        return Tunnel(stream, session or secrets.token_urlsafe(32))

    def assert_echoes(self, tunnel, payload=b"hello", port=5000):
        tunnel.send(udp(CLIENT4, INTERNET[0], port, self.echo.port, payload))
        got = tunnel.find(lambda one: one.protocol == 17 and one.payload == payload, within=5 * SLOW)
        self.assertIsNotNone(got, "no echo came")

    def tracked(self, source=None):
        """Connections that the kernel knows, with that original source."""
        found = self.net.run("gateway", ["conntrack", "-L", *(["-s", source] if source else [])], check=False).stdout
        return sum(" src=" in line for line in found.splitlines())

    def track(self, count):
        """Fills the kernel's table of connections."""
        self.net.run("gateway", ["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600"])
        for first in range(0, count, 50_000):
            with self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM) as one:
                for port in range(1, min(50_000, count - first) + 1):
                    one.sendto(b"x", (INTERNET[0], port))

    def leases(self, gateway):
        """Addresses, and whose they are: of all that is durable, which is more than `gatehouse leases` shows."""
        with sqlite3.connect(f"file:{gateway.state}/state.db?mode=ro", uri=True) as db:
            out = dict(db.execute("SELECT resource, session_id FROM leases"))
        db.close()
        return out


class ManyAtOnce(Scale):
    def open_and_echo(self, tracked=0):
        gateway = self.start()
        if tracked:
            self.track(tracked)
            if self.tracked() < tracked * 0.9:
                self.skipTest(f"this machine tracks {self.tracked()} connections only")
        openings = self.openings(AT_ONCE)
        took = open_all(openings, 60)
        print(f"{AT_ONCE} sessions beside {tracked} tracked connections opened in {took:.2f} s, {gateway.cpu_seconds():.2f} CPU-s with the start, "
              f"{gateway.resident_bytes() >> 20} MiB resident", file=sys.stderr)
        self.assertEqual(sum(one.is_in for one in openings), AT_ONCE)
        self.assertLess(took, OPENING)
        self.assertEqual(len(self.leases(gateway)), AT_ONCE, "each has an address")
        waiting = {one.stream.fileno(): (number, one) for number, one in enumerate(openings)}
        poller = select.epoll()

        def ask(number, one):
            packet = udp(CLIENT4, INTERNET[0], 5000, self.echo.port, b"session %d" % number)
            one.stream.send(struct.pack(">H", len(packet)) + packet)

        for number, one in enumerate(openings):
            ask(number, one)
            poller.register(one.stream.fileno(), select.EPOLLIN)
        deadline = time.monotonic() + 20 * SLOW
        while waiting and time.monotonic() < deadline:
            answered = poller.poll(0.5)
            if not answered:  # while a neighbour is looked for, the kernel drops the first of many datagrams
                for number, one in waiting.values():
                    ask(number, one)
            for fd, _ in answered:
                number, one = waiting.pop(fd)
                poller.unregister(fd)
                self.assertEqual(read(one.stream.recv(65536)[2:]).payload, b"session %d" % number)
        self.assertFalse(waiting, "each has its own echo")

    def test_a_thousand_sessions_open_in_two_seconds(self):
        self.open_and_echo()

    def test_a_large_table_of_connections_slows_no_opening_down(self):
        """New addresses are nobody's, so that the kernel need not look for their connections."""
        self.open_and_echo(TRACKED)


class Recycled(Scale):
    def test_a_new_client_gets_nothing_of_who_had_its_address(self):
        gateway = self.start(lanes=1, ipv4_prefix="10.200.0.0/28", traffic={"session_idle_seconds": 1})
        others = [self.open() for _ in range(11)]
        first = self.open()  # a /28 has twelve addresses for clients
        self.assert_echoes(first, b"first client")
        there = self.echo.last_source(b"first client")
        before = self.leases(gateway)
        first.close()
        self.assert_soon(lambda: len(self.leases(gateway)) < len(before), "its address is free", timeout=20)
        address = (set(before) - set(self.leases(gateway))).pop()
        self.assertGreater(self.tracked(address), 0)
        second = self.open()
        self.assertIn(address, self.leases(gateway))
        self.assert_echoes(second, b"second client", port=5001)
        self.echo.send(INTERNET[0], there, b"for the first")
        got = second.receive(0.5)
        self.assertIsNone(got, "the kernel's NAT still knows the first client")
        for number, one in enumerate(others):
            self.assert_echoes(one, b"another %d" % number, port=5002 + number)

    def test_what_an_earlier_process_has_left_of_nobody_is_gone(self):
        gateway = self.start()
        tunnel = self.open()
        self.assert_echoes(tunnel)
        address = next(iter(self.leases(gateway)))
        kept = self.open()
        self.assert_echoes(kept, b"kept", port=5001)
        other = (set(self.leases(gateway)) - {address}).pop()
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        gateway.process.stdout.close()
        with sqlite3.connect(gateway.state / "state.db") as db:
            db.execute("DELETE FROM sessions WHERE id = (SELECT session_id FROM leases WHERE resource = ?)", (address,))
            db.execute("DELETE FROM leases WHERE resource = ?", (address,))
        db.close()
        gateway.start()
        self.assertEqual(self.tracked(address), 0)
        self.assertGreater(self.tracked(other), 0, "a session that is remembered keeps its connections")


class Remembered(Scale):
    def remember(self, gateway, count):
        """Rows of so many sessions, each as the one that the gateway has made itself; their ids, with their addresses."""
        with sqlite3.connect(gateway.state / "state.db") as db:
            names = [row[1] for row in db.execute("PRAGMA table_info(sessions)")]
            row = dict(zip(names, db.execute("SELECT * FROM sessions").fetchone()))
            lease = db.execute("SELECT resource, granted_at, expires_at FROM leases").fetchone()
            prefix = struct.unpack(">I", socket.inet_aton(lease[0]))[0] & 0xFFC00000  # a /10
            out, sessions, leases = {}, [], []
            expires = row["expires_at"] + 86400
            for number in range(count):
                session, index = f"remembered-session-number-{number:010d}", 1000 + number * 37
                address = struct.pack(">I", prefix + index)
                resource = socket.inet_ntoa(address)
                blob = address[0:0] + struct.pack(">I", (prefix + index) & 0xFFFFFF) + address + row["blob"][8:]
                digest = hashlib.sha256(b"packet-tunnel\0" + resource.encode()).digest()
                one = dict(row, id=row["id"] + 1 + number, key=hashlib.sha256(session.encode()).digest(), blob=blob,
                           slot=digest[0] << 4 | digest[1] >> 4, expires_at=expires)
                sessions.append(tuple(one[name] for name in names))
                leases.append(("packet-tunnel", resource, one["id"], lease[1], lease[2]))
                out[session] = resource
            db.executemany(f"INSERT INTO sessions VALUES ({','.join('?' * len(names))})", sessions)
            db.executemany("INSERT INTO leases VALUES (?, ?, ?, ?, ?)", leases)
            db.execute("UPDATE epoch SET last_session_id = ?", (row["id"] + count,))
        db.close()
        return out

    def test_a_hundred_thousand_remembered_sessions_slow_no_start_down(self):
        gateway = self.start()
        self.assert_echoes(self.open())
        gateway.stop()
        sessions = self.remember(gateway, REMEMBERED)
        begin = time.monotonic()
        gateway.start(within=30)
        took = time.monotonic() - begin
        print(f"{REMEMBERED} remembered sessions: started in {took:.2f} s, {gateway.resident_bytes() >> 20} MiB resident",
              file=sys.stderr)
        self.assertLess(took, 5 * SLOW)
        for number in (0, 1, REMEMBERED // 2, REMEMBERED - 1):
            session, address = list(sessions.items())[number]
            tunnel = self.open(session)
            self.assertTrue(tunnel.resumed, session)
            self.assert_echoes(tunnel, b"resumed %d" % number, port=5000 + number % 1000)
            self.assertGreater(self.tracked(address), 0, "it has its old address")
        held = self.leases(gateway)
        self.assertEqual(len(held), REMEMBERED + 1)
        openings = self.openings(100)
        open_all(openings, 20)
        self.assertTrue(all(one.is_in for one in openings))
        after = self.leases(gateway)
        self.assertEqual(len(after), REMEMBERED + 101, "new ones have addresses of their own")
        self.assertEqual({one: after[one] for one in held}, held)


class Killed(Scale):
    ROUNDS = 8

    def test_kill_9_among_openings_gives_nobody_an_address_of_another(self):
        """A session that was let in has its address for good; one that was not may have any, but no other's."""
        gateway = self.start()
        let_in = {}  # session -> its address, as the gateway said once
        for number in range(self.ROUNDS):
            openings = self.openings(300)
            for one in openings:
                one.begin()
            time.sleep(0.01 + number * 0.01)
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
            gateway.process.stdout.close()
            for one in openings:
                one.stream.settimeout(1)
                while not one.take():
                    pass
            gateway.start()
            held = self.leases(gateway)
            self.assertEqual(len(set(held.values())), len(held), "one address each")
            for one in openings:
                if one.is_in:
                    self.assertTrue(self.open(one.session).resumed, "it was let in, and is not remembered")
                one.stream.close()
            let_in.update({one: held[one] for one in held})
            self.assertEqual({one: held.get(one) for one in let_in}, let_in, "nobody's address is another's now")
        self.assertGreater(len(let_in), 100, "some were in before they were killed")


if __name__ == "__main__":
    main()
