#!/usr/bin/env python3
"""What all clients may use together: floods of streams, and of streams that do not read, beside clients that work."""

import resource
import socket
import statistics
import sys
import threading
import time

from harness import GATEWAY, INTERNET, GatewayTest, Udpgw, UdpEcho, frame, main
from harness.gateway import SLOW

MIB = 1 << 20
REMOTE = {"address": f"{GATEWAY[0]}:7301", "auth": "none"}


def any_number_of_sessions(db):
    db.sql("DELETE FROM traffic_rules;")
    db.traffic(concurrent_flows=0)


class Budgets(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.net.address("client", "to_gateway", "10.77.0.3/24")
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", [INTERNET[0]])
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def run_gateway(self, **keys):
        return self.gateway(policy=any_number_of_sessions, listen=["127.0.0.1:7300", REMOTE], **keys)

    def remote(self, source):
        """A client that comes from one of the client's addresses."""
        connection = self.net.socket("client", socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(connection.close)
        connection.settimeout(10)
        connection.bind((source, 0))
        connection.connect((GATEWAY[0], 7301))
        return Udpgw(connection)

    def answers(self, streams, asks):
        """How many of `asks` questions of each stream, each over a forward of its own, are answered."""
        return sum(stream.ask(conid, self.there, b"ask%05d" % conid, timeout=1) is not None
                   for conid in range(asks) for stream in streams)

    @staticmethod
    def reasons(gateway):
        status = gateway.json("status")
        return status["state"], " ".join(status["reasons"])


class Streams(Budgets):
    def test_idle_streams_of_one_source_leave_everybody_else_served(self):
        """Twice as many streams as there are descriptors, all idle; who was there before, and who comes, is served."""
        gateway = self.run_gateway(nofile=1024)
        before = [self.remote("10.77.0.3") for _ in range(12)]
        self.assertEqual(self.answers(before, 1), 12)
        flood = [self.remote("10.77.0.2") for _ in range(2000)]
        state, reasons = self.reasons(gateway)
        after = [self.remote("10.77.0.3") for _ in range(12)]
        answered = self.answers(before + after, 10)
        print(f"{answered} of 240 answers beside {len(flood)} idle streams", file=sys.stderr)
        self.assertEqual(answered, 240)
        self.assertEqual(state, "degraded")
        self.assertIn("descriptors are used up", reasons)
        self.assertGreater(gateway.metric("gatehouse_plugin_udpgw_streams_recycled_total"), 1000)
        self.assertEqual(gateway.http("/livez")[0], 200)
        for stream in flood:
            stream.close()
        self.assert_soon(lambda: self.reasons(gateway)[0] == "ok", "it is well again when the flood is over", 15)

    def test_the_oldest_idle_streams_of_the_largest_source_go(self):
        gateway = self.run_gateway(nofile=256, lanes=1)
        small = [self.remote("10.77.0.3") for _ in range(5)]
        large = [self.remote("10.77.0.2") for _ in range(20)]
        self.assertIsNotNone(large[0].ask(1, self.there, b"not idle"))
        large += [self.remote("10.77.0.2") for _ in range(100)]
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_udpgw_streams_recycled_total") > 10, "some go")
        self.assertEqual(self.answers(small, 1), 5, "a small source keeps its streams")
        self.assertTrue(large[1].wait_end(2), "the oldest one that was idle goes")
        self.assertIsNotNone(large[0].ask(1, self.there, b"still on"), "one that was not idle stays")
        self.assertIsNotNone(large[-1].ask(1, self.there, b"the last"), "the newest one is served")

    def test_a_reserve_is_left_to_the_process_at_64_descriptors(self):
        gateway = self.run_gateway(nofile=64, lanes=1)
        streams = [self.remote("10.77.0.2") for _ in range(100)]
        for stream in streams[-3:]:
            stream.write(b"".join(frame(conid, self.there, b"fill") for conid in range(100)))
        self.assertIsNotNone(self.remote("10.77.0.3").ask(1, self.there, b"newcomer", timeout=2))
        self.assertEqual(gateway.http("/metrics")[0], 200)
        self.assertEqual(self.reasons(gateway)[0], "degraded")
        gateway.policy.insert("port_permits", transport="udp", ports="9", action="deny", priority=20)
        self.assert_soon(gateway.policy_in_force, "an edit of the policy is taken")
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        backup = gateway.cli("db", "backup", "/run/backup-64")
        self.assertEqual(backup.returncode, 0, backup.stdout + backup.stderr)
        self.assertEqual(gateway.metric("gatehouse_plugin_udpgw_accept_pauses_total"), 0, "it never came to the end")

    def test_the_starter_policy_bounds_the_streams_of_one_address(self):
        gateway = self.gateway(listen=[REMOTE], lanes=1)  # so that the last to come is the one refused
        streams = [self.remote("10.77.0.2") for _ in range(257)]
        self.assertTrue(streams[256].wait_end(2), "the 257th is refused")
        self.assertEqual(self.answers([streams[0], self.remote("10.77.0.3")], 1), 2)
        self.assertEqual(gateway.metric("gatehouse_plugin_udpgw_streams_refused_total", cause="concurrent_sessions"), 1)
        self.assertEqual(self.reasons(gateway)[0], "ok", "a rule is no shortage")


class Memory(Budgets):
    STREAMS = 2000 // SLOW
    POOL = 128 * MIB // SLOW

    def setUp(self):
        super().setUp()
        # Kernels keep megabytes for a stream before its client's queue here has to.
        for name in ("gateway", "client"):
            self.net.run(name, ["sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 16384",
                                "net.ipv4.tcp_rmem=4096 16384 16384"])

    def median(self, stream, count=200):
        took = []
        for number in range(count):
            start = time.monotonic()
            self.assertIsNotNone(stream.ask(1, self.there, b"m%07d" % number, timeout=2))
            took.append(time.monotonic() - start)
        return statistics.median(took)

    @staticmethod
    def drops(gateway):
        return {cause: int(gateway.metric("gatehouse_plugin_udpgw_drops_total", cause=cause))
                for cause in ("memory", "client_buffer")}

    def download(self, stream):
        """How many of 2,000 datagrams reach a client that reads."""
        self.assertIsNotNone(stream.ask(1, self.there, b"download"))
        flood = threading.Thread(target=self.echo.flood,
                                 args=(INTERNET[0], self.echo.last_source(b"download"), 2000, 1000, 16))
        flood.start()
        got = len(stream.receive(2000, timeout=2))
        flood.join()
        return got

    def test_streams_that_do_not_read_stay_within_memory_bytes(self):
        gateway = self.run_gateway(memory_bytes=self.POOL, lanes=1)
        reader = self.remote("10.77.0.3")
        alone, usual = self.median(reader), self.download(reader)
        before = gateway.resident_bytes()
        idle = [self.remote("10.77.0.2") for _ in range(self.STREAMS)]
        for number, stream in enumerate(idle):
            stream.send(1, self.there, b"k%07d" % number)
        self.assert_soon(lambda: len(self.echo.sources) > self.STREAMS, "each has a forward", 20)
        each = gateway.resident_bytes() - before
        for number in range(self.STREAMS):
            self.echo.flood(INTERNET[0], self.echo.last_source(b"k%07d" % number), 100, 1200, 100, 0.0001)
        beside = self.median(reader)
        grown = gateway.resident_bytes() - before
        print(f"{self.STREAMS} streams that do not read: {grown / MIB:.1f} MiB of {self.POOL / MIB:.0f}, "
              f"{each / self.STREAMS / 1024:.1f} KiB a stream before; median of a reader {alone * 1e3:.2f} ms alone, "
              f"{beside * 1e3:.2f} ms beside them, {usual} of 2000 datagrams alone", file=sys.stderr)
        if SLOW == 1:
            self.assertLess(grown, self.POOL + 8192 * self.STREAMS)
        self.assertGreater(gateway.metric("gatehouse_plugin_udpgw_drops_total", cause="memory"), 1000)
        self.assertLess(beside, max(2 * alone, alone + 0.002 * SLOW), "the median round trip of a client that reads")
        drops = self.drops(gateway)
        got = self.download(reader)
        self.assertGreaterEqual(got, 0.95 * usual, f"what comes for it while it reads; drops before {drops}, "
                                f"after {self.drops(gateway)}, the kernel's {gateway.kernel_drops()}")
        state, reasons = self.reasons(gateway)
        self.assertEqual(state, "degraded")
        self.assertIn("memory_bytes", reasons)

    def test_memory_bytes_can_change_while_it_runs(self):
        gateway = self.run_gateway(memory_bytes=self.POOL, lanes=1)
        stream = self.remote("10.77.0.2")
        self.assertIsNotNone(stream.ask(1, self.there, b"flooded."))
        gateway.drop_in("[plugin.udpgw]\nmemory_bytes = 1048576\noptions = { client_buffer_bytes = 8388608 }\n")
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("memory_bytes", gateway.config.with_suffix(".d").joinpath("50-test.toml").read_text())
        stream = self.remote("10.77.0.2")
        self.assertIsNotNone(stream.ask(1, self.there, b"flooded."))
        time.sleep(0.5)  # a lane looks at it four times a second
        self.echo.flood(INTERNET[0], self.echo.last_source(b"flooded."), 2000, 1200)
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_udpgw_drops_total", cause="memory") > 0,
                         "it is bounded by the new value")

    def test_halves_of_frames_stay_within_memory_bytes(self):
        """Input that cannot be used yet is memory, too: streams that hold most of it end when it is used up."""
        gateway = self.run_gateway(memory_bytes=4 * MIB, lanes=1)
        reader = self.remote("10.77.0.3")
        self.median(reader, 10)
        before = gateway.resident_bytes()
        half = frame(1, self.there, bytes(65000))[:60000]
        streams = [self.remote("10.77.0.2") for _ in range(200)]
        for stream in streams:
            try:
                stream.write(half)
            except OSError:
                pass  # it has been ended
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_udpgw_streams") < 100, "some had to go")
        if SLOW == 1:  # a sanitizer keeps what is freed
            self.assertLess(gateway.resident_bytes() - before, 4 * MIB + 200 * 8192 + 2 * MIB)
        self.median(reader, 10)


if __name__ == "__main__":
    main()
