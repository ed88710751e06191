#!/usr/bin/env python3
"""A source that connects thousands of times costs the others neither their history nor the log."""

import socket
import sqlite3

from harness import GatewayTest, frame, main

FLOOD, HISTORY = 10_000, 60
ECHO = ("93.184.0.10", 9)


class Flood(GatewayTest):
    def setUp(self):
        self.running = self.gateway(start=False, lanes=1, options={"fin_grace_seconds": 0},
                                    extra="[store]\nmax_bytes = 1048576\n")
        self.running.drop_in('[log]\nlevel = "info"\n')
        self.running.start()

    def visit(self, source, times):
        """That many connections from there, one after the other, of one datagram each."""
        for _ in range(times):
            with self.net.socket("gateway", socket.AF_INET, socket.SOCK_STREAM) as stream:
                stream.settimeout(10)
                stream.bind((source, 0))
                stream.connect(("127.0.0.1", 7300))
                stream.sendall(frame(1, ECHO, b"x"))

    def rows(self, where):
        self.running.json("sessions", "--ended")  # has everything written first
        database = sqlite3.connect(f"file:{self.running.state / 'state.db'}?mode=ro", uri=True)
        try:
            return database.execute(f"SELECT count(*) FROM sessions WHERE {where}").fetchone()[0]
        finally:
            database.close()

    def test_leaves_others_their_history_and_the_log_readable(self):
        self.visit("127.0.0.2", HISTORY)
        self.visit("127.0.0.3", FLOOD)
        self.assert_soon(lambda: self.running.json("sessions")["count"] == 0, "all streams end", timeout=30)
        self.assert_soon(lambda: self.rows("ended_at IS NOT NULL") < FLOOD * 8 // 10, "the flood's own rows go", timeout=60)
        self.assertEqual(self.rows("source LIKE '127.0.0.2:%'"), HISTORY)
        self.assertGreater(self.rows("source LIKE '127.0.0.3:%'"), 500)
        self.running.stop()
        lines = [line for line in self.running.log if "udpgw: stream " in line]
        self.assertLess(len(lines), 300)
        self.assertTrue(any("127.0.0.2:" in line for line in lines))
        for event in ("stream opened", "stream closed"):
            of_event = [line for line in lines if event in line]
            merged = sum(int(line.split("more=")[1].split()[0]) for line in of_event if "more=" in line)
            single = sum("more=" not in line for line in of_event)
            self.assertEqual(merged + single, HISTORY + FLOOD)


if __name__ == "__main__":
    main()
