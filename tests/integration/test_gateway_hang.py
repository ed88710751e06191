#!/usr/bin/env python3
"""A plugin that does not answer: it is named, the others go on, it is made anew, and the gateway ends when it is told to.

The plugin is tests/unit/gateway/plugin/fixtures/hangs.c, which hangs where its option `at` says.
"""

import signal
import subprocess
import time

from harness import BUILD, INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import PROGRAM, SLOW

LISTEN = "127.0.0.1:7310"


def plugins(at):
    stuck = {"path": str(BUILD / "test-plugins" / "hangs.so"), "lanes": 2, "listen": [LISTEN], "options": {"at": at}}
    return {"udpgw": {"listen": ["127.0.0.1:7300"]}, "stuck": stuck}


class Hang(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET[:1])
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def hanging(self, at, timeout, start=True):
        gateway = self.gateway(start=False, plugins=plugins(at))
        gateway.drop_in(f"[gateway]\nlane_timeout_seconds = {timeout}\n")
        return gateway.start() if start else gateway

    def stuck(self, gateway):
        return next(one for one in gateway.json("status")["plugins"] if one["name"] == "stuck")

    def test_hung_lane_is_named_and_its_plugin_made_anew(self):
        gateway = self.hanging("lane-once", 1)
        stream = self.client(gateway)
        self.assert_soon(lambda: self.stuck(gateway)["hung"], "status has what hangs", 10)
        found = self.stuck(gateway)
        self.assertRegex(found["hung"][0]["what"], r"^lane \d hangs: it has not moved for 1 s$")
        self.assertIn("hangs.so(hang_here", " ".join(found["hung"][0]["stack"]))
        self.assert_says(gateway, "does not answer")
        asked = 0
        deadline = time.monotonic() + 30 * SLOW
        while (found := self.stuck(gateway))["restarts"] == 0 or found["state"] != "running":
            self.assertLess(time.monotonic(), deadline, f"never made anew: {found}")
            self.assertIsNotNone(stream.ask(1, self.there, b"%d" % asked), "clients of the other plugin are served")
            asked += 1
        self.assertGreater(asked, 5)
        status = gateway.json("status")
        self.assertEqual(status["state"], "degraded")
        self.assertIn("lanes that never returned: 1; restart the gateway", status["reasons"])
        self.assertEqual([one["address"] for one in found["listeners"]], [LISTEN])
        self.assertEqual(gateway.http("/livez")[0], 503)

    def test_hung_configure_at_a_reload_holds_up_nobody(self):
        gateway = self.hanging("", 4)
        stream = self.client(gateway)
        gateway.write_config(plugins("check"))
        gateway.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            before = time.monotonic()
            self.assertEqual(gateway.http("/livez")[0], 200)
            self.assertEqual(self.stuck(gateway)["state"], "running")
            self.assertLess(time.monotonic() - before, 1 * SLOW)
            self.assertIsNotNone(stream.ask(1, self.there, b"still"))
        self.assertNotEqual(gateway.cli("reload").returncode, 0)
        self.assert_soon(lambda: self.stuck(gateway)["failure"], "the plugin has failed", 10)
        self.assertIn("hangs: `configure` has not returned for 4 s", self.stuck(gateway)["failure"])
        self.assert_soon(lambda: "reload refused" in gateway.text(), "the log says why")
        self.assert_soon(lambda: self.stuck(gateway)["state"] == "running", "it is made anew", 20)

    def test_term_ends_the_process_although_a_call_hangs(self):
        gateway = self.hanging("", 600)
        gateway.write_config(plugins("check"))
        gateway.process.send_signal(signal.SIGHUP)
        self.assert_soon(lambda: gateway.cli("reload").returncode != 0, "the reload is under way")
        before = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(20), 0)
        self.assertLess(time.monotonic() - before, 16 * SLOW)

    def test_start_that_hangs_is_exit_2_with_a_sentence(self):
        gateway = self.hanging("start", 1, start=False)
        done = self.net.run("gateway", [str(PROGRAM), "run", "--config", str(gateway.config)], check=False)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("the plugin stuck hangs: `start` has not returned for 1 s", done.stdout + done.stderr)

    def test_status_and_signals_are_served_while_a_start_hangs(self):
        gateway = self.hanging("start", 600, start=False)
        process = self.net.popen("gateway", [str(PROGRAM), "run", "--config", str(gateway.config)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assert_soon(lambda: "is starting" in gateway.cli("status").stdout, "an answer, though the plugin hangs")
        self.assertEqual(self.stuck(gateway)["state"], "starting")
        self.assertIn("is starting", gateway.cli("reload").stderr)
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20 * SLOW), 0)
        self.assertLess(time.monotonic() - before, 16 * SLOW)

    def test_check_that_hangs_is_exit_2_with_a_sentence(self):
        gateway = self.hanging("check", 1, start=False)
        done = gateway.cli("check")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("the plugin stuck hangs: `configure` has not returned for 1 s", done.stdout + done.stderr)


if __name__ == "__main__":
    main(at_once=3)
