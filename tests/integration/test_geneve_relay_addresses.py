#!/usr/bin/env python3
"""geneve-relay: which addresses it offers: options, the machine's own as they come and go, and what STUN servers see.

      gateway                              internet
    10.77.0.1, fd77::1
    93.184.0.1, 2a00:a::1, ::9  ---------  93.184.0.10, 2a00:a::10: STUN servers
"""

import ipaddress
import json
import socket
import struct
import threading

from harness import GATEWAY, GatewayTest, main
from harness.relay import Keys, ask

PORT = 7500
API = "/run/relay-addresses-api.sock"
OUTSIDE = ("93.184.0.1", "2a00:a::1")
INTERNET = ("93.184.0.10", "2a00:a::10")
NEW = ("93.184.0.77", "2a00:a::77")
SEEN = ("203.0.113.5", 41100)
STUN_PORT = 3478
COOKIE = 0x2112A442


def texts(addresses, port=PORT):
    return {f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in addresses}


class StunServer:
    """Says `mapped` to whoever asks, from another thread; counts who asked from where."""

    def __init__(self, net, address, mapped):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = net.socket("internet", family, socket.SOCK_DGRAM)
        self.socket.bind((address, STUN_PORT))
        self.mapped = mapped
        self.sources = set()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            request, source = self.socket.recvfrom(2048)
            if len(request) < 20:
                return
            self.sources.add(source[:2])
            host, port = self.mapped
            value = struct.pack(">BBHI", 0, 1, port ^ COOKIE >> 16, int(ipaddress.ip_address(host)) ^ COOKIE)
            self.socket.sendto(struct.pack(">HHI", 0x0101, 12, COOKIE) + request[8:20] +
                               struct.pack(">HH", 0x0020, len(value)) + value, source)

    def close(self):
        self.socket.sendto(b"end", self.socket.getsockname())
        self._thread.join()
        self.socket.close()


class Addresses(GatewayTest):
    def relay(self, **options):
        table = {"listen": [f"udp:0.0.0.0:{PORT}", f"udp:[::]:{PORT}"], "listen_api": [f"unix:{API}"], "lanes": 2,
                 "options": options}
        self.keys = Keys(), Keys()
        return self.gateway(plugins={"geneve-relay": table})

    def offered(self):
        """To the same two clients each time: they have one endpoint, and the latest addresses. None before it knows any."""
        status, _, text = ask(API, json.dumps({"DiscoKeys": [str(one) for one in self.keys]}))
        self.assertIn(status, (200, 503), text)
        return set(json.loads(text)["AddrPorts"]) if status == 200 else set()

    def stun_server(self, address, mapped=SEEN):
        server = StunServer(self.net, address, mapped)
        self.addCleanup(server.close)
        return server

    def test_the_machines_own_as_they_come_and_go(self):
        self.relay()
        own = texts((*GATEWAY, *OUTSIDE))
        self.assert_soon(lambda: self.offered() == own, "its addresses are offered")
        for address, length in zip(NEW, ("/24", "/64")):
            self.net.address("gateway", "to_internet", address + length)
        self.assert_soon(lambda: self.offered() == own | texts(NEW), "new addresses are offered")
        for address, length in zip(NEW, ("/24", "/64")):
            self.net.run("gateway", ["ip", "address", "del", address + length, "dev", "to_internet"])
        self.assert_soon(lambda: self.offered() == own, "addresses that have gone are not")

    def test_what_is_configured_and_nothing_else(self):
        self.relay(advertise=["198.51.100.7:1234", "[2001:db8::7]:1235"])
        wanted = {"198.51.100.7:1234", "[2001:db8::7]:1235"}
        self.assert_soon(lambda: self.offered() == wanted, "they are offered")

    def test_what_a_stun_server_sees(self):
        server = self.stun_server(INTERNET[0])
        self.relay(stun_servers=[f"{INTERNET[0]}:{STUN_PORT}"])
        own = texts((*GATEWAY, *OUTSIDE))
        self.assert_soon(lambda: self.offered() == own | {f"{SEEN[0]}:{SEEN[1]}"}, "the mapped address is offered")
        self.assertEqual(server.sources, {(OUTSIDE[0], PORT)}, "it was asked from the relay's own socket")

    def test_a_hard_nat(self):
        self.stun_server(INTERNET[0])
        self.stun_server(INTERNET[1], (SEEN[0], SEEN[1] + 1))
        self.relay(advertise=["198.51.100.7:1234"],
                   stun_servers=[f"{INTERNET[0]}:{STUN_PORT}", f"[{INTERNET[1]}]:{STUN_PORT}"])
        wanted = {"198.51.100.7:1234"} | {f"{SEEN[0]}:{port}" for port in (SEEN[1], SEEN[1] + 1, PORT)}
        self.assert_soon(lambda: self.offered() == wanted, "the socket's own port is offered, too")


if __name__ == "__main__":
    main()
