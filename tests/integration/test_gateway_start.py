#!/usr/bin/env python3
"""Bad input at the start: one clear sentence, exit 2, and nothing half started."""

import os
import pathlib
import shutil
import socket

from harness import BUILD, GatewayTest, main
from harness.gateway import PROGRAM, SLOW

UDPGW = {"udpgw": {"listen": ["127.0.0.1:7300"]}}
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


class BadInput(GatewayTest):
    def refused(self, *needles, plugins=UDPGW, extra="", config=None, prepare=lambda gateway: None):
        """`run` ends with 2 and says each needle in few words; `check` says them too. Returns what was printed."""
        gateway = self.gateway(start=False, plugins=plugins, extra=extra)
        if config is not None:
            gateway.config.write_text(config)
        prepare(gateway)
        done = self.ends(gateway, ["run"])
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        said = done.stdout + done.stderr
        for needle in needles:
            self.assertIn(needle, said)
        self.clear(said)
        self.nothing_left(gateway)
        checked = self.ends(gateway, ["check"])
        self.assertEqual(checked.returncode, 2, "`gatehouse check` says so too")
        for needle in needles:
            self.assertIn(needle, checked.stdout + checked.stderr)
        return said

    def ends(self, gateway, words, prefix=()):
        return self.net.run("gateway", [*prefix, str(PROGRAM), *words, "--config", str(gateway.config)], check=False)

    def clear(self, said):
        for noise in ("terminate called", "what():", "core dumped", "Sanitizer"):
            self.assertNotIn(noise, said)
        self.assertLessEqual(len(said.strip().splitlines()), 6, said)

    def nothing_left(self, gateway):
        sockets = [path for path in gateway.base.rglob("*") if path.is_socket()]
        self.assertEqual(sockets, [], "no socket file is left")
        listening = self.net.run("gateway", ["cat", "/proc/net/tcp"]).stdout.count(" 0A ")
        self.assertEqual(listening, self.listening_before if hasattr(self, "listening_before") else 0)

    def plugin_copy(self, name="udpgw", folder="plugins", mode=0o644):
        place = pathlib.Path("/run") / f"{self._testMethodName}-{folder}"
        place.mkdir(mode=0o755)
        shutil.copy(BUILD / "plugins" / f"{name}.so", place)
        copy = place / f"{name}.so"
        copy.chmod(mode)
        return copy

    def test_wrong_toml(self):
        self.refused("gatehouse.toml:2", config="[gateway]\nstate_dir = \n")

    def test_unknown_key_is_named_with_the_nearest_known_one(self):
        said = self.refused("lisen", plugins={"udpgw": {"lisen": ["127.0.0.1:7300"]}})
        self.assertIn("listen", said.replace("lisen", ""))

    def test_unknown_option_is_named_with_the_nearest_known_one(self):
        self.refused("fin_grace_second", "fin_grace_seconds",
                     plugins={"udpgw": {"listen": ["127.0.0.1:7300"], "options": {"fin_grace_second": 1}}})

    def test_option_of_the_wrong_type(self):
        self.refused("fin_grace_seconds",
                     plugins={"udpgw": {"listen": ["127.0.0.1:7300"], "options": {"fin_grace_seconds": "soon"}}})

    def test_option_out_of_range(self):
        self.refused("blocked_answer",
                     plugins={"udpgw": {"listen": ["127.0.0.1:7300"], "options": {"blocked_answer": "shrug"}}})

    def test_every_error_at_once(self):
        said = self.refused("lisen", "nowhere", extra='[nowhere]\nkey = 1\n',
                            plugins={"udpgw": {"lisen": ["127.0.0.1:7300"]}})
        self.assertGreaterEqual(len(said.strip().splitlines()), 2)

    def test_missing_configuration_file(self):
        gateway = self.gateway(start=False, plugins=UDPGW)
        gateway.config.unlink()
        done = self.ends(gateway, ["run"])
        self.assertEqual(done.returncode, 2)
        self.assertIn(str(gateway.config), done.stdout + done.stderr)

    def test_missing_plugin_file(self):
        self.refused("/nowhere/mine.so", plugins={"mine": {"path": "/nowhere/mine.so", "listen": ["127.0.0.1:7300"]}})

    def test_missing_plugin_without_a_path(self):
        self.refused("nothere", plugins={**UDPGW, "nothere": {"listen": ["127.0.0.1:7301"]}})

    def test_file_that_is_no_plugin(self):
        place = self.plugin_copy()
        place.write_bytes(b"#!/bin/sh\n")
        self.refused(str(place), plugins={"udpgw": {"path": str(place), "listen": ["127.0.0.1:7300"]}})

    def test_plugin_of_another_abi(self):
        """The manifest begins with magic, size, ABI major: the copy says major 99."""
        place = self.plugin_copy()
        data = bytearray(place.read_bytes())
        at = data.index(b"GHP1\x60\x00\x00\x00\x01\x00")
        data[at + 8:at + 10] = (99).to_bytes(2, "little")
        place.write_bytes(data)
        self.refused("ABI", "99", plugins={"udpgw": {"path": str(place), "listen": ["127.0.0.1:7300"]}})

    def test_plugin_file_that_others_may_write(self):
        place = self.plugin_copy(mode=0o666)
        self.refused(str(place), "writ", plugins={"udpgw": {"path": str(place), "listen": ["127.0.0.1:7300"]}})

    def test_plugin_folder_that_others_may_write(self):
        place = self.plugin_copy()
        place.parent.chmod(0o777)
        self.refused(str(place.parent), "writ", plugins={"udpgw": {"path": str(place), "listen": ["127.0.0.1:7300"]}})

    def test_plugin_of_another_owner(self):
        place = self.plugin_copy()
        try:
            os.chown(place, 65534, 65534)
        except OSError:
            self.skipTest("only one user id exists here, so no file can have another owner")
        self.refused(str(place), "own", plugins={"udpgw": {"path": str(place), "listen": ["127.0.0.1:7300"]}})

    def test_port_taken(self):
        with self.net.socket("gateway", socket.AF_INET, socket.SOCK_STREAM) as taken:
            taken.bind(("127.0.0.1", 7300))
            taken.listen()
            self.listening_before = 1
            self.refused("127.0.0.1:7300")

    def test_metrics_port_taken(self):
        with self.net.socket("gateway", socket.AF_INET, socket.SOCK_STREAM) as taken:
            taken.bind(("127.0.0.1", 9477))
            taken.listen()
            self.listening_before = 1
            self.refused("127.0.0.1:9477")

    def test_metrics_address_that_is_not_here(self):
        self.refused("192.0.2.1:9477",
                     prepare=lambda gateway: gateway.drop_in('[metrics]\nlisten = "192.0.2.1:9477"\n'))

    def test_file_in_place_of_the_control_socket(self):
        self.refused("control.sock", "remove it",
                     prepare=lambda gateway: (gateway.runtime / "control.sock").write_text("precious"))

    def test_runtime_dir_that_is_too_long(self):
        self.refused("choose a shorter", prepare=lambda gateway: gateway.drop_in(
            f'[gateway]\nruntime_dir = "{gateway.base}/{"x" * 100}"\n'))

    def test_file_in_place_of_a_listeners_socket(self):
        path = pathlib.Path("/run/precious.sock")
        path.write_text("precious")
        self.refused(str(path), "is not a socket", plugins={"udpgw": {"listen": [f"unix:{path}"]}})

    def test_socket_path_that_is_taken(self):
        path = "/run/taken.sock"
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(path)
            taken.listen()
            self.refused(path, "another program", plugins={"udpgw": {"listen": [f"unix:{path}"]}})

    def test_flow_log_that_everybody_may_write(self):
        path = pathlib.Path("/run/open.jsonl")
        path.touch()
        path.chmod(0o666)
        self.refused(str(path), "chmod o-w",
                     prepare=lambda gateway: gateway.drop_in(f'[log]\nflow_log = "{path}"\n'))

    def test_folder_of_plugin_copies_that_others_may_write(self):
        def make(gateway):
            (gateway.runtime / "plugins").mkdir()
            (gateway.runtime / "plugins").chmod(0o777)
        self.refused("/plugins", "chmod o-w", prepare=make)

    def test_second_gateway_on_the_same_runtime_dir(self):
        first = self.gateway(plugins=UDPGW)
        other = first.config.read_text().replace("7300", "7301").replace("9477", "9478")
        (first.base / "second.toml").write_text(other)
        done = self.net.run("gateway", [str(PROGRAM), "run", "--config", str(first.base / "second.toml")], check=False)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertEqual(first.cli("status").returncode, 0, "the first one goes on and can be reached")

    def test_no_permission(self):
        gateway = self.gateway(start=False, plugins=UDPGW)
        if self.net.run("gateway", [*NOBODY, str(PROGRAM), "--help"], check=False).returncode != 0:
            self.skipTest("no other user can run the program here")
        gateway.base.chmod(0o755)
        done = self.ends(gateway, ["run"], NOBODY)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        said = done.stdout + done.stderr
        self.assertRegex(said, "(?i)permission")
        self.assertIn(str(gateway.base), said)
        self.clear(said)

    def test_listener_for_everyone_needs_a_word(self):
        self.refused("auth", plugins={"udpgw": {"listen": ["0.0.0.0:7300"]}})

    def test_tls_is_refused_with_a_sentence(self):
        self.refused("tls", plugins={"udpgw": {"listen": ["tls:127.0.0.1:7301"]}})

    def test_auth_is_refused_with_a_sentence(self):
        self.refused("auth", plugins={"udpgw": {"listen": [{"address": "127.0.0.1:7300", "auth": "token"}]}})

    def test_datagram_address_for_a_stream_plugin(self):
        self.refused("datagram", plugins={"udpgw": {"listen": ["udp:127.0.0.1:7300"]}})

    def test_wrong_use(self):
        for words in (["run", "--nonsense"], ["nonsense"], ["plugin"], ["probe", "udpgw"]):
            done = self.net.run("gateway", [str(PROGRAM), *words], check=False)
            self.assertEqual(done.returncode, 2, f"{words}: {done.stdout}{done.stderr}")


class GoodInput(GatewayTest):
    def test_check_passes(self):
        gateway = self.gateway(start=False, plugins=UDPGW)
        self.assertEqual(gateway.cli("check").returncode, 0)

    def test_check_passes_beside_the_gateway(self):
        gateway = self.gateway(plugins={"udpgw": {"listen": ["127.0.0.1:7300", "unix:/run/beside.sock"]}})
        done = gateway.cli("check")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_set_overrides_a_key(self):
        gateway = self.gateway(start=False, plugins=UDPGW)
        gateway.spawn("--set", 'plugin.udpgw.listen=["127.0.0.1:7399"]')
        self.assert_soon(lambda: gateway.http("/readyz")[0] == 200, "ready")
        self.client(gateway, port=7399)

    def test_folder_beside_the_file_wins(self):
        gateway = self.gateway(start=False, plugins=UDPGW)
        folder = gateway.base / "gatehouse.d"
        folder.mkdir()
        (folder / "10-port.toml").write_text('[plugin.udpgw]\nlisten = ["127.0.0.1:7398"]\n')
        (folder / "20-port.toml").write_text('[plugin.udpgw]\nlisten = ["127.0.0.1:7397"]\n')
        gateway.start()
        self.client(gateway, port=7397)

    def test_descriptor_limit_is_raised(self):
        gateway = self.gateway(plugins=UDPGW)
        limits = pathlib.Path(f"/proc/{gateway.process.pid}/limits").read_text()
        soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
        self.assertEqual(soft, hard)

    def test_disabled_plugin_is_not_loaded(self):
        gateway = self.gateway(plugins={**UDPGW, "nothere": {"enabled": False, "listen": ["127.0.0.1:7301"]}})
        self.assertEqual([one["name"] for one in gateway.json("status")["plugins"]
                          if one.get("state") == "running"], ["udpgw"])

    def test_plugin_describe_and_list(self):
        gateway = self.gateway(plugins=UDPGW)
        self.assertIn("fin_grace_seconds", gateway.cli("plugin", "describe", "udpgw").stdout)
        self.assertIn("udpgw", gateway.cli("plugin", "list").stdout)

    def test_started_again_after_a_kill(self):
        gateway = self.gateway(plugins={"udpgw": {"listen": ["127.0.0.1:7300", "unix:/run/left-behind.sock"]}})
        gateway.process.kill()
        gateway.process.wait()
        gateway.start()
        self.assertEqual(gateway.cli("status").returncode, 0)
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(5 * SLOW)
            stream.connect("/run/left-behind.sock")


if __name__ == "__main__":
    main()
