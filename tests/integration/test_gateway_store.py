#!/usr/bin/env python3
"""The store as operators meet it: what survives, what a bad disk does, verbs, metrics, backup."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
import unittest

from harness import INTERNET, GatewayTest, UdpEcho, eventually, main
from harness.gateway import BUILD, SLOW, Gateway

DATAGRAM = b"x" * 1000


class Store(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def stopped(self):
        """A gateway that was not started yet, whose clients are token:bob."""
        return self.gateway(start=False, listen=[{"address": "127.0.0.1:7300", "identity": "token:bob"}])

    def running(self):
        return self.stopped().start()

    def carry(self, gateway, datagrams=10):
        """A client that sends so many datagrams, and gets them back."""
        stream = self.client(gateway)
        for _ in range(datagrams):
            self.assertIsNotNone(stream.ask(1, self.there, DATAGRAM))
        return stream

    def bytes_up(self, gateway):
        row = [row for row in gateway.json("usage", "--by", "identity")["usage"] if row["identity"] == "token:bob"]
        return row[0]["bytes_up"] if row else 0

    def state(self, gateway):
        return gateway.json("status")["state"]


class Lasting(Store):
    def test_usage_survives_kill_9_and_adds_up(self):
        gateway = self.running()
        self.carry(gateway, 10)
        self.assertEqual(self.bytes_up(gateway), 10_000)
        self.carry(gateway, 5)
        self.assertEqual(self.bytes_up(gateway), 15_000)
        gateway.process.kill()
        gateway.wait()
        done = gateway.cli("usage", "--json")
        self.assertIn("the gateway is not running", done.stderr)
        self.assertEqual(json.loads(done.stdout)["source"], "state.db")
        self.assertEqual(json.loads(done.stdout)["bytes_up"], 15_000)
        gateway.start()
        self.assert_says(gateway, "did not end in an orderly way")
        self.carry(gateway, 1)
        usage = gateway.json("usage", "--by", "plugin")
        self.assertEqual(usage["source"], "gateway")
        self.assertEqual([(row["plugin"], row["bytes_up"]) for row in usage["usage"]], [("udpgw", 16_000)])
        self.assertEqual(usage["bytes_down"], 16_000, "what the echo sent back")

    def test_an_orderly_end_writes_everything(self):
        gateway = self.running()
        self.carry(gateway, 3).close()
        gateway.stop(signal.SIGTERM)
        self.assertEqual(self.bytes_up(gateway), 3_000)
        seen = len(gateway.log)
        gateway.start()
        said = "".join(gateway.log[seen:])
        self.assertNotIn("orderly", said)
        self.assertEqual(self.state(gateway), "ok")

    def test_sessions_that_ended_are_kept(self):
        gateway = self.running()
        stream = self.carry(gateway, 2)
        live = gateway.json("sessions")["sessions"]
        self.assertEqual([(row["identity"], row["bytes_up"], row["ended_at"]) for row in live],
                         [("token:bob", 2_000, None)])
        stream.close()
        self.assert_soon(lambda: gateway.json("sessions")["count"] == 0, "the session ends with its stream")
        ended = gateway.json("sessions", "--ended")["sessions"]
        self.assertEqual([(row["identity"], row["bytes_up"]) for row in ended], [("token:bob", 2_000)])
        self.assertIsNotNone(ended[0]["ended_at"])
        table = gateway.cli("sessions", "--ended").stdout
        self.assertIn("BYTES_UP", table)
        self.assertIn("token:bob", table)
        self.assertEqual(gateway.json("leases")["leases"], [])

    def test_quota_survives_a_restart(self):
        gateway = self.stopped()
        policy = gateway.init_policy()
        policy.traffic(scope="identity", quota_bytes=100_000, quota_period="day")
        gateway.start()
        self.carry(gateway, 40)  # 80 kB, there and back
        gateway.stop()
        gateway.start()
        stream = self.client(gateway)
        passed = sum(stream.ask(1, self.there, DATAGRAM, timeout=0.3) is not None for _ in range(12))
        self.assertGreater(passed, 5)
        self.assertLess(passed, 11, "the quota of the day goes on from the day's usage")

    def test_a_second_gateway_is_refused(self):
        gateway = self.running()
        second = Gateway(self.net, "gateway", {"udpgw": {"listen": ["127.0.0.1:7301"]}})
        second.drop_in(f'[store]\nurl = "sqlite:{gateway.state}/state.db"\n[metrics]\nlisten = ""\n')
        second.spawn()
        self.assertEqual(second.wait(), 2)
        self.assert_says(second, str(gateway.process.pid))
        self.assertEqual(self.state(gateway), "ok")


class BadDisk(Store):
    """The state folder is a small tmpfs that a file fills."""

    def on_small_disk(self, on_failure):
        gateway = self.stopped()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0750", "tmpfs", gateway.state], check=True)
        gateway.drop_in(f'[store]\non_store_failure = "{on_failure}"\n')
        return gateway.start()

    def fill(self, gateway):
        """Until nothing more goes in, not even where the gateway makes room for itself. A reader keeps the write-ahead
        log from beginning anew in the room that it has."""
        reader = sqlite3.connect(gateway.state / "state.db", isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sessions").fetchone()
        hog = gateway.state / "hog"

        def more():
            with hog.open("ab", buffering=0) as file:
                try:
                    while file.write(bytes(4096)) == 4096:
                        pass
                except OSError:
                    pass
        more()
        return hog, more

    def fails(self, gateway, more):
        more()
        self.carry(gateway, 1).close()
        gateway.cli("usage")  # writes now what could wait
        return gateway.json("status")["store"]["failing"]

    def test_traffic_goes_on_and_everything_is_written_later(self):
        gateway = self.on_small_disk("serve")
        self.carry(gateway, 1)
        hog, more = self.fill(gateway)
        self.assertTrue(eventually(lambda: self.fails(gateway, more), 15, pause=0.1), gateway.json("status"))
        status = gateway.json("status")
        self.assertEqual(status["state"], "degraded")
        self.assertIn("store: ", " ".join(status["reasons"]))
        self.assertGreater(status["store"]["dirty_rows"], 0)
        self.assertEqual(gateway.metric("gatehouse_store_failing"), 1)
        self.assertGreater(gateway.metric("gatehouse_store_failures_total"), 0)
        self.assertEqual(gateway.http("/readyz")[0], 200, "clients are welcome")
        self.assertIn("store", gateway.cli("status").stdout)
        self.carry(gateway, 5)
        hog.unlink()
        self.assert_soon(lambda: self.state(gateway) == "ok", "it recovers by itself", timeout=20)
        self.carry(gateway, 1)
        served = self.bytes_up(gateway)
        self.assertGreaterEqual(served, 8_000)
        gateway.stop()
        self.assertEqual(self.bytes_up(gateway), served)
        self.assertEqual(gateway.cli("db", "verify").returncode, 0)

    def test_no_new_is_not_ready(self):
        gateway = self.on_small_disk("no_new")
        hog, more = self.fill(gateway)
        self.assertTrue(eventually(lambda: self.fails(gateway, more), 15, pause=0.1), gateway.json("status"))
        self.assert_soon(lambda: gateway.http("/readyz")[0] == 503, "clients should go elsewhere")
        hog.unlink()
        self.assert_soon(lambda: gateway.http("/readyz")[0] == 200, "it recovers by itself", timeout=20)

    def test_stop_ends_the_gateway(self):
        gateway = self.on_small_disk("stop")
        hog, more = self.fill(gateway)
        start = time.monotonic()
        while gateway.process.poll() is None and time.monotonic() - start < 20 * SLOW:
            more()
            try:
                with gateway.udpgw() as stream:
                    stream.ask(1, self.there, DATAGRAM, timeout=0.2)
            except OSError:
                pass  # it drains
        self.assertEqual(gateway.wait(), 1)
        self.assert_says(gateway, "on_store_failure is stop")

    def test_on_store_failure_may_change_while_it_runs(self):
        gateway = self.on_small_disk("serve")
        self.carry(gateway, 1).close()
        self.assert_soon(lambda: gateway.json("sessions")["count"] == 0, "the session is over")
        ended = lambda: gateway.json("sessions", "--ended")["count"]
        self.assertEqual(ended(), 1)
        with contextlib.closing(sqlite3.connect(gateway.state / "state.db")) as other, other:
            other.execute("UPDATE sessions SET ended_at = ended_at - 10 * 86400")
        self.assertEqual(ended(), 1)
        gateway.drop_in('[store]\non_store_failure = "no_new"\nretention_days = 3\n')
        self.assertEqual(gateway.cli("reload").returncode, 0)
        self.assertEqual(gateway.json("status")["store"]["on_store_failure"], "no_new")
        self.assert_soon(lambda: ended() == 0, "retention_days is obeyed")
        gateway.drop_in('[store]\nurl = "memory:"\n')
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 2)
        self.assertIn("`store.url` cannot change while the gateway runs", done.stderr)


@unittest.skipIf(SLOW > 1, "a sanitizer's library wants to be loaded before any other")
class HangingDisk(Store):
    """What the store syncs does not return."""

    def hanging(self, extra=""):
        gateway = self.stopped()
        gateway.mark = gateway.base / "disk-hangs"
        gateway.environment.update(LD_PRELOAD=str(BUILD / "bin" / "hanging_disk.so"), HANGING_DISK=str(gateway.mark))
        gateway.drop_in(extra)
        gateway.start()
        self.carry(gateway, 1).close()
        self.assertEqual(self.bytes_up(gateway), 1_000)
        gateway.mark.touch()
        self.carry(gateway, 1).close()
        gateway.cli("usage")  # writes now what could wait
        return gateway

    def test_is_told_of_and_does_not_keep_the_gateway_from_ending(self):
        gateway = self.hanging()
        self.assert_soon(lambda: gateway.metric("gatehouse_store_failing") == 1, "it is noticed", timeout=20)
        self.assert_says(gateway, "cannot write the store; going on from memory")
        self.assertIn("does not return", " ".join(gateway.json("status")["reasons"]))
        waiting = gateway.metric("gatehouse_store_dirty_rows")
        for _ in range(5):
            self.carry(gateway, 1).close()
        self.assert_soon(lambda: gateway.metric("gatehouse_store_dirty_rows") >= waiting + 5, "rows pile up")
        gateway.process.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 1)
        self.assert_says(gateway, "the store could not be written to its end")
        gateway.mark.unlink()
        gateway.start()
        self.assertGreaterEqual(self.bytes_up(gateway), 1_000)

    def test_ends_the_gateway_under_stop(self):
        gateway = self.hanging('[store]\non_store_failure = "stop"\n')
        self.assertEqual(gateway.wait(), 1)
        self.assert_says(gateway, "on_store_failure is stop")

    def test_that_answers_again_gets_everything(self):
        gateway = self.hanging()
        self.assert_soon(lambda: gateway.metric("gatehouse_store_failing") == 1, "it is noticed", timeout=20)
        self.carry(gateway, 3).close()
        gateway.mark.unlink()
        self.assert_soon(lambda: self.state(gateway) == "ok", "it recovers by itself", timeout=20)
        self.assertEqual(self.bytes_up(gateway), 5_000)


class OtherHands(Store):
    """Other programs on the files of a gateway that carries traffic."""

    def all_well(self, gateway):
        self.assert_soon(lambda: self.state(gateway) == "ok", gateway.json("status"), timeout=20)

    def test_a_lock_that_is_held_for_long(self):
        gateway = self.running()
        self.carry(gateway, 1)
        other = sqlite3.connect(gateway.state / "state.db", isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.carry(gateway, 1).close()
        self.assert_soon(lambda: gateway.metric("gatehouse_store_failing") == 1, "the lock is noticed", timeout=20)
        self.carry(gateway, 5)
        status = gateway.json("status")
        self.assertEqual(status["state"], "degraded")
        self.assertIn("locked", " ".join(status["reasons"]))
        self.assertGreater(gateway.metric("gatehouse_store_lag_seconds"), 1)
        other.execute("ROLLBACK")
        self.all_well(gateway)
        self.assertEqual(self.bytes_up(gateway), 7_000)
        gateway.process.kill()
        gateway.wait()
        self.assertEqual(self.bytes_up(gateway), 7_000, "in the file")

    def test_a_lock_costs_no_time(self):
        gateway = self.running()
        stream = self.carry(gateway, 1)
        other = sqlite3.connect(gateway.state / "state.db", isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertIsNotNone(stream.ask(1, self.there, DATAGRAM))
        gateway.cli("usage")
        self.assert_soon(lambda: gateway.metric("gatehouse_store_failing") == 1, "the lock is noticed", timeout=20)
        time.sleep(12)  # until upkeep would be due
        self.assertLess(gateway.busy(3), 0.2)

    def test_a_row_that_a_trigger_refuses_holds_up_no_other(self):
        gateway = self.running()
        other = sqlite3.connect(gateway.state / "state.db", isolation_level=None)
        self.addCleanup(other.close)

        def one(sql):
            return other.execute(sql).fetchone()[0]

        other.execute("CREATE TRIGGER no BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'not this one'); END")
        self.carry(gateway, 2).close()
        self.assert_soon(lambda: self.bytes_up(gateway) == 2_000, "what stands behind it is written")
        self.assert_soon(lambda: self.state(gateway) == "degraded", "it is told")
        status = gateway.json("status")
        self.assertEqual(status["store"]["failing"], False)
        self.assertRegex(" ".join(status["reasons"]), "1 rows are not written.* the row of sessions with id .*not this one")
        self.assertEqual(one("SELECT sum(bytes_up) FROM usage"), 2_000)
        self.assertEqual(one("SELECT count(*) FROM sessions"), 0)
        other.execute("DROP TRIGGER no")
        gateway.stop(signal.SIGTERM)
        self.assertEqual(one("SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL AND bytes_up = 2000"), 1)

    def test_a_file_that_is_removed_while_nothing_happens(self):
        gateway = self.running()
        self.carry(gateway, 1)
        self.assertEqual(self.bytes_up(gateway), 1_000)
        file = gateway.state / "state.db"
        file.unlink()
        self.assert_soon(lambda: file.exists() and "another one than before" in gateway.text(), "it is seen", timeout=30)
        self.assert_soon(lambda: subprocess.run(["sqlite3", "-readonly", file, "SELECT identity FROM sessions"],
                                                capture_output=True, text=True).stdout.split() == ["token:bob"],
                         "it is written anew", timeout=5)
        gateway.process.kill()
        gateway.wait()
        self.assertEqual(self.bytes_up(gateway), 1_000)

    def test_a_file_that_is_replaced_or_removed(self):
        gateway = self.running()
        stream = self.carry(gateway, 1)
        copy = gateway.base / "copy.db"
        self.assertEqual(gateway.cli("db", "backup", str(copy)).returncode, 0)
        file = gateway.state / "state.db"
        for sent, meddle in ((3, lambda: copy.rename(file)), (5, file.unlink)):
            meddle()
            for _ in range(2):
                self.assertIsNotNone(stream.ask(1, self.there, DATAGRAM), "the session is the same")
            self.assert_soon(lambda: file.exists() and self.bytes_up(gateway) == sent * 1000, "it is written anew",
                             timeout=20)
            self.assertEqual(len(gateway.json("sessions")["sessions"]), 1)
            self.assertEqual(subprocess.run(["sqlite3", "-readonly", file, "SELECT identity FROM sessions"],
                                            capture_output=True, text=True).stdout.split(), ["token:bob"])
        gateway.process.kill()
        gateway.wait()
        self.assertEqual(self.bytes_up(gateway), 5_000, "in the file")


class Databases(Store):
    def test_backup_while_it_runs(self):
        gateway = self.running()
        self.carry(gateway, 4)
        self.assertEqual(self.bytes_up(gateway), 4_000)
        for flags in ([], ["--policy"], ["--secrets"]):
            copy = gateway.base / f"copy{len(flags) and flags[0]}.db"
            done = gateway.cli("db", "backup", str(copy), *flags)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(subprocess.run(["sqlite3", copy, "PRAGMA integrity_check"], capture_output=True,
                                            text=True).stdout, "ok\n")
        self.assertEqual(os.stat(gateway.base / "copy--secrets.db").st_mode & 0o777, 0o600)
        self.assertEqual(gateway.cli("db", "backup", str(gateway.base / "copy0.db")).returncode, 2)
        self.assertEqual(gateway.cli("db", "verify").returncode, 0, "while it runs")

    def test_verify_sees_damage(self):
        gateway = self.running()
        self.carry(gateway, 1)
        gateway.stop()
        self.assertEqual(gateway.cli("db", "verify").returncode, 0)
        with (gateway.state / "state.db").open("r+b") as file:
            file.seek(4096 + 8)
            file.write(b"\xff" * 200)
        done = gateway.cli("db", "verify")
        self.assertEqual(done.returncode, 1)
        self.assertIn("broken", done.stdout)

    def test_a_broken_file_is_moved_aside(self):
        gateway = self.running()
        self.carry(gateway, 1)
        gateway.stop()
        (gateway.state / "state.db").write_bytes(b"no database at all" * 1000)
        gateway.start()
        self.assertEqual(self.state(gateway), "degraded")
        self.assertIn("was broken and began anew", " ".join(gateway.json("status")["reasons"]))
        self.assert_says(gateway, "began anew")
        kept = [path for path in gateway.state.iterdir() if "corrupt" in path.name]
        self.assertTrue(kept, list(gateway.state.iterdir()))
        self.carry(gateway, 1)
        self.assertEqual(gateway.http("/readyz")[0], 200)


if __name__ == "__main__":
    main()
