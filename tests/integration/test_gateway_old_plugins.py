#!/usr/bin/env python3
"""Plugins that were built by the SDK of ABI 1.0, as files of that time, run in the gateway of today."""

import pathlib
import platform
import shutil
import socket

from harness import GatewayTest, main
from harness.gateway import ROOT

KEPT = ROOT / "tests/abi/1.0"
# What old.so, which asks policy, expects to find: its own permit, and no limit.
ROWS = """DELETE FROM port_permits; DELETE FROM traffic_rules;
INSERT INTO port_permits (id, group_id, transport, ports) VALUES (5, NULL, 'udp', '53-55');"""


class OldPlugins(GatewayTest):
    def setUp(self):
        if platform.machine() != "x86_64":
            self.skipTest(f"the kept plugins are of x86-64, this machine is {platform.machine()}")

    def kept(self, name):
        """Where the gateway trusts the file: a checkout may belong to anybody."""
        folder = pathlib.Path("/run") / self._testMethodName
        folder.mkdir(mode=0o755)
        return pathlib.Path(shutil.copy(KEPT / f"{name}.so", folder))

    def state_of(self, gateway, name):
        return next(one for one in gateway.json("status")["plugins"] if one["name"] == name)

    def test_a_plugin_in_c_that_uses_every_interface(self):
        gateway = self.gateway(policy=lambda db: db.sql(ROWS), plugins={
            "old": {"path": self.kept("old"), "lanes": 2, "listen": ["127.0.0.1:7500", "udp:127.0.0.1:7500"]}})
        # Its pending clients are the lanes that have tried everything and found it as it was.
        self.assert_soon(lambda: self.state_of(gateway, "old")["pending"] == 2, "both lanes are content")
        self.assertEqual(self.state_of(gateway, "old")["state"], "running")

    def test_a_plugin_in_cpp_that_serves_datagrams(self):
        gateway = self.gateway(plugins={
            "echo-1-0": {"path": self.kept("echo-1-0"), "lanes": 2, "listen": ["udp:127.0.0.1:7500"]}})
        asker = self.net.socket("gateway", socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(asker.close)
        asker.settimeout(5)
        asker.connect(("127.0.0.1", 7500))
        for number in range(20):
            asker.send(b"number %d" % number)
            self.assertEqual(asker.recv(100), b"number %d" % number)
        self.assertEqual(gateway.metric("gatehouse_plugin_echo_1_0_answered_total"), 20)

    def test_a_plugin_in_cpp_that_asks_for_tokens_and_says_a_notice(self):
        gateway = self.gateway(plugins={"token-1-0": {"path": self.kept("token-1-0"), "lanes": 2,
                                                      "listen": [{"address": "127.0.0.1:7500", "auth": "token"}]}})
        self.assert_soon(lambda: self.state_of(gateway, "token-1-0")["notes"] == ["it was built by the first release's SDK"],
                         "status has its notice")
        token = gateway.json("token", "new", "bob")["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        for shown, told in ((token, b"token:bob"), (token + "x", b"")):
            with self.net.connect("gateway", "127.0.0.1", 7500) as stream:
                stream.sendall(shown.encode())
                self.assertEqual(stream.recv(100), told)
                if told:
                    stream.sendall(b"hello")
                    self.assertEqual(stream.recv(100), b"hello")


if __name__ == "__main__":
    main()
