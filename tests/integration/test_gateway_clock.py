#!/usr/bin/env python3
"""A gateway that starts with the clock 400 days ahead: what cannot be undone waits until the kernel vouches for it.

The clock is programs/wrong_clock.cpp, preloaded. What is due by any clock tells when the gateway has looked at rows.
"""

import contextlib
import sqlite3
import time
import unittest

from harness import BUILD, INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import SLOW

DAY = 86_400
AHEAD = 400 * DAY
QUOTA = 20_000


@unittest.skipIf(SLOW > 1, "a sanitizer's library wants to be loaded before any other")
class WrongClock(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET[:1])
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)
        self.running = self.gateway(
            start=False, listen=[{"address": "127.0.0.1:7300", "identity": "token:bob"}],
            policy=lambda db: db.traffic(scope="identity", quota_bytes=QUOTA, quota_period="day"))
        self.state_db = self.running.state / "state.db"

    def is_served(self):
        with self.running.udpgw() as stream:
            return stream.ask(1, self.there, bytes(1000), timeout=0.5) is not None

    def is_refused(self):
        """A client gets no answer, for want of quota."""
        return not self.is_served() and self.running.metric("gatehouse_plugin_udpgw_drops_total", cause="quota") > 0

    def rows(self, sql, *values):
        """Of a query with one column."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state_db}?mode=ro", uri=True, timeout=5)) as database:
            return [value for value, in database.execute(sql, values)]

    def change(self, sql):
        with contextlib.closing(sqlite3.connect(self.state_db)) as database, database:
            database.execute(sql)

    def live(self):
        """A gateway by the right clock; what it leaves behind."""
        self.running.start()
        self.assert_soon(self.is_refused, "the quota of the day is used up", 20)
        self.assert_soon(lambda: self.running.json("sessions")["count"] == 0, "all sessions are over")
        self.running.stop()
        now = int(time.time())
        self.due, self.dated, *self.ended = self.rows("SELECT id FROM sessions WHERE ended_at IS NOT NULL ORDER BY id")
        self.assertGreater(len(self.ended), 1)
        self.change(f"UPDATE sessions SET ended_at = ended_at - 40 * {DAY} WHERE id = {self.due}")
        self.change(f"UPDATE sessions SET ended_at = NULL, expires_at = {now + DAY}, key = 'x' WHERE id = {self.dated}")
        for resource, end in (("of a day", now + DAY), ("of a moment", now + 3)):
            self.change(f"INSERT INTO leases VALUES ('udpgw', '{resource}', {self.dated}, {now}, {end})")
        self.days = self.rows("SELECT day FROM usage")
        self.assertGreater(len(self.days), 0)

    def live_with_clock_ahead(self, **kernel):
        """Another one, until all that is due by any clock is gone."""
        self.running.environment.update(LD_PRELOAD=str(BUILD / "bin" / "wrong_clock.so"),
                                        WRONG_CLOCK_SECONDS=str(AHEAD), **kernel)
        self.running.start()
        self.assert_soon(lambda: not self.rows("SELECT id FROM sessions WHERE id = ?", self.due), "old sessions go", 40)
        self.assert_soon(lambda: "of a moment" not in self.leases_written(), "leases that are over go", 20)
        self.reasons = " ".join(self.running.json("status")["reasons"])
        self.running.stop()
        self.running.environment.pop("LD_PRELOAD")

    def leases_written(self):
        """After the gateway has looked which are over, as it does before it tells of usage."""
        self.running.json("usage")
        return self.rows("SELECT resource FROM leases")

    def left(self):
        """Ended sessions, dated ones that live, leases, days with usage: of those that the first life left behind."""
        return (self.rows("SELECT id FROM sessions WHERE ended_at IS NOT NULL AND id BETWEEN ? AND ? ORDER BY id",
                          self.ended[0], self.ended[-1]),
                self.rows("SELECT id FROM sessions WHERE ended_at IS NULL AND id = ?", self.dated),
                self.rows("SELECT resource FROM leases"),
                self.rows("SELECT day FROM usage WHERE day <= ?", self.days[-1]))

    def test_that_the_kernel_does_not_vouch_for_deletes_and_ends_nothing(self):
        self.live()
        everything = (self.ended, [self.dated], ["of a day"], self.days)
        self.live_with_clock_ahead()
        self.assertEqual(self.left(), everything)
        self.assertIn("the clock is 9600 hours ahead", self.reasons)
        self.running.start()
        self.assertTrue(self.is_refused(), "the quota is used up as it was")
        self.assertEqual([lease["resource"] for lease in self.running.json("leases")["leases"]], ["of a day"])
        self.running.stop()
        self.assertEqual(self.left(), everything)

    def test_that_the_kernel_vouches_for_is_obeyed(self):
        self.live()
        self.live_with_clock_ahead(WRONG_CLOCK_SYNCHRONISED="1")
        self.assertEqual(self.left(), ([], [], [], []))
        self.assertEqual(self.reasons, "")
        self.running.start()
        self.assert_soon(self.is_served, "a quota of which nothing is known begins anew")


if __name__ == "__main__":
    main(at_once=2)
