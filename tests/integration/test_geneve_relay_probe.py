#!/usr/bin/env python3
"""`gatehouse probe geneve-relay` against a running relay: what it sees, and which step it says went unanswered.

      client                        gateway                              internet
    10.77.0.2, fd77::2  --------  10.77.0.1, fd77::1
                                  93.184.0.1, 2a00:a::1  ----------  93.184.0.10, 2a00:a::10

The API's Unix socket is a file, which all namespaces see.
"""

import json
import signal
import stat

from harness import GATEWAY, GatewayTest, main
from harness.gateway import BUILD
from harness.tls import Authority

PORT, API_PORT = 7500, 7501
API = "/run/relay-probe.sock"
PROGRAM = BUILD / "bin" / "gatehouse"


class Probe(GatewayTest):
    def relay(self, api=f"unix:{API}", policy=None):
        self.running = self.gateway(plugins=self.plugins(listen_api=[api]), policy=policy)
        return self.running

    @staticmethod
    def plugins(**more):
        return {"geneve-relay": {"listen": [f"udp:0.0.0.0:{PORT}", f"udp:[::]:{PORT}"], **more}}

    def probe(self, *words, api=f"unix:{API}", namespace="client"):
        """(what it printed, or None; what it complained of), with the exit status looked at."""
        return self.run_probe(api, "--timeout-ms", "1500", *words, namespace=namespace)

    def run_probe(self, *words, namespace="client"):
        done = self.net.run(namespace, [str(PROGRAM), "probe", "--json", "--config", str(self.running.config),
                                        "geneve-relay", *words], check=False)
        if done.returncode == 2:
            return None, done.stderr
        printed = json.loads(done.stdout) if done.stdout else None
        self.assertEqual(done.returncode, 0 if printed and printed["works"] else 1, done)
        return printed, done.stderr

    def assert_works(self, printed, complained=""):
        self.assertIsNotNone(printed, complained)
        self.assertTrue(printed["works"], complained)
        self.assertEqual(printed["round_trips"]["lost"], 0)
        self.assertGreater(printed["round_trips"]["median_ms"], 0)

    def add_rule(self, hook, rule):
        """A rule of the gateway's firewall, until the test's end."""
        self.net.run("gateway", ["nft", "add table inet probe; add chain inet probe it "
                                        f"{{ type filter hook {hook} priority 0; }}; add rule inet probe it {rule}"])
        self.addCleanup(self.net.run, "gateway", ["nft", "delete table inet probe"])

    # ---- works
    def test_data_passes_by_an_address_that_the_client_reaches(self):
        self.relay()
        printed, complained = self.probe()
        self.assert_works(printed, complained)
        asked = {one["address"]: one for one in printed["candidates"]}
        own = {f"{GATEWAY[0]}:{PORT}", f"[{GATEWAY[1]}]:{PORT}"}
        self.assertLessEqual(own, asked.keys())
        for address, one in asked.items():
            with self.subTest(address):
                self.assertEqual(one["answered_from"], address if address in own else None)
        for client in printed["clients"]:
            self.assertIn(client["bound_by"], own)

    def test_either_family_and_size(self):
        self.relay()
        for server in (f"{GATEWAY[0]}:{PORT}", f"[{GATEWAY[1]}]:{PORT}"):
            with self.subTest(server):
                printed, complained = self.probe("--server", server, "--size", "1400", "--count", "20")
                self.assert_works(printed, complained)
                self.assertEqual({one["bound_by"] for one in printed["clients"]}, {server})

    def test_the_first_form(self):
        self.relay()
        printed, complained = self.probe("--form", "1")
        self.assert_works(printed, complained)
        self.assertEqual(printed["form"], "1")

    def test_the_api_over_tls_wants_a_token(self):
        authority = Authority("/run/relay-probe-tls")
        certificate, key = authority.issue("server")
        address = f"{GATEWAY[0]}:{API_PORT}"
        gateway = self.relay({"address": address, "auth": "token", "tls": {"certificate": certificate, "key": key}})
        token = authority.folder / "token"
        token.touch(mode=0o600)
        token.write_text(gateway.json("token", "new", "bob")["token"] + "\n")
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        tls = ["--tls", "--ca", str(authority.certificate), "--server-name", "gate.example"]

        printed, complained = self.probe(*tls, "--token-file", str(token), api=address)
        self.assert_works(printed, complained)
        printed, complained = self.probe(*tls, api=address)
        self.assertIsNone(printed)
        self.assertIn("refused the allocation with 401", complained)
        self.assertIn("--token-file", complained)
        printed, complained = self.probe("--tls", "--server-name", "gate.example", api=address)
        self.assertIsNone(printed)
        self.assertIn("certificate", complained)
        printed, complained = self.probe(api=address)
        self.assertIsNone(printed)
        self.assertIn("--tls", complained)

    # ---- where nothing is configured
    def test_without_listen_api_it_is_asked_in_the_runtime_folder(self):
        self.running = gateway = self.gateway(plugins=self.plugins())
        api = gateway.runtime / "geneve-relay-api.sock"
        self.assert_works(*self.run_probe())
        self.assert_works(*self.run_probe(f"unix:{api}"))
        about, control = api.stat(), (gateway.runtime / "control.sock").stat()
        self.assertEqual((stat.S_IMODE(about.st_mode), about.st_uid), (0o660, control.st_uid))
        (plugin,) = gateway.json("status")["plugins"]
        self.assertIn({"role": "listen_api", "address": f"unix:{api}"}, plugin["listeners"])
        (role,) = [one for one in gateway.json("plugin", "describe", "geneve-relay")["listeners"]
                   if one["name"] == "listen_api"]
        self.assertEqual(role["default"], f"unix:{api}")
        self.assertEqual(gateway.cli("check").returncode, 0)

    def test_a_crash_leaves_nothing_in_the_way_of_the_default(self):
        self.running = gateway = self.gateway(plugins=self.plugins())
        gateway.process.send_signal(signal.SIGKILL)
        self.assertNotEqual(gateway.wait(), 0)
        self.assertTrue((gateway.runtime / "geneve-relay-api.sock").is_socket())
        gateway.start()
        self.assert_works(*self.run_probe())

    def test_the_default_goes_and_comes_by_a_reload(self):
        self.running = gateway = self.gateway(plugins=self.plugins())
        api = gateway.runtime / "geneve-relay-api.sock"
        gateway.write_config(self.plugins(listen_api=[]))
        self.assertEqual(gateway.cli("reload").returncode, 0)
        printed, complained = self.run_probe()
        self.assertIsNone(printed)
        self.assertIn("the address of the relay's API is missing", complained)
        gateway.write_config(self.plugins())
        self.assertEqual(gateway.cli("reload").returncode, 0)
        self.assertTrue(api.is_socket())
        self.assert_works(*self.run_probe())

    def test_what_is_in_the_way_of_the_default_is_named(self):
        self.running = gateway = self.gateway(plugins=self.plugins(), start=False)
        api = gateway.runtime / "geneve-relay-api.sock"
        api.write_text("of somebody else")
        for verb in ("check", "run"):
            with self.subTest(verb):
                done = gateway.cli(verb)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f"{api} is there already and is not a socket", done.stderr)

    # ---- does not, and says where
    def test_policy_refuses_an_allocation_with_its_sentence(self):
        gateway = self.relay(policy=lambda db: db.insert("admissions", plugin="geneve-relay", action="deny"))
        printed, complained = self.probe()
        self.assertIsNone(printed)
        self.assertIn("refused the allocation with 403: ", complained)
        self.assertIn("you may not have endpoints of this relay", complained)
        gateway.policy.sql("DELETE FROM admissions")
        self.assert_soon(gateway.policy_in_force, "the row is gone")
        self.assert_works(*self.probe())

    def test_a_port_that_a_firewall_drops(self):
        self.relay()
        self.add_rule("input", f"udp dport {PORT} drop")
        printed, complained = self.probe()
        self.assertEqual({one["challenge_ms"] for one in printed["candidates"]}, {None})
        self.assertIn("no Challenge came to the first client's Bind", complained)
        self.assertIn(f"{GATEWAY[0]}:{PORT}", complained)

    def test_data_alone_that_a_firewall_drops(self):
        """Handshakes have the control bit: the first of byte 1 behind the UDP header."""
        self.relay()
        self.add_rule("input", f"udp dport {PORT} @th,72,1 0 drop")
        printed, complained = self.probe()
        self.assertNotIn(None, {one["bound_by"] for one in printed["clients"]})
        self.assertIn("data does not pass: nothing of the first client reached the second", complained)

    def test_an_answer_from_another_address(self):
        """As of a relay that does not choose its source: a rule rewrites it."""
        self.relay()
        self.add_rule("output", f"udp sport {PORT} ip saddr {GATEWAY[0]} ip saddr set 93.184.0.1")
        printed, complained = self.probe("--server", f"{GATEWAY[0]}:{PORT}")
        self.assertEqual(printed["candidates"][0]["answered_from"], f"93.184.0.1:{PORT}")
        self.assertIn(f"{GATEWAY[0]}:{PORT} was answered from 93.184.0.1:{PORT}", complained)

    def test_a_gateway_that_is_not_there(self):
        self.relay().stop()
        printed, complained = self.probe()
        self.assertIsNone(printed)
        self.assertIn("cannot be reached", complained)
        self.assertIn("listen_api", complained)


if __name__ == "__main__":
    main()
