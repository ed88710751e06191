#!/usr/bin/env python3
"""`gatehouse plugin enable|disable` on a running gateway, and plugins that do what no plugin may.

The latter is tests/unit/gateway/plugin/fixtures/strays.cpp, which throws or ends its thread where its options say.
"""

import pathlib
import shutil
import socket
import time

from harness import BUILD, INTERNET, GatewayTest, UdpEcho, main
from harness.gateway import SLOW
from harness.relay import RelayClient, allocate

UDPGW = {"listen": ["127.0.0.1:7300"]}
ECHO_AT = ("127.0.0.1", 7007)
ECHO = {"listen": ["127.0.0.1:7007", "udp:127.0.0.1:7007"]}
RELAY_API = "/run/relay-api.sock"
RELAY = {"listen": ["udp:0.0.0.0:7500"], "listen_api": [f"unix:{RELAY_API}"], "lanes": 2}
SWITCHES = "gatehouse.d/90-plugins.toml"


class SwitchTest(GatewayTest):
    def setUp(self):
        self.far = UdpEcho(self.net, "internet", INTERNET[:1])
        self.addCleanup(self.far.stop)

    def plugin(self, gateway, name, state=None):
        """Its row of `status`; one that leaves and one that comes may have one name."""
        rows = [one for one in gateway.json("status")["plugins"] if one["name"] == name]
        return next((one for one in rows if state in (None, one["state"])), None)

    def switch(self, gateway, verb, name, code=0):
        done = gateway.cli("plugin", verb, name)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def echo(self):
        """A connected stream that is answered, or None where it is refused."""
        try:
            stream = self.net.connect("gateway", *ECHO_AT)
            self.addCleanup(stream.close)
            stream.settimeout(3)
            stream.sendall(b"hello")
            self.assertEqual(stream.recv(10), b"hello")
            return stream
        except (ConnectionRefusedError, ConnectionResetError):
            return None

    def is_refused(self):
        """One that is not is gone again, and holds up nobody's end."""
        stream = self.echo()
        if stream is not None:
            stream.close()
        return stream is None


class Switch(SwitchTest):
    def test_disable_closes_its_listeners_and_serves_who_is_there(self):
        gateway = self.gateway(plugins={"udpgw": UDPGW, "echo": ECHO})
        other, stream = self.client(gateway), self.echo()
        done = self.switch(gateway, "disable", "echo")
        self.assertIn("in_force  yes", done.stdout)
        self.assert_soon(self.is_refused, "it refuses new clients", 2)
        stream.sendall(b"still here")
        self.assertEqual(stream.recv(20), b"still here")
        self.assertEqual(self.plugin(gateway, "echo")["state"], "draining")
        self.assertIsNotNone(other.ask(1, (INTERNET[0], self.far.port), b"others go on"))
        stream.close()
        self.assert_soon(lambda: self.plugin(gateway, "echo") is None, "it ends with its last client")
        self.assertIn("[plugin.echo]\nenabled = false", (gateway.base / SWITCHES).read_text())
        self.assertEqual(gateway.json("status")["state"], "ok")

    def test_enabled_again_while_it_drains_it_serves_at_once(self):
        gateway = self.gateway(plugins={"udpgw": UDPGW, "echo": ECHO})
        for _ in range(3):
            old = self.echo()
            self.switch(gateway, "disable", "echo")
            self.assertEqual(self.plugin(gateway, "echo")["state"], "draining")
            self.switch(gateway, "enable", "echo")
            self.assertIsNotNone(self.echo(), "it serves once the verb has returned")
            with self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.settimeout(3)
                datagrams.sendto(b"and these", ECHO_AT)
                self.assertEqual(datagrams.recv(20), b"and these")
            old.close()
        self.assertEqual(self.plugin(gateway, "echo")["state"], "running")

    def test_it_is_as_switched_at_the_next_start(self):
        gateway = self.gateway(plugins={"udpgw": UDPGW, "echo": ECHO})
        self.switch(gateway, "disable", "echo")
        gateway.stop()
        gateway.start()
        self.assertIsNone(self.plugin(gateway, "echo"))
        self.switch(gateway, "enable", "echo")
        self.assertIsNotNone(self.echo())

    def test_without_a_gateway_it_is_for_the_next_start(self):
        gateway = self.gateway(start=False, plugins={"udpgw": UDPGW, "echo": ECHO})
        self.assertIn("no gateway runs", self.switch(gateway, "disable", "echo").stdout)
        gateway.start()
        self.assertIsNone(self.plugin(gateway, "echo"))

    def test_refused_it_leaves_file_and_gateway_as_they_were(self):
        gateway = self.gateway(plugins={"udpgw": UDPGW, "echo": ECHO})
        self.switch(gateway, "enable", "echo")
        before = (gateway.base / SWITCHES).read_text()
        gateway.drop_in("[gateway]\nstate_dir = \"/run/elsewhere\"\n")
        done = self.switch(gateway, "disable", "echo", code=2)
        self.assertIn("`gateway.state_dir` cannot change while the gateway runs", done.stderr)
        self.assertEqual((gateway.base / SWITCHES).read_text(), before)
        self.assertIsNotNone(self.echo())

    def test_leases_and_bound_legs_outlive_it(self):
        gateway = self.gateway(plugins={"udpgw": UDPGW, "geneve-relay": RELAY})
        clients = [RelayClient(self.net, "client", "10.77.0.1", 7500), RelayClient(self.net, "internet", "93.184.0.1", 7500)]
        endpoint = allocate(RELAY_API, clients[0].keys, clients[1].keys)
        for one in clients:
            self.addCleanup(one.close)
            one.of(endpoint)
            one.bind()

        def carries():
            try:
                clients[0].send(b"through")
                return clients[1].hears(b"through")
            except ConnectionRefusedError:  # of what was sent while nobody was there
                return False

        self.assert_soon(carries, "data comes through")
        self.switch(gateway, "disable", "geneve-relay")
        self.assert_soon(lambda: self.plugin(gateway, "geneve-relay") is None, "it has left", 15)
        self.assertFalse(carries())
        held = [one["resource"] for one in gateway.json("leases")["leases"]]
        self.assertIn(f"vni:{endpoint['VNI']}", held)
        self.switch(gateway, "enable", "geneve-relay")
        self.assert_soon(carries, "the same legs, with no handshake")
        again = allocate(RELAY_API, clients[0].keys, clients[1].keys)
        self.assertEqual(again["VNI"], endpoint["VNI"])

    def test_list_shows_what_runs_and_which_file_is_another(self):
        folder = pathlib.Path("/run/own-plugins")
        folder.mkdir(mode=0o755, exist_ok=True)
        file = pathlib.Path(shutil.copy(BUILD / "plugins" / "echo.so", folder))
        file.chmod(0o644)
        gateway = self.gateway(plugins={"echo": {**ECHO, "path": str(file)}})

        def row(name):
            return next(one for one in gateway.json("plugin", "list")["plugins"] if one["name"] == name)

        self.assertEqual((row("echo")["running"], row("echo")["file_differs"]), ("running", False))
        self.assertEqual((row("udpgw")["running"], row("udpgw")["file_differs"]), (None, None))
        newer = file.read_bytes() + b"\0"
        file.unlink()
        file.write_bytes(newer)
        file.chmod(0o644)
        self.assertTrue(row("echo")["file_differs"])
        self.switch(gateway, "disable", "echo")
        self.switch(gateway, "enable", "echo")
        self.assertFalse(row("echo")["file_differs"], "the newer one runs")


class Stray(SwitchTest):
    """All that a process can survive: the other plugin's clients are served throughout."""

    AT = ("127.0.0.1", 7310)

    def straying(self, at, how, when="once", timeout=10, lanes=2):
        path = str(BUILD / "test-plugins" / "strays.so")
        options = {"at": at, "how": how, "when": when}
        stray = {"path": path, "lanes": lanes, "listen": ["127.0.0.1:7310", "udp:127.0.0.1:7310"], "options": options}
        fails_at_once = when == "ever" and at == "lane"
        gateway = self.gateway(start=False, plugins={"udpgw": UDPGW, "stray": stray})
        gateway.drop_in(f"[gateway]\nlane_timeout_seconds = {timeout}\n")
        return gateway.start(503 if fails_at_once else 200)

    def answer(self, kind=socket.SOCK_DGRAM, question=b"who?"):
        """The number of the instance that answers on the stray plugin's listener, or None."""
        with self.net.socket("gateway", socket.AF_INET, kind) as near:
            near.settimeout(0.2 * SLOW)
            try:
                near.connect(self.AT)
                near.send(question)
                return int(near.recv(20))
            except (OSError, ValueError):
                return None

    def is_made_anew(self, gateway, restarts=1):
        """Waits for it, while a client of the other plugin asks and is answered; what `status` has of it then."""
        stream, asked = self.client(gateway), 0
        end = time.monotonic() + 40 * SLOW
        while True:
            found = self.plugin(gateway, "stray")
            if found["restarts"] >= restarts and found["state"] == "running":
                return found
            self.assertLess(time.monotonic(), end, f"never made anew: {found}")
            self.assertIsNotNone(stream.ask(1, (INTERNET[0], self.far.port), b"%d" % asked), "the others are served")
            asked += 1

    def test_it_is_named_and_made_anew_while_others_are_served(self):
        for how, words in (("throws", "threw an exception across the border: strayed at "),
                           ("exits", "ended "), ("throws-int", "threw something across the border")):
            for at in ("lane", "wake", "pending"):
                with self.subTest(how=how, at=at):
                    gateway = self.straying(at, how)
                    self.is_made_anew(gateway)
                    self.assert_says(gateway, words)
                    self.assertEqual(gateway.json("status")["reasons"], [])
                    gateway.stop()

    def test_its_listeners_go_to_the_next_instance(self):
        """Whatever it does amid traffic; one that never returns has a stack, and hears nothing any more."""
        for how, words in (("throws", "threw an exception across the border: strayed at datagram"),
                           ("exits", "ended its thread"),
                           ("garbage", "failed: status -4711 without a message"),
                           ("hangs", "hangs: it has not moved for 1 s"),
                           ("waits", "hangs: it has not moved for 1 s"),
                           ("epolls", "hangs: it has not moved for 1 s")):
            with self.subTest(how=how):
                gateway = self.straying("datagram", how, timeout=1, lanes=1)
                self.assertEqual([self.answer(), self.answer(socket.SOCK_STREAM)], [1, 1])
                self.assertIsNone(self.answer(question=b"stray"))
                found = self.is_made_anew(gateway)
                self.assert_says(gateway, "lane 0 " + words)
                never_returned = how in ("hangs", "waits", "epolls")
                if never_returned:
                    self.assertRegex(found["hung"][0]["what"], "^lane 0 " + words)
                    self.assertIn("strays.so", " ".join(found["hung"][0]["stack"]))
                for _ in range(20):
                    self.assertEqual([self.answer(), self.answer(socket.SOCK_STREAM)], [2, 2])
                reasons = ["lanes that never returned: 1; restart the gateway, or it will not end by itself"]
                self.assertEqual(len(gateway.json("status")["reasons"]), len(reasons) if never_returned else 0)
                gateway.stop()

    def test_ports_of_a_lane_that_never_returns_are_free_again(self):
        for how in ("hangs", "waits", "epolls"):
            with self.subTest(how=how):
                gateway = self.straying("datagram", how, when="ever", lanes=1)
                self.assertIsNone(self.answer(question=b"stray"))
                self.switch(gateway, "disable", "stray")
                self.assert_soon(lambda: self.plugin(gateway, "stray") is None, "it is given up", 20)
                self.assertEqual(gateway.json("status")["state"], "degraded")
                with self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM) as other:
                    other.bind(self.AT)
                self.switch(gateway, "enable", "stray")
                self.assertEqual([self.answer(), self.answer(socket.SOCK_STREAM)], [2, 2])
                gateway.stop()

    def test_garbage_is_refused_or_made_a_sentence(self):
        with self.assertRaisesRegex(RuntimeError, "could not be started: status -4711 without a message"):
            self.straying("start", "garbage", when="ever")
        gateway = self.straying("pending", "garbage", when="ever")
        def sessions():
            return [one for one in gateway.json("sessions")["sessions"] if one["plugin"] == "stray"]

        self.assert_soon(lambda: len(sessions()) == 1, "the one that began when its time was over has ended", 15)
        self.assertEqual(sessions()[0].get("state", ""), "")
        self.assertEqual(self.plugin(gateway, "stray")["pending"], 2**64 - 1)
        self.assertEqual([self.answer(), self.answer(socket.SOCK_STREAM)], [1, 1])
        before = time.monotonic()
        self.switch(gateway, "disable", "stray")
        self.assert_soon(lambda: self.plugin(gateway, "stray") is None, "a drain has a deadline", 20)
        self.assertLess(time.monotonic() - before, 15 * SLOW)
        self.assertNotIn("\x1b", gateway.text())

    def test_after_five_failures_it_is_left_alone_until_a_reload(self):
        for how, words in (("throws", "lane 0 threw an exception across the border: strayed at lane"),
                           ("garbage", "lane 0 failed: status -4711 without a message")):
            with self.subTest(how=how):
                gateway = self.straying("lane", how, when="ever")
                stream, begin = self.client(gateway), time.monotonic()
                while self.plugin(gateway, "stray")["state"] != "quarantined":
                    self.assertLess(time.monotonic() - begin, 40 * SLOW)
                    self.assertIsNotNone(stream.ask(1, (INTERNET[0], self.far.port), b"still"))
                self.assertGreater(time.monotonic() - begin, 1 + 2 + 4, "the pauses grow")
                self.assertEqual(self.plugin(gateway, "stray")["restarts"], 4)
                status = gateway.json("status")
                self.assertEqual(status["state"], "failed")
                self.assertIn(f"the plugin stray is quarantined: {words}", status["reasons"])
                self.assertIsNotNone(stream.ask(1, (INTERNET[0], self.far.port), b"still"))
                self.switch(gateway, "disable", "stray")
                self.assert_soon(lambda: gateway.json("status")["state"] == "ok", "without it all is well")
                gateway.stop()


if __name__ == "__main__":
    main(at_once=3)
