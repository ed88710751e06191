#!/usr/bin/env python3
"""A client that does not read, or sends what costs most: bounded memory, every drop counted, nobody else is starved."""

import contextlib
import socket
import statistics
import sys
import threading
import time

from harness import INTERNET, GatewayTest, UdpEcho, frame, main
from harness.gateway import SLOW
from harness.udpgw import REBIND

MIB = 1 << 20
BUFFER = 1 * MIB
# Seconds that a lane which never sleeps may wait for its core, where other processes want it too. A turn takes
# a fiftieth of it; tests/unit/udpgw/udpgw_budgets_test.cpp (TurnBudget) counts what is in it.
FULL_CORE = 0.05


class Flooded(GatewayTest):
    buffer = BUFFER

    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", [INTERNET[0], "93.184.0.11"])
        self.addCleanup(self.echo.stop)
        # Kernels keep megabytes for a stream before its client's queue here has to.
        self.net.run("gateway", ["sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 131072",
                                 "net.ipv4.tcp_rmem=4096 16384 131072"])
        self.running = self.gateway(lanes=1, options={"client_buffer_bytes": self.buffer})
        self.stream = self.client(self.running)
        self.there = (INTERNET[0], self.echo.port)
        for conid, key in ((1, b"flood..."), (2, b"quiet...")):
            self.assertIsNotNone(self.stream.ask(conid, self.there, key))
        self.loud, self.quiet = self.echo.last_source(b"flood..."), self.echo.last_source(b"quiet...")

    def drops(self):
        return self.running.metric("gatehouse_plugin_udpgw_drops_total")


class SlowReader(Flooded):
    def test_flood_is_dropped_and_counted_and_memory_is_bounded(self):
        before = self.running.resident_bytes()
        self.echo.flood(INTERNET[0], self.loud, 40000, 1000)
        self.assert_soon(lambda: self.drops() > 0, "drops in the metrics")
        self.assertLess(self.running.resident_bytes() - before, 8 * BUFFER)
        got = self.stream.receive(40000, timeout=3)
        self.assertGreater(len(got), BUFFER // 1000 // 2, "what fitted is delivered")
        self.assertLess(len(got), 40000)
        accounted = len(got) + self.drops() + self.running.kernel_drops()
        self.assertGreaterEqual(accounted, 40000 * 0.99, "what was not delivered is counted")
        self.assertLessEqual(accounted, 40000)
        echoed = self.stream.ask(1, self.there, b"after")
        self.assertEqual(echoed and echoed.payload, b"after", "the stream is whole afterwards")

    def test_quiet_forward_comes_through(self):
        """The buffer stands full of one forward's datagrams when another forward's reply arrives."""
        self.echo.flood(INTERNET[0], self.loud, 20000, 1000)
        self.assert_soon(lambda: self.drops() > 0, "the buffer is full")
        flood = threading.Thread(target=self.echo.flood, args=(INTERNET[0], self.loud, 5000, 1000))
        flood.start()
        for number in range(20):
            self.echo.send(INTERNET[0], self.quiet, b"q%02d" % number)
        flood.join()
        got = [one for one in self.stream.receive(30000, timeout=3) if one.conid == 2]
        self.assertEqual([one.payload for one in got], [b"q%02d" % number for number in range(20)])

    def test_upstream_goes_on(self):
        self.echo.flood(INTERNET[0], self.loud, 20000, 1000)
        self.assert_soon(lambda: self.drops() > 0, "the buffer is full")
        self.echo.silent = True
        before = self.echo.received
        for number in range(500):
            self.stream.send(2, self.there, b"up%06d" % number)
        self.assert_soon(lambda: self.echo.received - before == 500, "what a client sends is sent on all the same")

    def test_other_clients_do_not_notice(self):
        self.echo.flood(INTERNET[0], self.loud, 20000, 1000)
        self.assert_soon(lambda: self.drops() > 0, "the buffer is full")
        other = self.client(self.running)
        for number in range(100):
            got = other.ask(1, self.there, b"o%07d" % number, timeout=1)
            self.assertEqual(got and got.payload, b"o%07d" % number)


class Attacked(Flooded):
    buffer = 4 * BUFFER

    def median(self, stream, count=200):
        took = []
        for number in range(count):
            start = time.monotonic()
            self.assertIsNotNone(stream.ask(1, self.there, b"m%07d" % number, timeout=2))
            took.append(time.monotonic() - start)
        return statistics.median(took)

    def beside(self, attack, more=0.002):
        """The median of another client rises at most twofold, or by `more` seconds, beside `attack(stop)`."""
        other = self.client(self.running)
        self.median(other, 50)
        alone = self.median(other)
        stop = threading.Event()
        attacker = threading.Thread(target=attack, args=(stop,))
        attacker.start()
        try:
            beside = self.median(other)
        finally:
            stop.set()
            attacker.join()
        print(f"median {alone * 1e3:.2f} ms alone, {beside * 1e3:.2f} ms beside the attacker", file=sys.stderr)
        self.assertLess(beside, max(2 * alone, alone + more * SLOW), "the median round trip of another client")

    def sink(self, host, port=0):
        """Somebody who takes datagrams and never reads them."""
        one = self.net.socket("internet", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(one.close)
        one.bind((host, port))
        return one.getsockname()

    def flood(self, *frames):
        """Sends these without end, as fast as they are taken."""
        wire = b"".join(frames) * (BUFFER // sum(map(len, frames)))

        def attack(stop):
            while not stop.is_set():
                self.stream.write(wire)

        self.stream.write(wire)  # there is something to do from now on
        return attack

    def crowd(self, count, *frames):
        """So many clients that all do it."""
        wire = b"".join(frames) * (BUFFER // 8 // sum(map(len, frames)))
        clients = [self.client(self.running) for _ in range(count)]
        for one in clients:
            one.stream.setblocking(False)
        sent = [0] * count

        def attack(stop):
            while not stop.is_set():
                for number, one in enumerate(clients):
                    with contextlib.suppress(BlockingIOError):
                        sent[number] = (sent[number] + one.stream.send(wire[sent[number]:])) % len(wire)
                stop.wait(0.001)

        return attack

    def test_frames_that_alternate_between_two_forwards_slow_nobody_down(self):
        """Each is a system call of its own, and 11 bytes of the stream: 24,000 in what one read brings."""
        first, second = (self.sink(INTERNET[0]) for _ in range(2))
        self.beside(self.flood(frame(3, first), frame(4, second)), FULL_CORE)

    def test_many_streams_of_such_frames_slow_nobody_down(self):
        """What a turn does for all clients together is bounded, too, and who sends little comes first."""
        first, second = (self.sink(INTERNET[0]) for _ in range(2))
        self.beside(self.crowd(40, frame(3, first), frame(4, second)), FULL_CORE)

    def test_questions_slow_nobody_down(self):
        """Each is judged by its name."""
        question = bytes.fromhex("1234 0100 0001 0000 0000 0000 0161 0474657374 00 0001 0001")
        self.beside(self.flood(frame(3, self.sink("93.184.0.53", 53), question)), FULL_CORE)

    def test_rebinding_beside_a_full_queue_slows_nobody_down(self):
        """Each rebind drops what waits for that forward: not by looking at all that waits for the client."""
        self.echo.flood(INTERNET[0], self.loud, 200000, 8, burst=128)
        self.assert_soon(lambda: self.drops() > 0, "the buffer is full of short frames")
        frames = b"".join(frame(conid, self.there, b"rebound.", REBIND) for conid in range(3, 131))

        def rebind(stop):
            while not stop.is_set():
                self.stream.write(frames)
                stop.wait(0.01)  # so that each has a reply in the queue when it is rebound again

        self.beside(rebind)


if __name__ == "__main__":
    main()
