#!/usr/bin/env python3
"""udpgw behind a real nginx, which ends TLS or lets it pass."""

import os
import unittest

from harness import GATEWAY, main
from harness.nginx import Nginx, why_missing
from harness.tls import Authority, Refused
from test_udpgw_http import PORT, HttpTest

FRONT = 8443  # of nginx


@unittest.skipIf(why_missing(), why_missing())
class BehindNginx(HttpTest):
    HTTP = """
      map $http_upgrade $connection_upgrade { default upgrade; '' close; }
      server {
        listen %(address)s:%(port)d ssl;
        ssl_certificate %(certificate)s; ssl_certificate_key %(key)s;
        location /udpgw {
          proxy_pass http://127.0.0.1:%(to)d;
          proxy_http_version 1.1; proxy_read_timeout 60s; proxy_buffering off;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
          proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
      }"""
    STREAM = "server { listen %(address)s:%(port)d; proxy_pass 127.0.0.1:%(to)d; proxy_protocol on; }"

    def setUp(self):
        super().setUp()
        folder = f"/run/tls-{self.id().rsplit('.', 1)[1]}"
        self.authority = Authority(folder)
        self.certificate, self.key = self.authority.issue("server")

    def nginx(self, http="", stream=""):
        words = {"address": GATEWAY[0], "port": FRONT, "to": PORT, "certificate": self.certificate, "key": self.key}
        server = Nginx(self.net, "gateway", f"/run/nginx-{self.id().rsplit('.', 1)[1]}", (GATEWAY[0], FRONT),
                       http % words, stream % words)
        self.addCleanup(server.stop)

    def through(self, **opening):
        """By TLS from the client's namespace, through nginx."""
        plain = self.net.connect("client", GATEWAY[0], FRONT)
        stream = self.authority.context().wrap_socket(plain, server_hostname="gate.example")
        self.addCleanup(stream.close)
        return self.opened(stream, **opening)

    def sources(self, gateway):
        return {session["source"].rsplit(":", 1)[0] for session in gateway.json("sessions")["sessions"]
                if session["ended_at"] is None}

    def test_tls_ends_in_nginx_and_the_clients_address_is_still_known(self):
        gateway = self.start(auth="token", trusted_proxies=["127.0.0.1"])
        token = self.token(gateway)
        self.nginx(http=self.HTTP)
        for upgrade in (None, "websocket"):
            stream = self.through(token=token, upgrade=upgrade)
            for size in (1, 1400, 20000):
                self.assert_echoes(stream, os.urandom(size))
            self.assertEqual(self.sources(gateway), {"10.77.0.2"})
            stream.close()
        with self.assertRaises(Refused) as refused:
            self.through(token="wrong")
        self.assertEqual(refused.exception.status, 401)

    def test_tls_passes_nginx_and_a_proxy_header_tells_the_address(self):
        gateway = self.start(auth="token", proxy_protocol=True, trusted_proxies=["127.0.0.0/8"],
                             tls={"certificate": self.certificate, "key": self.key})
        token = self.token(gateway)
        self.nginx(stream=self.STREAM)
        stream = self.through(token=token)
        self.assert_echoes(stream)
        self.assertEqual(self.sources(gateway), {"10.77.0.2"})


if __name__ == "__main__":
    main()
