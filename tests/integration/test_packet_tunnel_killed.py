#!/usr/bin/env python3
"""A running TCP connection through the packet tunnel goes on over kill -9 of the gateway, both ways, byte for byte."""

import json
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import INTERNET, GatewayTest, main
from harness.gateway import SLOW
from harness.tunnel import CLIENT4, CLIENT6, Tunnel
from harness.tunnel_tcp import TunnelTcp
from test_packet_tunnel_client import SERVER, ClientTest

PORT = 7400
DOWN, UP = 6_000_000, 300_000
KILLS = 3


class Killed(GatewayTest):
    def open(self, session):
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        stream.settimeout(None)
        return Tunnel(stream, session)

    def connection_goes_on(self, client, remote):
        gateway = self.gateway(plugins={"packet-tunnel": {"listen": [{"address": f"127.0.0.1:{PORT}"}],
                                                          "options": {"dns_resolvers": ["93.184.0.53"]}}})
        listener = self.net.socket("internet", socket.AF_INET6 if ":" in remote else socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((remote, 8080))
        listener.listen()
        listener.settimeout(10)
        down, up = random.Random(1).randbytes(DOWN), random.Random(2).randbytes(UP)
        got = bytearray()

        def serve():
            peer, _ = listener.accept()
            peer.settimeout(60 * SLOW)
            with peer:
                sender = threading.Thread(target=peer.sendall, args=(down,))
                sender.start()
                while len(got) < UP and (chunk := peer.recv(65536)):
                    got.extend(chunk)
                sender.join()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        session = secrets.token_urlsafe(32)
        connection = TunnelTcp(self.open(session), client, remote, 6000, 8080)
        connection.send(up[:UP // (KILLS + 1)])
        longest, deadline = 0.0, time.monotonic() + 60 * SLOW
        for number in range(1, KILLS + 1):
            while len(connection.received) < DOWN * number // (KILLS + 1) and time.monotonic() < deadline:
                self.assertFalse(connection.was_reset, "the connection was reset")
                connection.pump(0.02)
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
            gateway.process.stdout.close()
            died = time.monotonic()
            gateway.start()
            connection.tunnel.close()
            connection.tunnel = self.open(session)
            self.assertTrue(connection.tunnel.resumed)
            before = len(connection.received)
            while len(connection.received) == before and time.monotonic() < deadline:
                connection.pump(0.02)
            longest = max(longest, time.monotonic() - died)
            connection.send(up[UP * number // (KILLS + 1):UP * (number + 1) // (KILLS + 1)])
        while (len(connection.received) < DOWN or len(got) < UP) and time.monotonic() < deadline:
            self.assertFalse(connection.was_reset, "the connection was reset")
            connection.pump(0.05)
        server.join(5)
        print(f"{remote}: {KILLS} times killed, the longest pause {longest:.2f} s", file=sys.stderr)
        self.assertEqual((len(connection.received), len(got)), (DOWN, UP))
        self.assertTrue(connection.received == down and got == up, "not one byte is another")

    def test_a_tcp_connection_goes_on_over_ipv4(self):
        self.connection_goes_on(CLIENT4, INTERNET[0])

    def test_a_tcp_connection_goes_on_over_ipv6(self):
        self.connection_goes_on(CLIENT6, INTERNET[1])


class KilledUnderIperf(ClientTest):
    """The kernel's own TCP at both ends, over the real client: what people run."""

    SECONDS = 6 * SLOW

    def measure(self, *words):
        gateway = self.start()
        client = self.tunnel(SERVER, dns=False)
        server = self.net.popen("internet", ["iperf3", "-s", "-1", "-B", INTERNET[0]], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL)
        self.addCleanup(end, server)
        self.assert_soon(lambda: ":5201" in self.net.run("internet", ["ss", "-Hltn"]).stdout, "iperf3 listens")
        asked = ["iperf3", "-c", INTERNET[0], "-t", str(self.SECONDS), "-J", *words]
        iperf = self.net.popen("client", asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.addCleanup(end, iperf)
        for number in range(1, KILLS + 1):
            time.sleep(self.SECONDS / (KILLS + 2))
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
            gateway.process.stdout.close()
            gateway.start()
            client.wait_for("session resumed", number)
        report = json.loads(iperf.communicate(timeout=self.SECONDS * 5)[0])
        self.assertNotIn("error", report)
        self.assertEqual(iperf.returncode, 0)
        received = report["end"]["sum_received"]
        seconds = [one["sum"]["bytes"] for one in report["intervals"] if one["sum"]["seconds"] > 0.5]
        still = seconds.count(0)
        print(f"{' '.join(words) or 'up'}: {received['bits_per_second'] / 1e9:.2f} Gbit/s over {KILLS} kills, "
              f"{still} of {len(seconds)} seconds with nothing", file=sys.stderr)
        self.assertGreater(received["bytes"], 100_000_000 // SLOW)
        self.assertLessEqual(still, KILLS)
        self.assertGreater(seconds[-1], 0, "it goes on after the last")

    def test_an_upload_goes_on(self):
        self.measure()

    def test_a_download_goes_on(self):
        self.measure("-R")


def end(process):
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


if __name__ == "__main__":
    main()
