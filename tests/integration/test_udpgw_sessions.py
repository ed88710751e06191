#!/usr/bin/env python3
"""udpgw's sessions and usage against what the load generator sent: in `gatehouse sessions` and `usage`, and on disk."""

import json
import sqlite3
import subprocess
import time

from harness import BUILD, GatewayTest, main

LOAD = BUILD / "bin" / "udpgw_load"
STREAMS, FORWARDS, VISITS, SIZE = 8, 100, 5, 300


class Sessions(GatewayTest):
    def setUp(self):
        self.running = self.gateway(start=False, lanes=2, allow_local_destinations=True,
                                    listen=[{"address": "127.0.0.1:7300", "identity": "token:load"}])
        policy = self.running.init_policy()
        policy.insert("port_permits", destination="127.0.0.0/8", priority=1)
        policy.traffic(concurrent_flows=0)
        self.running.start()

    @staticmethod
    def command(mode, *more):
        return [str(LOAD), "--mode", mode, "--port", "7300", "--streams", str(STREAMS), "--forwards", str(FORWARDS),
                "--size", str(SIZE), *more]

    def load(self, visits=VISITS):
        """Every forward sends so many datagrams and gets each back; what that is in bytes one way."""
        result = json.loads(self.net.run("gateway", self.command("open", "--visits", str(visits))).stdout)
        self.assertEqual((result["lost"], result["bad"], result["closed_streams"]), (0, 0, 0))
        datagrams = STREAMS * FORWARDS * visits
        self.assertEqual(result["answered"], datagrams)
        return datagrams

    def usage(self):
        (row,) = self.running.json("usage", "--by", "identity")["usage"]
        self.assertEqual(row["identity"], "token:load")
        return row

    def carried(self, row):
        return [row[key] for key in ("packets_up", "packets_down", "bytes_up", "bytes_down")]

    def assert_adds_up(self, rows, datagrams):
        sums = [sum(column) for column in zip(*map(self.carried, rows))]
        self.assertEqual(sums, [datagrams, datagrams, datagrams * SIZE, datagrams * SIZE])

    def on_disk(self, sql):
        database = sqlite3.connect(f"file:{self.running.state / 'state.db'}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def test_counters_add_up_to_what_was_sent(self):
        sent = self.load()
        self.assert_soon(lambda: self.running.json("sessions")["count"] == 0, "the load's streams end")
        self.assert_adds_up([self.usage()], sent)
        sessions = self.running.json("sessions", "--ended")["sessions"]
        self.assertEqual(len(sessions), STREAMS)
        self.assert_adds_up(sessions, sent)
        for session in sessions:
            self.assertEqual(session["packets_up"], sent // STREAMS, "each stream had the same")
        self.assert_adds_up(self.on_disk("SELECT * FROM sessions"), sent)
        self.assert_adds_up(self.on_disk("SELECT * FROM usage"), sent)

    def test_they_go_on_after_kill_9(self):
        sent = self.load()
        self.usage()  # who asks is told what is on disk by then
        self.running.process.kill()
        self.running.wait()
        self.assert_adds_up(self.on_disk("SELECT * FROM usage"), sent)
        self.running.start()
        sent += self.load(3)
        self.assert_adds_up([self.usage()], sent)
        self.assert_adds_up(self.running.json("sessions", "--ended")["sessions"], sent)

    def test_kill_9_under_load_loses_ten_seconds_at_most(self):
        """What was on disk before is there afterwards, and nothing is counted that was not sent."""
        sent = self.load()
        self.usage()
        load = self.net.popen("gateway", self.command("echo", "--seconds", "20"), stdout=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        time.sleep(1)
        seen = self.usage()["packets_up"]
        self.assertGreater(seen, sent)
        self.running.process.kill()
        self.running.wait()
        (row,) = self.on_disk("SELECT sum(packets_up) AS usage, (SELECT sum(packets_up) FROM sessions) AS sessions "
                              "FROM usage")
        self.assertGreaterEqual(row["usage"], seen, "what was told is on disk")
        self.assertGreaterEqual(row["sessions"], seen)


if __name__ == "__main__":
    main()
