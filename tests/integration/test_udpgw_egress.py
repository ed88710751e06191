#!/usr/bin/env python3
"""egress_addresses: forwards leave from these, spread over them, and replies never cross forwards."""

from harness import INTERNET, GatewayTest, UdpEcho, frame, main

EGRESS = ["93.184.0.101", "93.184.0.102", "93.184.0.103", "2a00:a::101", "2a00:a::102"]


class Egress(GatewayTest):
    def setUp(self):
        for address in EGRESS:
            self.net.address("gateway", "to_internet", address + ("/64" if ":" in address else "/24"))
        self.addCleanup(self.net.run, "gateway", ["sh", "-c", "; ".join(
            f"ip address del {one}{'/64' if ':' in one else '/24'} dev to_internet" for one in EGRESS)])
        self.echo = UdpEcho(self.net, "internet", [INTERNET[0], "93.184.0.11", INTERNET[1]])
        self.addCleanup(self.echo.stop)

    def test_forwards_are_spread_and_answered_on_their_own_conid(self):
        """A client keeps its address towards one destination; clients and destinations are spread."""
        gateway = self.gateway(options={"egress_addresses": EGRESS})
        hosts = [INTERNET[0], "93.184.0.11", INTERNET[1]]
        used = set()
        for client in range(30):
            stream = self.client(gateway)
            payloads = {conid: b"eg" + bytes([client]) + conid.to_bytes(5, "big") for conid in range(30)}
            stream.write(b"".join(frame(conid, (hosts[conid % 3], self.echo.port), payload)
                                  for conid, payload in payloads.items()))
            got = stream.receive(len(payloads))
            self.assertEqual({one.conid: one.payload for one in got}, payloads)
            self.assertTrue(all(one.host == hosts[one.conid % 3] for one in got))
            used |= {self.echo.last_source(payload)[0] for payload in payloads.values()}
        self.assertEqual(used, set(EGRESS), "each address is used, and no other")

    def test_same_destination_many_times(self):
        stream = self.client(self.gateway(options={"egress_addresses": EGRESS[:1]}))
        payloads = {conid: b"sa" + conid.to_bytes(6, "big") for conid in range(200)}
        stream.write(b"".join(frame(conid, (INTERNET[0], self.echo.port), payload)
                              for conid, payload in payloads.items()))
        self.assertEqual({one.conid: one.payload for one in stream.receive(200)}, payloads)
        self.assertEqual(len({self.echo.last_source(payload) for payload in payloads.values()}), 200)


if __name__ == "__main__":
    main()
