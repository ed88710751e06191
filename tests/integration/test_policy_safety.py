#!/usr/bin/env python3
"""The policy when policy.db is broken, gone, closed or locked: what was good stays in force, and the gateway says so."""

import os
import pathlib
import shutil
import signal
import sqlite3
import time

from harness import INTERNET, GatewayTest, UdpEcho, main


class PolicySafety(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def file(self, suffix=""):
        return pathlib.Path(self.running.policy.path + suffix)

    def start(self, **more):
        """A gateway whose policy has one row of the test's own: port 9 is denied."""
        self.running = self.gateway(policy=lambda db: db.insert("port_permits", ports="9", action="deny", priority=1),
                                    **more)
        self.stream = self.client(self.running)
        return self.running

    def start_again(self, ready=200):
        self.running.start(ready)
        self.stream = self.client(self.running)

    def serves(self):
        got = self.stream.ask(1, self.there, b"ping", timeout=0.3)
        return got is not None

    def policy(self):
        return self.running.json("status")["policy"]

    def assert_last_good(self, what):
        self.assert_soon(lambda: self.running.json("status")["state"] == "degraded", f"{what}: degraded")
        status = self.running.json("status")
        self.assertEqual(status["policy"]["source"], "last good", what)
        self.assertTrue(any("last good policy" in reason for reason in status["reasons"]), status["reasons"])
        self.assertEqual(self.running.http("/readyz")[0], 200, what)
        self.assertTrue(self.serves(), what)

    def assert_recovered(self, what):
        self.assert_soon(lambda: self.running.json("status")["state"] == "ok", f"{what}: ok again")
        self.assertEqual(self.policy()["source"], "policy.db", what)
        self.assertTrue(self.serves(), what)

    def saved(self):
        """The rows of now in a file that stands beside policy.db."""
        copy = self.file(".saved")
        copy.unlink(missing_ok=True)
        self.running.policy.sql(f"VACUUM INTO '{copy}';")
        return copy

    def put_back(self, copy):
        for suffix in ("-wal", "-shm"):
            self.file(suffix).unlink(missing_ok=True)
        os.rename(copy, self.file())

    def test_nothing_done_to_the_file_disturbs_what_runs(self):
        self.start()
        self.assertTrue(self.serves())
        harm = {
            "deleted": lambda: self.file().unlink(),
            "truncated to nothing": lambda: os.truncate(self.file(), 0),
            "written over": lambda: self.file().write_bytes(b"x" * self.file().stat().st_size),
            "replaced by another program's": lambda: self.replace_by_foreign(),
            "given a version that nobody knows": lambda: self.running.policy.sql("PRAGMA user_version = -7;"),
            "given a value of megabytes": lambda: self.running.policy.sql(
                "INSERT INTO domain_rules (domain) VALUES (printf('%.*c', 3000000, 'x'));"),
            "given rows that never end": lambda: self.running.policy.sql(self.endless_rows()),
            "replaced by one whose rows never end": lambda: self.replace_by_endless_rows(),
            "given a history that never ends": lambda: self.running.policy.sql(self.endless_history()),
        }
        for what, do in harm.items():
            with self.subTest(what):
                copy = self.saved()
                do()
                self.assert_last_good(what)
                self.put_back(copy)
                self.assert_recovered(what)
        self.assert_says(self.running, "last good policy stays in force")

    def replace_by_foreign(self):
        other = self.file(".other")
        with sqlite3.connect(other) as database:
            database.execute("CREATE TABLE notes (text)")
        os.rename(other, self.file())

    def endless_rows(self):
        """A view in place of a table."""
        return ("DROP TABLE domain_rules; CREATE VIEW domain_rules AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                "i + 1 FROM n) SELECT i AS id, NULL AS group_id, 'x' AS domain, 'suffix' AS match, 'block' AS action, "
                "1 AS enabled, NULL AS expires_at FROM n;")

    def endless_history(self):
        """Only a copy is read with it: rows without end, none of which is the newest."""
        return ("DROP TABLE changes; CREATE VIEW changes AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM "
                "n) SELECT -i AS id, 0 AS changed_at, '' AS who, '' AS table_name, 0 AS row_id, '' AS old_row, "
                "'' AS new_row FROM n; UPDATE meta SET revision = revision + 1;")

    def test_ends_in_time_whatever_the_history_is(self):
        self.start()
        revision = self.policy()["revision"]
        self.running.policy.sql(self.endless_history())
        self.assert_soon(lambda: self.running.json("status")["state"] == "degraded" or
                         self.policy()["revision"] > revision, "noticed")
        begin = time.monotonic()
        self.running.stop()
        self.assertLess(time.monotonic() - begin, 5)

    def replace_by_endless_rows(self):
        other = self.file(".other")
        shutil.copy(self.file(".saved"), other)
        self.running.policy.__class__(other).sql(self.endless_rows())
        os.rename(other, self.file())

    def test_half_a_file_is_no_policy(self):
        self.start()
        copy = self.saved()
        self.running.policy.sql("PRAGMA wal_checkpoint(TRUNCATE);")
        os.truncate(self.file(), self.file().stat().st_size // 2)
        self.assert_last_good("half")
        self.put_back(copy)
        self.assert_recovered("half")

    def test_writer_that_lets_nobody_read_is_named_and_waited_for(self):
        self.start()
        copy = self.saved()
        with sqlite3.connect(copy, isolation_level=None) as writer:
            writer.execute("PRAGMA journal_mode = DELETE")
            writer.execute("BEGIN EXCLUSIVE")
            self.put_back(copy)
            self.assertTrue(self.serves())
            self.assert_soon(lambda: self.running.json("status")["state"] == "degraded", "said", timeout=10)
            self.assertIn("locked by another program", " ".join(self.running.json("status")["reasons"]))
            self.assertTrue(self.serves())
            writer.execute("ROLLBACK")
        writer.close()
        self.assert_recovered("unlocked")

    def test_starts_from_the_copy_after_a_kill(self):
        self.start()
        self.assert_soon(lambda: self.policy()["last_good"], "a copy is kept")
        self.assertEqual(self.file().with_name("policy.last-good.db").stat().st_mode & 0o777, 0o640)
        copy = self.saved()
        self.running.process.send_signal(signal.SIGKILL)
        self.running.wait()
        for suffix in ("", "-wal", "-shm"):
            self.file(suffix).unlink(missing_ok=True)
        self.start_again()
        self.assert_last_good("started without policy.db")
        self.assertFalse(self.file().exists(), "no starter policy takes the place of one that is gone")
        denied = self.running.policy.__class__(self.file().with_name("policy.last-good.db"))
        self.assertEqual(denied.sql("SELECT count(*) FROM port_permits WHERE ports = '9';"), "1")
        self.put_back(copy)
        self.assert_recovered("put back")

    def test_stop_keeps_a_copy_of_the_last_edit(self):
        self.start()
        self.running.policy.insert("port_permits", ports=str(self.echo.port), action="deny", priority=1)
        self.assert_soon(lambda: not self.serves(), "denied")
        self.running.stop()
        self.file().write_bytes(b"rubbish\n" * 500)
        self.start_again()
        self.assert_soon(lambda: self.policy()["source"] == "last good", "from the copy")
        self.assertFalse(self.serves(), "the last edit before the stop is in force")

    def test_rows_expire_and_come_into_force_to_the_second(self):
        self.start()
        self.assertTrue(self.serves())
        end = int(time.time()) + 3
        row = self.running.policy.insert("port_permits", ports=str(self.echo.port), action="deny", priority=1,
                                         expires_at=end)
        self.assert_soon(lambda: not self.serves(), "denied", timeout=1)
        while time.time() < end - 0.4:
            self.assertFalse(self.serves(), f"{end - time.time():.2f} s early")
        self.assert_soon(self.serves, "expired")
        self.assertLess(time.time() - end, 1.0)
        self.running.policy.sql(f"UPDATE port_permits SET expires_at = NULL WHERE id = {row};")
        self.assert_soon(lambda: not self.serves(), "denied again", timeout=1)
        self.running.policy.sql(f"UPDATE port_permits SET enabled = 0 WHERE id = {row};")
        self.assert_soon(self.serves, "disabled", timeout=1)

    def test_monitor_rows_are_counted_and_logged_and_enforce_nothing(self):
        self.start()
        row = self.running.policy.insert("port_permits", ports=str(self.echo.port), action="monitor", priority=1)
        self.assert_soon(lambda: self.serves() and self.running.metric(
            "gatehouse_policy_row_hits_total", table="port_permits", row=str(row), action="monitor") > 0, "counted")
        self.assert_soon(lambda: f"monitor port_permits {row}: " in self.running.text(), "logged")
        address = f"{self.there[0]}:{self.there[1]}"
        self.assert_soon(lambda: address in self.running.text(), "an example at the level debug")
        named = [line for line in self.running.text().splitlines() if address in line]
        self.assertEqual([line for line in named if " debug " not in line], [], "nobody is named at the level info")
        self.assertIsNone(self.stream.ask(2, (INTERNET[0], 9), b"denied", timeout=0.2))
        self.assertGreater(self.running.metric("gatehouse_policy_verdicts_total", plugin="udpgw", action="deny",
                                               reason="port_permit"), 0)
        self.assertGreater(self.running.metric("gatehouse_policy_row_hits_total", action="deny"), 0)


if __name__ == "__main__":
    main(at_once=8)
