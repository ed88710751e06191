#!/usr/bin/env python3
"""Tunnel, client and what stands between: five clients at once, as the reference tests itself, nginx, path MTU.

GATEHOUSE_ECHO_MIB=1024 makes each client's echo 1 GiB, as the reference has it; 64 MiB otherwise.
"""

import os
import re
import socket
import threading
import unittest

from harness import GATEWAY, INTERNET, DnsServer, answer, main, query
from harness.nginx import Nginx, why_missing
from harness.tls import Authority
from harness.tunnel_client import TunnelClient
from test_packet_tunnel_client import OUTSIDE, PORT, SERVER, ClientTest, TcpEcho, echo_through

CLIENTS = 5
ECHO = int(os.environ.get("GATEHOUSE_ECHO_MIB", "64")) << 20
PACKETS = "gatehouse_plugin_packet_tunnel_packets_total"
BYTES = "gatehouse_plugin_packet_tunnel_bytes_total"


class FiveClients(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for number in range(CLIENTS):
            cls.net.namespace(f"c{number}")
            cls.net.link(f"c{number}", [f"10.78.{number}.2/24"], "gateway", [f"10.78.{number}.1/24"])

    def echo_in_all(self, gateway, address, port):
        TcpEcho(self, address, port)
        clients = [TunnelClient(self, f"10.78.{number}.1:{PORT}", "--state-dir", f"/run/c{number}",
                                namespace=f"c{number}", dns=False) for number in range(CLIENTS)]
        for client in clients:
            client.connected()
        failures = []

        def echo(number):
            try:
                with self.net.connect(f"c{number}", address, port, timeout=60) as stream:
                    echo_through(stream, ECHO, self)
            except Exception as error:  # of a thread: told below
                failures.append(f"client {number}: {error!r}")

        # A thread has its own namespace while it connects, so they connect one after the other.
        connected = [threading.Thread(target=echo, args=(number,)) for number in range(CLIENTS)]
        for thread in connected:
            thread.start()
        for thread in connected:
            thread.join()
        self.assertEqual(failures, [])
        version = "6" if ":" in address else "4"
        for direction in ("up", "down"):
            carried = gateway.metric(BYTES, direction=direction, protocol="tcp", ip=version)
            packets = gateway.metric(PACKETS, direction=direction, protocol="tcp", ip=version)
            self.assertGreaterEqual(carried, CLIENTS * ECHO)
            self.assertGreaterEqual(packets, CLIENTS * ECHO / 1500)
        for client in clients:
            self.assertEqual(client.stop(), 0)
        self.assert_soon(lambda: gateway.text().count("client gone") == CLIENTS, "all are logged")
        for line in [line for line in gateway.text().splitlines() if "client gone" in line]:
            up = re.search(rf"tcp{version}_up=(\d+)/(\d+)/(\d+)", line)
            self.assertGreaterEqual(int(up[3]), ECHO, "application bytes, per session")
        sessions = gateway.json("sessions")["sessions"]
        self.assertGreaterEqual(sum(one["bytes_up"] for one in sessions), CLIENTS * ECHO)

    def test_every_byte_comes_back_over_ipv4(self):
        self.echo_in_all(self.start(), INTERNET[0], 5000)

    def test_every_byte_comes_back_over_ipv6(self):
        self.echo_in_all(self.start(), INTERNET[1], 5001)

    def test_a_name_is_answered_at_the_clients_own_dns_address(self):
        server = DnsServer(self.net, "internet", ["93.184.0.53"], {"www.example": [INTERNET[0]]})
        self.addCleanup(server.stop)
        self.start()
        client = TunnelClient(self, f"10.78.0.1:{PORT}", "--dns", "172.16.0.2", namespace="c0").connected()
        with self.net.socket("c0", socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(5)
            one.sendto(query("www.example"), ("172.16.0.2", 53))
            data, source = one.recvfrom(2048)
        self.assertEqual((source, answer(data).addresses), (("172.16.0.2", 53), [INTERNET[0]]))
        self.assertEqual(client.stop(), 0)


class Between(ClientTest):
    HTTP = """
      map $http_upgrade $connection_upgrade { default upgrade; '' close; }
      server {
        listen %(address)s:%(port)d ssl;
        ssl_certificate %(certificate)s; ssl_certificate_key %(key)s; ssl_protocols TLSv1.3;
        location /packet-tunnel {
          proxy_pass http://127.0.0.1:%(to)d;
          proxy_http_version 1.1; proxy_read_timeout 60s; proxy_buffering off;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
          proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
      }"""

    @unittest.skipIf(why_missing(), why_missing())
    def test_nginx_may_end_tls_before_it(self):
        authority = Authority("/run/tls-nginx")
        certificate, key = authority.issue("server")
        gateway = self.start(address="127.0.0.1:7401", trusted_proxies=["127.0.0.1"])
        front = 8443
        words = {"address": GATEWAY[0], "port": front, "to": 7401, "certificate": certificate, "key": key}
        server = Nginx(self.net, "gateway", "/run/nginx-tunnel", (GATEWAY[0], front), self.HTTP % words)
        self.addCleanup(server.stop)
        TcpEcho(self, port=5010)
        for more in (["--websocket"], []):
            client = self.tunnel(f"{GATEWAY[0]}:{front}", "--tls", "--ca", str(authority.certificate), "--server-name",
                                 "gate.example", *more, dns=False)
            self.assertEqual(self.source_of(), OUTSIDE[0])
            with self.net.connect("client", INTERNET[0], 5010) as stream:
                echo_through(stream, 8 << 20, self)
            sources = {one["source"].rsplit(":", 1)[0] for one in gateway.json("sessions")["sessions"]}
            self.assertIn("10.77.0.2", sources, "the client's address is known behind nginx")
            self.assertEqual(client.stop(), 0)

    def test_the_path_mtu_behind_the_gateway_is_learnt(self):
        """A narrow link: its router's error reaches the sender in the tunnel, and TCP has segments that fit."""
        for name, device in (("gateway", "to_internet"), ("internet", "to_gateway")):
            self.net.run(name, ["ip", "link", "set", device, "mtu", "1300"])
            self.addCleanup(self.net.run, name, ["ip", "link", "set", device, "mtu", "1500"])
        self.start()
        client = self.tunnel(SERVER, dns=False)
        for address, level, discover, mtu in ((INTERNET[0], socket.IPPROTO_IP, 10, 14),
                                              (INTERNET[1], socket.IPPROTO_IPV6, 23, 24)):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with self.net.socket("client", family, socket.SOCK_DGRAM) as one:
                one.setsockopt(level, discover, 2)  # IP_MTU_DISCOVER: never fragment here
                one.connect((address, self.echo.port))
                one.send(bytes(1400))

                def learnt():
                    try:
                        one.send(b"x")
                    except OSError:
                        pass
                    return one.getsockopt(level, mtu) == 1300

                self.assert_soon(learnt, f"the path to {address} is 1300 bytes")
        TcpEcho(self, port=5011)
        with self.net.connect("client", INTERNET[0], 5011) as stream:
            echo_through(stream, 4 << 20, self)
        self.assertEqual(client.stop(), 0)


del ClientTest  # its tests are another file's

if __name__ == "__main__":
    main()
