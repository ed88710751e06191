#!/usr/bin/env python3
"""geneve-relay with a hundred thousand endpoints, and killed under load: how fast they are given, what each costs, and
how soon data flows again.

      client 10.77.0.2  --------  10.77.0.1 gateway
"""

import json
import subprocess
import sys
import time

from harness import GATEWAY, GatewayTest, main
from harness.gateway import BUILD, SLOW

PORT = 7500
API = "/run/relay-api.sock"
ENDPOINTS = 100_000 if SLOW == 1 else 5_000
# Allocations a second; on a quiet machine of two cores it is several times as many.
LEAST_RATE = 1_000 / SLOW
# Bytes of the whole process for an endpoint: the plugin's, and the host's session, lease and client. After a restart it is
# as much, once what reading and writing all rows took is given back, in the rounds that follow.
MOST_EACH, ROUND = 1_024 * SLOW, 10
# Seconds from a process's start until every client that was bound hears data again, and among a hundred thousand others.
RESUMED, RESUMED_AMONG_MANY = 1.0 * SLOW, 2.0 * SLOW
PAIRS, RATE = 16, 40_000  # of the load, both ways


class Load:
    """Pairs whose data runs for so many seconds, and what became of it."""

    def __init__(self, test, gateway, seconds, pairs=PAIRS, rate=RATE):
        self._test, self._gateway = test, gateway
        before = self._forwarded()
        self._process = test.net.popen("client", [
            str(BUILD / "bin" / "relay_load"), "--api", f"unix:{API}", "--server", f"{GATEWAY[0]}:{PORT}", "--pairs", str(pairs),
            "--both-ways", "1", "--rate", str(rate), "--burst", "1", "--size", "200", "--seconds", str(seconds),
            "--warmup", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        test.addCleanup(self._process.kill)
        test.assert_soon(lambda: self._forwarded() > before + rate // 2, "data runs", timeout=20 * SLOW)

    def _forwarded(self):
        return self._gateway.metric("gatehouse_plugin_geneve_relay_forwarded_packets_total")

    def result(self):
        out, wrong = self._process.communicate(timeout=60 * SLOW)
        self._test.assertEqual(self._process.returncode, 0, out + wrong)
        return json.loads(out)


class Scale(GatewayTest):
    def relay(self):
        """A gateway that lets one asker have them all, and has no line in its log for each."""
        def policy(db):
            for scope in ("session", "identity"):
                db.traffic(scope=scope, concurrent_sessions=0)

        gateway = self.gateway(policy=policy, start=False, plugins={"geneve-relay": {
            "listen": [f"udp:0.0.0.0:{PORT}"], "listen_api": [f"unix:{API}"], "lanes": 2,
            "options": {"bind_lifetime_seconds": 3600, "most_endpoints": ENDPOINTS + 1000}}})
        gateway.drop_in('[log]\nlevel = "warn"\n')
        return gateway.start()

    def endpoints(self, gateway):
        return gateway.metric("gatehouse_plugin_geneve_relay_endpoints")

    def bytes_each(self, gateway, bare):
        """For each endpoint, once that is less than MOST_EACH. `bare`: what a gateway has without any."""
        def each():
            return (gateway.resident_bytes() - bare) / ENDPOINTS

        self.assert_soon(lambda: each() < MOST_EACH, f"an endpoint costs less than {MOST_EACH} bytes", timeout=6 * ROUND)
        return each()

    def restart_under(self, gateway, load):
        """Kills it and starts it again while the load goes on. Seconds from the start until all are heard again, until
        it is ready, and the load's figures."""
        gateway.process.kill()
        gateway.wait()
        began = time.monotonic()
        gateway.start(within=60)
        ready = time.monotonic() - began
        figures = load.result()
        self.assertEqual(figures["unheard"], 0, "clients hear nothing any more")
        self.assertGreater(figures["heard_again"], began, "nobody missed the gateway")
        self.assertEqual(gateway.metric("gatehouse_plugin_geneve_relay_handshakes_total", step="challenged"), 0)
        return figures["heard_again"] - began, ready, figures

    def test_data_flows_a_second_after_a_start_that_follows_kill_9(self):
        gateway = self.relay()
        resumed, ready, figures = self.restart_under(gateway, Load(self, gateway, seconds=4 * SLOW))
        print(f"{figures['sent_per_second']:.0f} packets/s of {PAIRS} pairs: all flow {resumed:.3f} s after the start, "
              f"ready {ready:.3f} s", file=sys.stderr)
        self.assertGreater(figures["sent_per_second"], RATE / 4 / SLOW)
        self.assertLess(resumed, RESUMED)

    def test_a_hundred_thousand_endpoints(self):
        gateway = self.relay()
        bare = gateway.resident_bytes()
        given = json.loads(self.net.run("client", [
            str(BUILD / "bin" / "relay_askers"), "--api", API, "--count", str(ENDPOINTS), "--connections", "256",
            "--server-pid", str(gateway.process.pid)], timeout=200).stdout)
        self.assertEqual(self.endpoints(gateway), ENDPOINTS)
        each = self.bytes_each(gateway, bare)
        print(f"{ENDPOINTS} endpoints: {given['per_second']} a second (p50 {given['ms']['p50']} ms, p99 {given['ms']['p99']} "
              f"ms; the gateway used {given['server_cpu_share']} cores, who asked {given['own_cpu_share']}), {each:.0f} "
              f"bytes each", file=sys.stderr)
        resumed, ready, figures = self.restart_under(gateway, Load(self, gateway, seconds=10 * SLOW))
        self.assert_soon(lambda: self.endpoints(gateway) >= ENDPOINTS + PAIRS, "all are served again", timeout=20 * SLOW)
        print(f"after kill -9, under {figures['sent_per_second']:.0f} packets/s: all flow {resumed:.3f} s after the start, "
              f"ready {ready:.3f} s, {self.bytes_each(gateway, bare):.0f} bytes each", file=sys.stderr)
        self.assertGreater(given["per_second"], LEAST_RATE)
        self.assertLess(resumed, RESUMED_AMONG_MANY)


if __name__ == "__main__":
    main()
