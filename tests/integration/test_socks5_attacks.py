#!/usr/bin/env python3
"""What clients of socks5 may try against it and against each other: all of it is bounded, `status` says when something
runs short, and somebody else is served meanwhile."""

import contextlib
import os
import resource
import socket
import struct
import time

from harness import GATEWAY, INTERNET, UdpEcho, main
from harness.gateway import SLOW
from harness.socks5 import ASSOCIATE, CONNECT, NO_HOST, NOT_ALLOWED, SocksRefused, ask, destination, read_destination
from harness.socks5_case import CLOSED, OPEN, PROXY, RESOLVER, Socks5

GREETED = b"\x05\x01\x00"
FROM_OUTSIDE = ("93.184.0.1", 1080)  # how another source than the client reaches the same listener


class Attacks(Socks5):
    def setUp(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def stream(self, words=b"", namespace="client", proxy=PROXY):
        stream = self.net.connect(namespace, *proxy)
        self.addCleanup(stream.close)
        if words:
            stream.sendall(words)
        return stream

    def count(self, name, **labels):
        return self.running.metric(f"gatehouse_plugin_socks5_{name}", **labels)

    def assert_somebody_else_is_served(self):
        begin = time.monotonic()
        with contextlib.closing(self.net.connect("internet", *FROM_OUTSIDE)) as stream:
            stream.settimeout(10)
            ask(stream, CONNECT, INTERNET[0], 8080)
        self.assertLess(time.monotonic() - begin, 2 * SLOW)

    def assert_ended(self, stream, within):
        stream.settimeout(within * SLOW)
        with contextlib.suppress(ConnectionResetError):
            while stream.recv(1000):
                pass

    def reasons(self):
        return " ".join(self.running.json("status")["reasons"])


class Slow(Attacks):
    def test_each_state_has_its_time(self):
        """Whoever stops in the middle of an opening, or drips, is gone in ten seconds; silent targets in their time."""
        self.start(listen=[OPEN],
                   options={"connect_timeout_seconds": 5, "dns_resolvers": ["93.184.0.99"], "resolver_timeout_ms": 9000})
        begin = time.monotonic()
        stopped = [self.stream(words) for words in (b"", b"\x05", b"\x05\xff" + bytes(200), GREETED,
                                                    GREETED + b"\x05\x01\x00\x03\xff" + b"a" * 254)]
        dripping = self.stream(GREETED[:2])
        silent = [self.stream(GREETED + b"\x05\x01\x00" + destination(host, 8080))
                  for host in ("page.example", "93.184.0.98")]
        for stream in silent:
            self.assertEqual(stream.recv(2), b"\x05\x00")
            stream.settimeout(12 * SLOW)
            self.assertEqual(stream.recv(2)[1:], bytes([NO_HOST]))
        self.assertLess(time.monotonic() - begin, 8 * SLOW)
        self.assert_somebody_else_is_served()
        with contextlib.suppress(OSError):
            for _ in range(200):  # a byte in a while is no life
                dripping.sendall(b"\x00" if self.count("streams") else b"")
                time.sleep(0.3)
                if self.count("streams") == 0:
                    break
        for stream in stopped:
            self.assert_ended(stream, 15)
        self.assertLess(time.monotonic() - begin, 14 * SLOW)
        self.assert_soon(lambda: self.count("streams") == 0, "all have ended")
        self.assertGreaterEqual(self.count("streams_refused_total", cause="slow"), 4)

    def test_a_client_that_has_vanished_makes_place(self):
        """Half-open: its host is gone and says nothing more. What it holds is the first to go where places are short."""
        self.start(nofile=256, lanes=1, policy=lambda db: db.traffic("identity", concurrent_sessions=0))
        idle = [self.connect(INTERNET[0]) for _ in range(30)]
        newer = [self.connect(INTERNET[0]) for _ in range(90)]
        self.assert_somebody_else_is_served()
        self.assertGreater(self.count("streams_recycled_total"), 0)
        newer[-1].sendall(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn(b"200", newer[-1].recv(1000))
        self.assert_ended(idle[0], 3)
        self.assertIn("descriptors are used up", self.reasons())
        self.assertEqual(self.running.json("status")["state"], "degraded")


class Many(Attacks):
    def test_ten_thousand_of_one_source(self):
        self.start(nofile=2000)
        held = []
        for number in range(10_000):
            stream = self.net.socket("client", socket.AF_INET, socket.SOCK_STREAM)
            stream.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                stream.connect(PROXY)
            held.append(stream)
            if number % 2000 == 1999:
                self.assert_somebody_else_is_served()
        self.assert_soon(lambda: "descriptors are used up" in self.reasons(), "status says so")
        self.assertLess(self.count("streams"), 2000)
        self.assert_somebody_else_is_served()
        for stream in held:
            stream.close()
        self.assert_soon(lambda: self.count("streams") == 0, "all have gone", 30)

    def test_sessions_of_one_source_are_counted_in_every_state(self):
        self.start(policy=lambda db: db.traffic("identity", concurrent_sessions=8))
        relays = [ask(self.stream(), ASSOCIATE, "0.0.0.0", 0) for _ in range(4)]
        self.assertEqual(len(set(relays)), 4)
        tunnels = [self.connect(INTERNET[0]) for _ in range(4)]
        with self.assertRaises(SocksRefused) as refused:
            self.connect(INTERNET[0])
        self.assertEqual(refused.exception.step, "method")
        self.assert_somebody_else_is_served()
        tunnels[0].close()
        self.assert_soon(lambda: self.count("tunnels") == 3, "one has ended")
        self.connect(INTERNET[0])

    def test_its_own_listeners_are_never_reached(self):
        """Or one stream would be a chain of them, whatever an administrator has opened."""
        def policy(db):
            for prefix in ("10.77.0.1/32", "93.184.0.1/32", "127.0.0.0/8"):
                db.insert("port_permits", destination=prefix, priority=1)
        self.start(policy=policy, allow_local_destinations=True)
        for host in ("10.77.0.1", "93.184.0.1", "127.0.0.1", "127.9.9.9", "::ffff:10.77.0.1", "inner.example"):
            self.assertEqual(self.refusal(host, PROXY[1]), NOT_ALLOWED, host)
        self.assert_somebody_else_is_served()


class Odd(Attacks):
    def refused_name(self, name):
        stream = self.stream(GREETED + b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x00\x50")
        stream.settimeout(5)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while part := stream.recv(100):
                got += part
        self.assertEqual(got[:2], b"\x05\x00", name)
        return got[3] if len(got) > 3 else None

    def test_odd_names_are_refused_and_never_asked(self):
        gateway = self.start()
        for name in (b"", b".", b"..", b"a..b", b"\x00", b"page.example\x00.x", b"\xff\xfe", b"a" * 64 + b".example",
                     b"a" * 255, b"page.example\r\nX: y", b"\x1b[2J.example", b" page.example", b"page example",
                     "\u202epage.example".encode()):
            before = len(self.web.asked)
            self.assertIn(self.refused_name(name), (NO_HOST, 1, NOT_ALLOWED), name)
            self.assertEqual(len(self.web.asked), before)
        for name in (b"127.0.0.1", b"2130706433", b"0x7f.1", b"0177.0.0.1", b"[::1]", b"::1", b"localhost", b"127.1"):
            self.assertNotEqual(self.refused_name(name), 0, name)  # an address in a name's place opens nothing
        self.assertNotIn("\x1b", gateway.text())
        self.assertEqual(self.dns.queries("page.example"), 0)

    def test_logins_of_all_lengths(self):
        gateway = self.start(listen=[CLOSED], policy=lambda db: db.traffic("source", token_failures_per_minute=1000))
        for user, password in ((b"u" * 255, b"p" * 255), (b"", b""), (b"\xff" * 255, b"\x00" * 255), (b"u", b"\n")):
            stream = self.stream(b"\x05\x01\x02", "gateway", ("127.0.0.1", 1081))
            stream.settimeout(5)
            self.assertEqual(stream.recv(2), b"\x05\x02")
            stream.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
            self.assertIn(stream.recv(2), (b"\x01\x01", b""))
            self.assert_ended(stream, 5)
        self.assertEqual(gateway.json("sessions")["count"], 0)
        self.assertEqual(self.count("streams_refused_total", cause="login")
                         + self.count("streams_refused_total", cause="protocol"), 4)


class Datagrams(Attacks):
    def association(self, **where):
        stream = self.stream(**where)
        relay = ask(stream, ASSOCIATE, "0.0.0.0", 0)
        near = self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(near.close)
        near.settimeout(0.5 * SLOW)
        return near, relay

    def drops(self, cause):
        return self.count("drops_total", cause=cause)

    def test_fragments_strangers_and_garbage_are_dropped_and_counted(self):
        self.start()
        echo = UdpEcho(self.net, "internet", INTERNET[:1])
        self.addCleanup(echo.stop)
        there = destination(INTERNET[0], echo.port)
        near, relay = self.association()
        for fragment in (1, 127, 128, 255):
            near.sendto(b"\0\0" + bytes([fragment]) + there + b"part", relay)
        for garbage in (b"", b"\0", b"\0\0\0", b"\0\0\0\x01", b"\0\0\0\x03\xffab", b"\0\0\0\x09" + bytes(20),
                        b"\0\0\0\x03\x02\xff\xfe\0\x35x"):
            near.sendto(garbage, relay)
        self.net.address("client", "to_gateway", "10.77.0.3/24")
        with self.net.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as spoofer:
            spoofer.bind(("10.77.0.3", 0))
            for _ in range(10):
                spoofer.sendto(b"\0\0\0" + there + b"mine", relay)
        near.sendto(b"\0\0\0" + there + b"whole", relay)
        self.assertEqual(read_destination(near.recv(1000)[3:])[1], b"whole")
        self.assert_soon(lambda: self.drops("fragment") == 4, "fragments are counted")
        self.assert_soon(lambda: self.drops("malformed") == 7, "garbage is counted")
        self.assert_soon(lambda: self.drops("foreign") == 10, "and strangers")
        with self.assertRaises(TimeoutError):
            near.recv(1000)

    def test_nothing_of_the_host_is_reached(self):
        self.start()
        near, relay = self.association()
        places = ["127.0.0.1", "::1", "169.254.169.254", "255.255.255.255", "224.0.0.1", "0.0.0.0", "10.77.0.1",
                  "93.184.0.1", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "inner.example", "metadata.example"]
        with self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("0.0.0.0", 4711))
            own.settimeout(0.5)
            for place in places:
                near.sendto(b"\0\0\0" + destination(place, 4711) + b"x", relay)
            near.sendto(b"\0\0\0" + destination(*relay) + b"to itself", relay)
            self.assert_soon(lambda: self.drops("denied") == len(places) + 1, "all are denied")
            with self.assertRaises(TimeoutError):
                own.recv(100)

    def test_a_flood_of_names_and_of_flows_leaves_others_theirs(self):
        self.start(options={"dns_resolvers": [RESOLVER, "93.184.0.99"], "resolver_timeout_ms": 2000})
        echo = UdpEcho(self.net, "internet", INTERNET[:1])
        self.addCleanup(echo.stop)
        before = self.running.resident_bytes()
        flooders = [self.association() for _ in range(8)]
        for number in range(4000):
            near, relay = flooders[number % len(flooders)]
            near.sendto(b"\0\0\0" + destination(f"n{number}.nowhere.example", 9) + bytes(1000), relay)
            address = f"94.{number >> 8}.{number & 255}.1"
            near.sendto(b"\0\0\0" + destination(address, 1 + number % 60000) + bytes(10), relay)
            if number % 1000 == 0:
                self.assert_somebody_else_is_served()
        self.assertLess(self.running.resident_bytes() - before, 64 << 20)
        near, relay = self.association()
        near.settimeout(5 * SLOW)
        near.sendto(b"\0\0\0" + destination(INTERNET[0], echo.port) + b"still", relay)
        self.assertEqual(read_destination(near.recv(1000)[3:])[1], b"still")


if __name__ == "__main__":
    main(at_once=3)
