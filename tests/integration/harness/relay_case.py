"""A test case of geneve-relay: a gateway with two addresses of each family on either side, and clients in pairs.

      client                        gateway                              internet
    10.77.0.2, fd77::2  --------  10.77.0.1, .9, fd77::1, ::9
                                  93.184.0.1, .9, 2a00:a::1, ::9  -----  93.184.0.10, 2a00:a::10
"""

import os
import re

from .case import GATEWAY, GatewayTest, eventually
from .relay import DISCO, RelayClient, allocate

PORT = 7500
API = "/run/relay-api.sock"
SECOND = ("10.77.0.9", "fd77::9")            # the gateway's other addresses, towards the client
OUTSIDE = ("93.184.0.1", "2a00:a::1")        # towards the internet
OUTSIDE_SECOND = ("93.184.0.9", "2a00:a::9")
LANES = 2
KERNEL = "gatehouse_plugin_geneve_relay_kernel_"


class RelayTest(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for device, addresses in (("to_client", SECOND), ("to_internet", OUTSIDE_SECOND)):
            cls.net.address("gateway", device, addresses[0] + "/24")
            cls.net.address("gateway", device, addresses[1] + "/64")

    @staticmethod
    def plugins(lanes=LANES, api=f"unix:{API}", **options):
        return {"geneve-relay": {"listen": [f"udp:0.0.0.0:{PORT}", f"udp:[::]:{PORT}"], "listen_api": [api],
                                 "lanes": lanes, "options": options}}

    def relay(self, policy=None, extra="", **more):
        """A gateway with the relay alone; `more` is plugins()'."""
        return self.gateway(plugins=self.plugins(**more), policy=policy, extra=extra)

    def pair(self, near=GATEWAY[0], far=OUTSIDE[0], bind=True, token=None):
        """A client in `client` and one in `internet`, each by an address of the gateway, and their endpoint, which is
        asked for with that token."""
        a, b = RelayClient(self.net, "client", near, PORT), RelayClient(self.net, "internet", far, PORT)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        endpoint = allocate(API, a.keys, b.keys, token)
        for client in (a, b):
            client.of(endpoint)
            if bind:
                client.bind()
        if bind:
            self.assert_soon(lambda: self.carries(a, b), "data comes through")
        return a, b

    @staticmethod
    def carries(a, b):
        """Does a packet come from a to b?"""
        payload = os.urandom(16)
        a.send(payload)
        return b.hears(payload)

    def assert_carries_both_ways(self, a, b, packets=5):
        """Each comes, in order and as it was sent, and nothing else does."""
        for number in range(packets):
            a.send(b"to b %d" % number)
            self.assertEqual(b.receive(), b"to b %d" % number)
            b.send(b"to a %d" % number, protocol=DISCO)
            self.assertEqual(a.receive(), b"to a %d" % number)

    def drops(self, gateway, cause):
        return gateway.metric("gatehouse_plugin_geneve_relay_drops_total", cause=cause)

    def assert_dropped(self, gateway, a, b, cause):
        """The relay has what a sends to b, and drops it for that cause: neither is it lost on the way, nor carried."""
        before, payload = self.drops(gateway, cause), os.urandom(16)
        a.send(payload)
        self.assert_soon(lambda: self.drops(gateway, cause) > before, f"a packet is dropped: {cause}")
        self.assertFalse(b.hears(payload), f"a packet that is dropped: {cause}")

    def assert_cut(self, gateway, a, b, change, cause="denied", within=1.0):
        """What was carried both ways is dropped for that cause within so many seconds of `change()`.

        @return what change() returned
        """
        self.assertTrue(self.carries(a, b) and self.carries(b, a), "it was carried before")
        before = self.drops(gateway, cause)
        out = change()

        def is_dropped():
            a.send(b"until it is dropped")
            return eventually(lambda: self.drops(gateway, cause) > before, timeout=0.05)

        self.assert_soon(is_dropped, "the clients are cut", timeout=within)
        b.hears_nothing()
        for one, other in ((a, b), (b, a)):
            self.assert_dropped(gateway, one, other, cause)
        return out


class KernelRelayTest(RelayTest):
    """With the relay's way in the kernel."""

    def relay_in_kernel(self, **more):
        """As relay(), with fast_path, and clients whose checksums are complete, as on a wire."""
        for name in ("client", "internet"):
            self.net.run(name, ["ethtool", "-K", "to_gateway", "tx", "off"])
            self.addCleanup(self.net.run, name, ["ethtool", "-K", "to_gateway", "tx", "on"])
        gateway = self.relay(fast_path="xdp", **more)
        if "the kernel does not relay" in gateway.text():
            self.skipTest("no XDP here")
        self.assert_says(gateway, "generic on to_client")
        return gateway

    def in_kernel(self, gateway, outcome="relayed"):
        """Packets of which the kernel's part says that; told every two seconds."""
        return gateway.metric(KERNEL + "packets_total", outcome=outcome)

    def assert_in_kernel(self, gateway, a, b):
        """Soon the kernel carries what they send, both ways."""
        before = self.in_kernel(gateway)

        def carried():
            return self.carries(a, b) and self.carries(b, a) and self.in_kernel(gateway) >= before + 10

        self.assert_soon(carried, "the kernel carries it", timeout=8)

    def legs(self, gateway, state="there"):
        """Clients' ways that are so: in the kernel's map, or why not."""
        return gateway.metric(KERNEL + "legs", state=state)

    def has_program(self):
        """Is any program attached to an interface of the gateway?"""
        return "xdp" in self.net.run("gateway", ["ip", "link"]).stdout

    def words(self, gateway, client):
        """What `sessions` says of that client. Nobody acknowledges an Answer: data of pair() may have been too early."""
        (session,) = [one for one in gateway.json("sessions")["sessions"] if f"vni:{client.vni}" in one["leases"]]
        return re.sub("; refused [0-9]+ times?(, last)?: data before both clients were bound", "", session["state"])
