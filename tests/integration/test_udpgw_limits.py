#!/usr/bin/env python3
"""At the end of descriptors and of ephemeral ports: old forwards are recycled, nothing spins, later opens work."""

import threading
import time

from harness import INTERNET, GatewayTest, UdpEcho, frame, main
from harness.gateway import SLOW

OPENS = 20000
CLIENTS = 4  # streams; a conid has 16 bits, and recycling must look across clients


class Limits(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", [INTERNET[0], "93.184.0.11", INTERNET[1]])
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)

    def open_all(self, gateway):
        """20,000 opens from several streams, every one answered or at least sent on; then the new ones must work."""
        streams = [self.client(gateway) for _ in range(CLIENTS)]
        answered = [0] * CLIENTS

        def work(index):
            stream, share = streams[index], OPENS // CLIENTS
            for at in range(0, share, 100):  # so few that no forward is recycled before its reply is back
                conids = range(at, min(at + 100, share))
                stream.write(b"".join(frame(conid, self.there, b"open") for conid in conids))
                answered[index] += len(stream.receive(len(conids), timeout=3.0))

        threads = [threading.Thread(target=work, args=(index,)) for index in range(CLIENTS)]
        start = time.monotonic()
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertLess(time.monotonic() - start, 60 * SLOW, f"{OPENS} opens")
        return streams, sum(answered)

    def afterwards(self, gateway, streams):
        """New and old conids, old and new streams work, each soon; and nothing turns in the background."""
        for stream in (*streams, self.client(gateway)):
            for conid in (60000, 17, 4999):
                self.works(stream, conid)
            got = stream.ask(60001, (INTERNET[1], self.echo.port), b"six", timeout=2)
            self.assertEqual(got and got.payload, b"six")
        self.assertLess(gateway.busy(2.0), 0.1 * SLOW, "share of a core when nothing happens")
        self.assertEqual(gateway.http("/livez")[0], 200)
        self.assertLess(len(gateway.log), 20000, "log lines")

    def works(self, stream, conid):
        """As any client of UDP does, it asks again when nothing comes."""
        answers = (stream.ask(conid, self.there, b"later", timeout=0.5) for _ in range(4))
        self.assertTrue(any(got and got.payload == b"later" for got in answers), f"conid {conid} after the flood")

    def fill(self, gateway, count):
        """One client opens as many forwards as there can be."""
        stream = self.client(gateway)
        for at in range(0, count, 100):
            stream.write(b"".join(frame(conid, self.there, b"fill") for conid in range(at, at + 100)))
            stream.receive(100, timeout=1)

    def test_4096_descriptors(self):
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0), nofile=4096, lanes=2)
        streams, answered = self.open_all(gateway)
        self.assertLess(gateway.udp_sockets(), 4096)
        self.assertGreater(gateway.udp_sockets(), 1800, "a lane's share is used")
        self.assertGreater(answered, OPENS * 0.99)
        self.afterwards(gateway, streams)

    def test_1000_ephemeral_ports(self):
        self.net.sysctl("gateway", "net.ipv4.ip_local_port_range", "20000 20999")
        self.addCleanup(self.net.sysctl, "gateway", "net.ipv4.ip_local_port_range", "32768 60999")
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0), lanes=2)
        streams, answered = self.open_all(gateway)
        self.assertLessEqual(gateway.udp_sockets(), 1000)
        self.assertGreater(gateway.udp_sockets(), 400, "a lane's share is used")
        self.assertGreater(answered, OPENS * 0.99)
        self.afterwards(gateway, streams)

    def test_recycling_takes_from_the_client_that_holds_the_most(self):
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0), nofile=600)
        small, big = self.client(gateway), self.client(gateway)
        for conid in range(10):
            self.assertIsNotNone(small.ask(conid, self.there, b"small-%02d" % conid))
        for at in range(0, 2000, 200):
            big.write(b"".join(frame(conid, self.there, b"big") for conid in range(at, at + 200)))
            big.receive(200, timeout=1)
        for conid in range(10):
            self.assertIsNotNone(small.ask(conid, self.there, b"again-%02d" % conid))
            self.assertEqual(self.echo.last_source(b"small-%02d" % conid), self.echo.last_source(b"again-%02d" % conid),
                             "the small client keeps its forwards")

    def test_clients_of_every_lane_get_descriptors(self):
        """One client, so one lane, holds all descriptors: clients of the other lanes are served all the same."""
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0), nofile=400, lanes=4)
        self.fill(gateway, 1000)
        for _ in range(12):
            self.works(self.client(gateway), 1)

    def test_clients_of_every_lane_get_ports(self):
        self.net.sysctl("gateway", "net.ipv4.ip_local_port_range", "20000 20199")
        self.addCleanup(self.net.sysctl, "gateway", "net.ipv4.ip_local_port_range", "32768 60999")
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0), lanes=4)
        self.fill(gateway, 500)
        for _ in range(12):
            self.works(self.client(gateway), 1)

    def test_accept_at_the_end_of_descriptors_does_not_spin(self):
        gateway = self.gateway(policy=lambda db: db.traffic(concurrent_flows=0), nofile=256)
        streams = []
        for _ in range(300):
            stream = gateway.udpgw()
            streams.append(stream)
            self.addCleanup(stream.close)
        self.assertLess(gateway.busy(2.0), 0.1 * SLOW, "share of a core with clients that cannot be served")
        self.assertLess(len(gateway.log), 2000, "log lines")
        for stream in streams:
            stream.close()

        def serves():
            with gateway.udpgw() as stream:
                got = stream.ask(1, self.there, b"served", timeout=0.5)
                return got is not None and got.payload == b"served"

        self.assert_soon(serves, "a new client is served once others have gone", 10)


if __name__ == "__main__":
    main()
