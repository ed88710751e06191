#!/usr/bin/env python3
"""gatehouse-tunnel where systemd-resolved answers the system's queries: it asks through the tunnel, and as before again."""

import unittest

from harness import DnsServer, main
from harness.resolved import Resolved, environment, why_missing
from harness.tunnel_client import RESOLV_CONF, TunnelClient
from test_packet_tunnel_client import DEVICE, SERVER, ClientTest


@unittest.skipIf(why_missing(), why_missing())
class WithResolved(ClientTest):
    def setUp(self):
        super().setUp()
        server = DnsServer(self.net, "internet", ["93.184.0.53"], {"www.example.org": ["192.0.2.7"]})
        self.addCleanup(server.stop)
        self.resolved = Resolved(self.net, "client")
        self.addCleanup(self.resolved.stop)

    def test_the_system_asks_through_the_tunnel_and_as_before_afterwards(self):
        self.start()
        before = self.resolved.ctl("dns").stdout
        client = TunnelClient(self, SERVER, env=environment()).connected()
        self.assertIn("10.0.0.2", self.resolved.ctl("dns", DEVICE).stdout)
        self.assertIn("~.", self.resolved.ctl("domain", DEVICE).stdout)
        self.assertEqual(client.resolv_conf.read_text(), RESOLV_CONF, "the file is left alone")
        self.assertIn("192.0.2.7", self.resolved.ctl("query", "www.example.org").stdout)
        self.assertEqual(client.stop(), 0)
        self.assertEqual(self.resolved.ctl("dns").stdout, before)

    def test_a_killed_one_leaves_nothing(self):
        self.start()
        before = self.resolved.ctl("dns").stdout
        client = TunnelClient(self, SERVER, env=environment()).connected()
        client.process.kill()
        client.wait()
        self.assert_soon(lambda: self.resolved.ctl("dns").stdout == before, "it goes with the device")


if __name__ == "__main__":
    main()
