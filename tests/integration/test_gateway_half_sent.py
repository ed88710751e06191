#!/usr/bin/env python3
"""Clients that begin requests and never end them hide neither health, nor metrics, nor the control socket.

    gateway namespace:  attacker (64 half-sent requests, always made anew) --> 127.0.0.1:9477, control.sock
                        monitoring, `gatehouse status`                     --> the same
"""

import socket

from harness import GatewayTest, main
from harness.gateway import METRICS

PLACES = 64  # as many connections as the server takes at once
ASKED = 48


class HalfSent(GatewayTest):
    def test_health_and_metrics_are_answered(self):
        gateway = self.gateway()
        answered = 0
        for round in range(ASKED // 3):
            held = [self.net.connect("gateway", *METRICS, timeout=5) for _ in range(PLACES)]
            for i, one in enumerate(held):
                one.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n" if i % 2 else b"")
            answered += sum(gateway.http(path)[0] == 200 for path in ("/livez", "/readyz", "/metrics"))
            for one in held:
                one.close()
        self.assertEqual(answered, ASKED)

    def test_status_is_answered(self):
        gateway = self.gateway()
        held = []
        for _ in range(PLACES):
            one = socket.socket(socket.AF_UNIX)
            self.addCleanup(one.close)
            one.connect(str(gateway.runtime / "control.sock"))
            one.sendall(b"POST /v1/reload HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
            held.append(one)
        self.assertEqual(gateway.json("status")["state"], "ok")
        self.assertEqual(gateway.cli("reload").returncode, 0)

    def test_metrics_are_told_to_own_names_only(self):
        gateway = self.gateway(start=False)
        gateway.drop_in('[metrics]\nhosts = ["gateway.example"]\n')
        gateway.start()
        for host, status in (("127.0.0.1:9477", b"200"), ("localhost", b"200"), ("gateway.example", b"200"),
                             ("rebound.example:9477", b"421")):
            with self.net.connect("gateway", *METRICS, timeout=5) as connection:
                connection.sendall(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                self.assertEqual(connection.recv(65536).split()[1], status, host)


if __name__ == "__main__":
    main()
