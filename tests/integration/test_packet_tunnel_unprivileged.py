#!/usr/bin/env python3
"""The packet tunnel without any privilege: a tun device and addresses made by somebody else, the gateway as nobody."""

import os
import secrets

from harness import INTERNET, GatewayTest, UdpEcho, main
from harness.tunnel import CLIENT4, CLIENT6, UDP, Tunnel, udp

PORT = 7400
NOBODY = 65534
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
VNET_HDR = 0x4000
DEVICE = "handed0"
PREFIXES = ("10.200.0.0/24", "fd19:ca83:e6d5:1c44::/64")


class HandedOver(GatewayTest):
    FLAGS = VNET_HDR

    def setUp(self):
        if self.net.run("gateway", [*AS_NOBODY, "true"], check=False).returncode != 0:
            self.skipTest("only one user id exists here")
        device = self.net.open_tun("gateway", DEVICE, self.FLAGS)
        self.addCleanup(os.close, device)
        for words in (["address", "add", "10.200.0.1/24", "dev", DEVICE],
                      ["-6", "address", "add", "fd19:ca83:e6d5:1c44::1/64", "dev", DEVICE, "nodad"],
                      ["link", "set", DEVICE, "mtu", "9000", "up"]):
            self.net.run("gateway", ["ip", *words])
        for family in ("ipv4.conf", "ipv6.conf"):
            self.net.sysctl("gateway", f"net.{family}.all.forwarding", 1)
        self.net.run("gateway", ["nft", "add table inet own; add chain inet own out { type nat hook postrouting priority "
                                 f"srcnat; }}; add rule inet own out iifname {DEVICE} masquerade"])
        self.addCleanup(self.net.run, "gateway", ["nft", "delete table inet own"])
        for link, namespace in (("to_internet", "gateway"), ("to_gateway", "internet")):
            self.net.run(namespace, ["ip", "link", "set", link, "mtu", "9000"])
            self.addCleanup(self.net.run, namespace, ["ip", "link", "set", link, "mtu", "1500"])
        options = {"device_fd": device, "nat": "none", "ipv4_prefix": PREFIXES[0], "dns_resolvers": ["93.184.0.53"]}
        plugin = {"listen": [{"address": f"127.0.0.1:{PORT}"}], "lanes": 1, "options": options}
        self.running = self.gateway(start=False, plugins={"packet-tunnel": plugin})
        self.running.before, self.running.pass_fds = AS_NOBODY, [device]
        for folder in (self.running.base, self.running.state, self.running.runtime):
            os.chown(folder, NOBODY, NOBODY)
        self.running.start()
        self.echo = UdpEcho(self.net, "internet", INTERNET)
        self.addCleanup(self.echo.stop)
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        self.tunnel = Tunnel(stream, secrets.token_urlsafe(32))

    def ask(self, client, there, payload, port=5000):
        self.tunnel.send(udp(client, there, port, self.echo.port, payload))
        return self.tunnel.find(lambda one: one.protocol == UDP)

    def test_packets_go_and_come_back(self):
        for client, there in ((CLIENT4, INTERNET[0]), (CLIENT6, INTERNET[1])):
            self.assertEqual(self.ask(client, there, b"hello").payload, b"hello")

    def test_whoever_sends_what_does_not_fit_is_told_what_does(self):
        """The device's own MTU is larger than the tunnel's, so that the kernel says nothing."""
        for client, there in ((CLIENT4, INTERNET[0]), (CLIENT6, INTERNET[1])):
            self.assertEqual(self.ask(client, there, b"who").payload, b"who")
            source = self.echo.last_source(b"who")
            self.echo.send(there, source, bytes(2000))
            self.assert_soon(lambda to=source[0]: "mtu 1500" in self.net.run("internet", ["ip", "route", "get", to]).stdout,
                             "the path's MTU is known")
            self.assertEqual(self.ask(client, there, b"again").payload, b"again")
        rejected = self.running.metric("gatehouse_plugin_packet_tunnel_packets_rejected_total", reason="too_big",
                                       direction="down")
        self.assertGreaterEqual(rejected, 2)


class HandedOverWithoutHeaders(HandedOver):
    """Nothing but whole packets passes such a device."""

    FLAGS = 0


if __name__ == "__main__":
    main()
