#!/usr/bin/env python3
"""What one client of the packet tunnel can do to the others: each attack runs in a process of its own, and the round
trips of somebody else are measured beside it, on the same lane."""

import contextlib
import fcntl
import os
import resource
import secrets
import signal
import socket
import statistics
import struct
import sys
import threading
import time

from harness import INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import SLOW
from harness.tunnel import (ACK, CLIENT4, CLIENT6, DNS4, SYN, TCP, UDP, Refused, Tunnel, ip, large_frame, tcp, udp,
                            udp_body)

PORT = 7400
MIB = 1 << 20
BUFFER = MIB
SIOCOUTQNSD = 0x894B  # bytes of a stream that the kernel has not sent yet (linux/sockios.h)
# Seconds that a lane which never sleeps may wait for its core, where other processes want it too.
FULL_CORE = 0.05 * SLOW


def frames(*packets):
    return b"".join(struct.pack(">H", len(one)) + one for one in packets)


class Attacked(GatewayTest):
    def setUp(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
        self.echo = UdpEcho(self.net, "internet", [*INTERNET, "93.184.0.11"])
        self.addCleanup(self.echo.stop)
        # Kernels keep megabytes for a stream before its client's queue here has to.
        for name in ("gateway", "client"):
            self.net.run(name, ["sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 131072",
                                "net.ipv4.tcp_rmem=4096 16384 131072"])

    def start(self, traffic=None, memory=64 * MIB, extra="", listen=f"127.0.0.1:{PORT}", lanes=1, **options):
        """One lane, so that nobody is out of reach of the attack."""
        def policy(db):
            db.sql("DELETE FROM traffic_rules;")
            db.traffic(concurrent_sessions=0, **(traffic or {}))

        options = {"dns_resolvers": ["93.184.0.53"], "client_buffer_bytes": BUFFER, **options}
        self.running = self.gateway(policy=policy, nofile=4096, extra=extra, plugins={"packet-tunnel": {
            "listen": [{"address": listen, "auth": "none"}], "lanes": lanes, "memory_bytes": memory, "options": options}})
        return self.running

    def open(self, session=None, port=PORT, **opening):
        stream = self.net.connect("gateway", "127.0.0.1", port)
        self.addCleanup(stream.close)
        return Tunnel(stream, session or secrets.token_urlsafe(32), **opening)

    def metric(self, name, **labels):
        return self.running.metric(f"gatehouse_plugin_packet_tunnel_{name}", **labels)

    def rejected(self, *reasons):
        return sum(self.metric("packets_rejected_total", reason=one) for one in reasons)

    def assert_grown_less(self, before, most, what):
        """Sanitizers keep what is freed, so that nothing is said of their memory."""
        if SLOW == 1:
            self.assertLess(self.running.resident_bytes() - before, most, what)

    def ask(self, tunnel, payload, port=5000, within=2.0, client=CLIENT4, to=INTERNET[0]):
        """The echo's payload; None: it is lost."""
        tunnel.send(udp(client, to, port, self.echo.port, payload))
        got = tunnel.find(lambda one: one.protocol == UDP and one.payload == payload, within * SLOW)
        return got and got.payload

    def trips(self, tunnel, seconds=0.5):
        """Sorted seconds of round trips, one after the other; one that is lost counts as a second."""
        took, end = [], time.monotonic() + seconds
        while (start := time.monotonic()) < end or len(took) < 100:
            got = self.ask(tunnel, b"trip%08d" % len(took), within=1)
            took.append(time.monotonic() - start if got else 1.0)
        return sorted(took)

    @contextlib.contextmanager
    def attacker(self, attack):
        """`attack()` runs in another process until this ends."""
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                attack()
            except BaseException as error:  # a reset stream, say: the attack is over
                print(f"the attacker ended: {error!r}", file=sys.stderr)
            os._exit(0)
        try:
            yield
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def beside(self, attack, what, seconds=1.5, more=FULL_CORE):
        """The median of another client rises at most twofold, or by `more` seconds, beside the attack."""
        other = self.open()
        self.trips(other, 0.1)
        alone = self.trips(other)
        with self.attacker(attack):
            time.sleep(0.3)
            beside = self.trips(other, seconds)
        p99 = [one[len(one) * 99 // 100] * 1e3 for one in (alone, beside)]
        middle = [statistics.median(one) for one in (alone, beside)]
        lost = sum(one >= 1.0 for one in beside)
        print(f"{what}: median {middle[0] * 1e3:.2f} ms alone, {middle[1] * 1e3:.2f} ms beside; p99 {p99[0]:.2f}, "
              f"{p99[1]:.2f} ms; {lost} lost; {self.running.resident_bytes() >> 20} MiB resident", file=sys.stderr)
        self.assertLess(middle[1], max(2 * middle[0], middle[0] + more), "the median round trip of another client")
        self.assertLessEqual(lost, len(beside) // 100)

    def endless(self, stream, wire):
        """Sends these bytes without end, as fast as they are taken."""
        def attack():
            stream.settimeout(None)
            while True:
                stream.sendall(wire)
        return attack


class Readers(Attacked):
    """Clients that ask for much and do not read it."""

    def test_a_udp_download_that_nobody_reads_is_bounded_and_counted(self):
        self.start()
        loud = self.open()
        self.assertIsNotNone(self.ask(loud, b"loud...."))
        there, before = self.echo.last_source(b"loud...."), self.running.resident_bytes()
        flood = lambda: self.echo.flood(INTERNET[0], there, 1 << 30, 1000, 64, 0.001)  # noqa: E731
        self.beside(flood, "a UDP download that nobody reads")
        self.assert_grown_less(before, 8 * BUFFER, "what waits for one client")
        self.assertGreater(self.rejected("queue_full", "early"), 1000, "drops are counted")
        got = 0
        while loud.find(lambda one: one.protocol == UDP, within=0.5) is not None:
            got += 1
        self.assertGreater(got, 100, "what was kept is delivered")
        self.assertEqual(self.ask(loud, b"afterwards"), b"afterwards", "the stream is whole")

    def test_a_tcp_download_that_nobody_reads_is_bounded(self):
        """It acknowledges blindly whatever the server has sent, so that super-packets come without end."""
        self.start()
        listener = self.net.socket("internet", socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind((INTERNET[0], 8080))
        listener.listen()
        loud = self.open()
        loud.send(tcp(CLIENT4, INTERNET[0], 6000, 8080, 100, 0, SYN))
        welcome = loud.receive()
        loud.send(tcp(CLIENT4, INTERNET[0], 6000, 8080, 101, welcome.seq + 1, ACK))
        listener.settimeout(5)
        peer, _ = listener.accept()
        self.addCleanup(peer.close)
        before = self.running.resident_bytes()

        def attack():
            peer.setblocking(False)
            body, written = bytes(256 * 1024), 0
            while True:
                with contextlib.suppress(BlockingIOError):
                    written += peer.send(body)
                unsent = struct.unpack("i", fcntl.ioctl(peer.fileno(), SIOCOUTQNSD, bytes(4)))[0]
                ack = (welcome.seq + 1 + written - unsent) & 0xFFFFFFFF
                loud.send(tcp(CLIENT4, INTERNET[0], 6000, 8080, 101, ack, ACK))
                time.sleep(0.0002)

        self.beside(attack, "a TCP download that nobody reads")
        self.assert_grown_less(before, 8 * BUFFER, "what waits for one client")
        self.assertGreater(self.rejected("queue_full", "early"), 100)

    def test_many_that_do_not_read_stay_within_memory_bytes(self):
        gateway = self.start(memory=16 * MIB)
        readers = [self.open() for _ in range(60)]
        for number, one in enumerate(readers):
            self.assertIsNotNone(self.ask(one, b"r%07d" % number))
        to = [self.echo.last_source(b"r%07d" % number) for number in range(len(readers))]
        before = gateway.resident_bytes()

        def attack():
            while True:
                for one in to:
                    self.echo.flood(INTERNET[0], one, 64, 1200, 64, 0.001)

        self.beside(attack, "60 clients that do not read", seconds=4)
        self.assert_grown_less(before, (16 + 8) * MIB, "memory_bytes of all clients")
        self.assertGreater(self.rejected("memory", "queue_full", "early"), 1000)
        status = gateway.json("status")
        self.assertEqual(status["state"], "degraded")
        self.assertTrue(any("memory_bytes" in one for one in status["reasons"]), status["reasons"])


class Senders(Attacked):
    def test_ten_thousand_flows_of_one_client_take_nobody_elses(self):
        self.start()
        other = self.open()
        self.assertIsNotNone(self.ask(other, b"theirs..", port=7777))
        there = self.echo.last_source(b"theirs..")
        self.echo.silent = True
        many = self.open()
        for first in range(10000, 20000, 500):
            many.send(*(udp(CLIENT4, INTERNET[0], port, self.echo.port, b"f") for port in range(first, first + 500)))
        self.assert_soon(lambda: self.metric("packets_total", direction="up", protocol="udp", ip="4") >= 10000,
                         "all are sent")
        self.echo.silent = False
        self.assertLessEqual(self.metric("flows"), 4096 + 1)
        self.assertGreaterEqual(self.metric("flows_recycled_total"), 10000 - 4096)
        self.echo.send(INTERNET[0], there, b"still there?")
        got = other.receive()
        self.assertEqual(got and got.payload, b"still there?", "nobody else's flow made place for them")

        def attack():
            many.stream.settimeout(None)
            ports = [frames(*(udp(CLIENT4, "93.184.0.11", port, 9, b"f") for port in range(first, first + 500)))
                     for first in range(1024, 60000, 500)]
            while True:
                for one in ports:
                    many.stream.sendall(one)

        self.beside(attack, "new flows without end")

    def test_one_client_does_not_take_every_port_towards_a_server(self):
        """The host has 64,512 of them, and the kernel keeps each for 30 s after its packet."""
        self.start()
        other, many = self.open(), self.open()
        self.echo.silent = True
        for first in range(1024, 65536, 512):
            many.send(*(udp(CLIENT4, INTERNET[0], port, self.echo.port, b"f") for port in range(first, first + 512)))
        self.assert_soon(lambda: self.metric("packets_total", direction="up", protocol="udp", ip="4") >= 64512,
                         "all are sent")
        self.echo.silent = False
        for number in range(20):
            payload = b"theirs%d" % number
            self.assertEqual(self.ask(other, payload, port=5000 + number), payload, "a port is free")
        chain = self.net.run("gateway", ["nft", "list", "chain", "inet", "gatehouse", "forward"]).stdout
        self.assertIn(f"counter packets {64512 - 8192} ", chain, "who had too many is seen")

    def test_frames_of_one_byte_slow_nobody_down(self):
        self.start()
        self.beside(self.endless(self.open().stream, frames(b"\x45") * 100_000), "frames of one byte")
        self.beside(self.endless(self.open().stream, bytes(200_000)), "empty frames")
        self.assertGreater(self.rejected("invalid_ip_packet_length"), 100_000)

    def test_small_packets_of_two_flows_in_turn_slow_nobody_down(self):
        """Nothing can be merged: each is a system call of its own."""
        self.start()
        wire = frames(*(udp(CLIENT4, "93.184.0.11", 5000 + number % 2, 9, b"") for number in range(4000)))
        self.beside(self.endless(self.open().stream, wire), "small packets")

    def test_super_packets_slow_nobody_down(self):
        """Of as many segments as one may have, the shortest and the longest, of two flows in turn; and empty ones."""
        self.start()
        flows = [(CLIENT4, "93.184.0.11", 5000 + number) for number in range(2)]
        shortest = [large_frame(tcp(*flow, 9, 1, 1, ACK, bytes(128 * 40)), 40) for flow in flows]
        longest = [large_frame(udp(*flow, 9, bytes(65_000)), 1400) for flow in flows]
        for what, wire in (("super-packets of short segments", b"".join(shortest) * 40),
                           ("super-packets of 64 KiB", b"".join(longest)), ("empty large frames", bytes(200_000))):
            self.beside(self.endless(self.open(features="large-frames").stream, wire), what)
        self.assertNotIn("refuses super-packets", self.running.text())

    def test_questions_for_names_slow_nobody_down(self):
        self.start()
        question = bytes.fromhex("1234 0100 0001 0000 0000 0000 0161 0474657374 00 0001 0001")
        wire = frames(*[udp(CLIENT4, DNS4, 5000, 53, question)] * 4000)
        self.beside(self.endless(self.open().stream, wire), "DNS queries")

    def test_denied_packets_are_answered_at_a_bounded_rate(self):
        gateway = self.start()
        gateway.policy.insert("port_permits", transport="any", ports="25", action="deny", priority=1)
        self.assert_soon(gateway.policy_in_force, "the row is in force")
        wire = frames(*[udp(CLIENT4, INTERNET[0], 5000, 25, b"x")] * 4000)
        start = time.monotonic()
        self.beside(self.endless(self.open().stream, wire), "denied packets")
        took = time.monotonic() - start
        self.assertLess(self.metric("denied_answers_total"), 100 + 200 * took)

    def test_fragments_that_are_never_whole_take_nobodys(self):
        self.start()
        other, loud = self.open(), self.open()
        body = udp_body(CLIENT4, INTERNET[0], 5000, self.echo.port, bytes(2800))

        def whole_comes(id):
            other.send(*(ip(CLIENT4, INTERNET[0], UDP, body[at:at + 1400], id=id, offset=at, more=at + 1400 < len(body))
                         for at in range(0, len(body), 1400)))
            parts = [other.find(lambda one: one.offset or one.more, 2 * SLOW) for _ in range(2)]
            return None not in parts

        self.assertTrue(whole_comes(1), "before")
        first6 = udp_body(CLIENT6, INTERNET[1], 5000, 9, bytes(1208))
        first4 = udp_body(CLIENT4, INTERNET[0], 5000, 9, bytes(1392))
        wires = [frames(*(ip(CLIENT4, INTERNET[0], UDP, first4, id=id, more=True) for id in range(at, at + 200)),
                        *(ip(CLIENT6, INTERNET[1], UDP, first6, id=id, more=True) for id in range(at, at + 200)),
                        *(ip(CLIENT4, INTERNET[0], UDP, b"x" * 64, id=id, offset=1400) for id in range(at + 9, at + 200)))
                 for at in range(1, 60000, 200)]

        def attack():
            loud.stream.settimeout(None)
            while True:
                for wire in wires:
                    loud.stream.sendall(wire)

        self.beside(attack, "fragments")
        self.assertTrue(whole_comes(2), "another client's fragments still become whole")

    def test_a_rate_bounds_who_floods_and_nobody_else(self):
        self.start(traffic={"rate_up": 200_000, "burst_up": 20_000})
        loud = self.open()
        wire = frames(*[udp(CLIENT4, "93.184.0.11", 5000, self.echo.port, bytes(1000))] * 100)
        start = time.monotonic()
        self.beside(self.endless(loud.stream, wire), "a client above its rate")
        took = time.monotonic() - start
        carried = len(self.echo.sources[bytes(8)]) * 1028
        self.assertLess(carried, 20_000 + 200_000 * took * 1.1, "what a rate lets through")
        self.assertGreater(carried, 200_000, "and what not")

    def test_a_quota_ends_what_floods(self):
        self.start(traffic={"quota_bytes": 500_000, "quota_period": "day"})
        loud = self.open()
        loud.stream.settimeout(None)
        for _ in range(20):
            loud.stream.sendall(frames(*[udp(CLIENT4, INTERNET[0], 5000, 9, bytes(1000))] * 100))
        self.assert_soon(lambda: self.rejected("quota") > 1000, "the rest is refused")
        self.assertLess(self.metric("bytes_total", direction="up", protocol="udp", ip="4"), 520_000)


class Comers(Attacked):
    def test_openings_that_never_finish_keep_nobody_out(self):
        self.start()
        half = []
        for _ in range(900):
            one = self.net.connect("gateway", "127.0.0.1", PORT)
            self.addCleanup(one.close)
            one.send(b"GET /packet-tunnel HTTP/1.1\r\nHost: gate.example\r\nUpgr")
            half.append(one)
        start = time.monotonic()
        other = self.open()
        self.assertLess(time.monotonic() - start, 2 * SLOW)
        self.assertEqual(self.ask(other, b"came in"), b"came in")

    def test_sessions_that_are_opened_and_dropped_cost_little(self):
        gateway = self.start()
        other = self.open()
        alone, before, count = self.trips(other), gateway.resident_bytes(), 8000
        beside = []
        measure = threading.Thread(target=lambda: beside.extend(self.trips(other, 1)))
        measure.start()
        for _ in range(count):
            with contextlib.suppress(OSError, Refused):
                stream = self.net.connect("gateway", "127.0.0.1", PORT)
                with stream:
                    Tunnel(stream, secrets.token_urlsafe(32))
        measure.join()
        grown = gateway.resident_bytes() - before
        print(f"{count} sessions opened and dropped: {grown / count / 1024:.1f} KiB each until they end; median "
              f"{statistics.median(alone) * 1e3:.2f} ms alone, {statistics.median(beside) * 1e3:.2f} ms beside",
              file=sys.stderr)
        self.assert_grown_less(before, 6 * 1024 * count, "sessions that are remembered")
        self.assertLess(statistics.median(beside), max(2 * statistics.median(alone), FULL_CORE))
        self.assertEqual(self.metric("clients"), 1)


class Strangers(Attacked):
    """Clients of several addresses, and a tunnel that has fewer than they want: 12."""

    def setUp(self):
        super().setUp()
        for last in range(3, 6):
            with contextlib.suppress(RuntimeError):  # another test of this class has made it
                self.net.address("client", "to_gateway", f"10.77.0.{last}/24")

    def start(self, **more):
        return super().start(listen=f"10.77.0.1:{PORT}", ipv4_prefix="10.200.0.0/28", **more)

    def come(self, last, session=None):
        """A client at 10.77.0.`last`."""
        stream = self.net.socket("client", socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(stream.close)
        stream.settimeout(10)
        stream.bind((f"10.77.0.{last}", 0))
        stream.connect(("10.77.0.1", PORT))
        return Tunnel(stream, session or secrets.token_urlsafe(32))

    def come_and_go(self, last):
        """The session, whose client is gone; None: it was refused."""
        clients = self.metric("clients")
        try:
            tunnel = self.come(last)
        except Refused as refused:
            self.assertEqual((refused.status, refused.fields["retry-after"]), (503, "5"), refused.body)
            return None
        tunnel.stream.close()
        self.assert_soon(lambda: self.metric("clients") == clients, "it is gone")
        return tunnel.session

    def test_sessions_opened_and_left_keep_nobody_out(self):
        gateway = self.start()
        theirs = [self.come_and_go(3) for _ in range(2)]
        self.assertNotIn(None, theirs)
        left = [self.come_and_go(2) for _ in range(20)]
        self.assertEqual(sum(one is not None for one in left), 10, "all that is free, and no more")
        other = self.come(4)
        self.assertEqual(self.ask(other, b"came in"), b"came in")
        self.assertEqual(self.metric("sessions_recycled_total"), 1)
        self.assert_says(gateway, "session ended for a newer one")
        self.assertIsNone(self.come_and_go(2), "who has most gets no more")
        for session in theirs:
            self.assertTrue(self.come(3, session).resumed, "sessions of others wait on")
        self.assertFalse(self.come(5, left[0]).resumed, "the one that waited for longest has ended")
        self.assertTrue(self.come(2, left[2]).resumed, "and only as many as places were needed")

    def test_a_lane_without_a_free_address_hands_clients_to_another_one(self):
        self.start(lanes=4)
        stay = [self.come(2) for _ in range(12)]
        self.assertEqual(len({self.echo_source(one, b"%08d" % at) for at, one in enumerate(stay)}), 12)
        with self.assertRaises(Refused) as refused:
            self.come(3)
        self.assertEqual(refused.exception.status, 503)
        self.assertIn(b"no free address", refused.exception.body)
        self.assertEqual(self.metric("sessions_recycled_total"), 0, "nobody who is connected gives way")

    def echo_source(self, tunnel, payload):
        self.assertEqual(self.ask(tunnel, payload), payload)
        return self.echo.last_source(payload)


class Changes(Attacked):
    def test_a_policy_edit_under_load_cuts_what_it_denies_and_nothing_else(self):
        gateway = self.start()
        load, other = self.open(), self.open()
        self.assertIsNotNone(self.ask(other, b"before"))
        wire = frames(*(udp(CLIENT4, INTERNET[0], port, 9999, b"load") for port in range(20000, 22000)))
        with self.attacker(self.endless(load.stream, wire)):
            self.assert_soon(lambda: self.metric("flows") >= 2000, "flows", 10)
            gateway.policy.insert("port_permits", transport="udp", ports="9999", action="deny", priority=1)
            self.assert_soon(gateway.policy_in_force, "the row is in force")
            self.assert_soon(lambda: self.metric("flows") < 10, "the denied flows are closed", 10)
            for number in range(20):
                self.assertEqual(self.ask(other, b"after %d" % number), b"after %d" % number)

    def test_a_reload_under_load_loses_nobody(self):
        gateway = self.start()
        load, other = self.open(), self.open()
        wire = frames(*(udp(CLIENT4, "93.184.0.11", 5000 + number % 7, 9, bytes(500)) for number in range(1000)))
        with self.attacker(self.endless(load.stream, wire)):
            for number in range(5):
                gateway.process.send_signal(signal.SIGHUP)
                for trip in range(20):
                    payload = b"hup %d %d" % (number, trip)
                    self.assertEqual(self.ask(other, payload), payload)

    def test_two_tunnels_of_one_gateway_do_not_meet(self):
        """Another device, other prefixes, sessions of its own; each stops alone."""
        from harness.gateway import BUILD
        second = (f'[plugin.tunnel-b]\npath = "{BUILD}/plugins/packet-tunnel.so"\nlisten = ["127.0.0.1:7401"]\n'
                  '[plugin.tunnel-b.options]\ndevice = "gatehouse1"\nipv4_prefix = "10.200.0.0/16"\n'
                  'ipv6_prefix = "fd20:1:2:3::/64"\ndns_resolvers = ["93.184.0.53"]\n')
        gateway = self.start(extra=second)
        session = secrets.token_urlsafe(32)
        first, other = self.open(session), self.open(session, port=7401, plugin="tunnel-b")
        self.assertFalse(other.resumed, "a session is one instance's")
        for number, tunnel in enumerate((first, other)):
            self.assertEqual(self.ask(tunnel, b"by four %d" % number), b"by four %d" % number)
            six = self.ask(tunnel, b"by six %d" % number, client=CLIENT6, to=INTERNET[1])
            self.assertEqual(six, b"by six %d" % number)
        resources = {one["resource"] for one in gateway.json("leases")["leases"]}
        self.assertEqual(sum(one.startswith("10.200.") for one in resources), 1, resources)
        for to in resources:  # neither its own tunnel's clients nor the other one's are destinations
            for tunnel in (first, other):
                tunnel.send(udp(CLIENT4, to, 5000, 9, b"x"))
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_packet_tunnel_packets_rejected_total",
                                                reason="invalid_destination_address")
                         + gateway.metric("gatehouse_plugin_tunnel_b_packets_rejected_total",
                                          reason="invalid_destination_address") == 4, "all four are refused")
        gateway.stop()
        self.assertNotIn("gatehouse", self.net.run("gateway", ["ip", "link"]).stdout)
        self.assertNotIn("gatehouse", self.net.run("gateway", ["nft", "list", "ruleset"]).stdout)


if __name__ == "__main__":
    main()
