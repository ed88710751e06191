#!/usr/bin/env python3
"""What geneve-relay's clients share: room, which status tells of; a token's endpoints; the proxy in front of its API.

      client                        gateway                              internet
    10.77.0.2, fd77::2  --------  10.77.0.1, fd77::1
                                  93.184.0.1, 2a00:a::1  ----------  93.184.0.10, 2a00:a::10
"""

import http.client
import json
import socket

from harness import GATEWAY, GatewayTest, main
from harness.relay import Keys, RelayClient, ask

PORT, API_PORT = 7500, 7501
API = "/run/relay-limits.sock"
CLIENT, OUTSIDE = "10.77.0.2", "93.184.0.1"
BURST, RATE = 1000, 100  # openings of one source, at once and a second (StreamListeners)


def request():
    return json.dumps({"DiscoKeys": [str(Keys()), str(Keys())]})


class Proxied(http.client.HTTPConnection):
    """To the API, from the client's namespace, which is a proxy for others."""

    def __init__(self, net, token):
        super().__init__(GATEWAY[0], API_PORT, timeout=10)
        self._net, self._token = net, token

    def connect(self):
        self.sock = self._net.socket("client", socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))

    def status(self, of):
        """Of a request that names `of`; None: the connection was closed without a word."""
        fields = {"Authorization": f"Bearer {self._token}"}
        if of:
            fields["X-Forwarded-For"] = of
        try:
            self.request("POST", "/nothing", "", fields)
            answer = self.getresponse()
            answer.read()
            return answer.status
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            return None


class Limits(GatewayTest):
    def relay(self, api=f"unix:{API}", policy=None, **options):
        table = {"listen": [f"udp:0.0.0.0:{PORT}", f"udp:[::]:{PORT}"], "listen_api": [api], "lanes": 1,
                 "options": options}
        return self.gateway(plugins={"geneve-relay": table}, policy=policy)

    def token(self, gateway, name):
        token = gateway.json("token", "new", name)["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        return token

    def metric(self, gateway, name, **labels):
        return gateway.metric("gatehouse_plugin_geneve_relay_" + name, **labels)

    def test_status_says_that_it_is_full(self):
        gateway = self.relay(most_endpoints=1)
        self.assertEqual(ask(API, request())[0], 200)
        self.assertEqual(gateway.json("status")["state"], "ok")
        status, headers, _ = ask(API, request())
        self.assertEqual(status, 503)
        self.assertIn("Retry-After", headers)
        self.assert_soon(lambda: gateway.json("status")["state"] == "degraded", "it is degraded")
        self.assertIn("most_endpoints", gateway.json("status")["reasons"][0])
        self.assert_soon(lambda: gateway.json("status")["state"] == "ok", "it was", timeout=20)

    def test_one_identity_does_not_keep_others_out(self):
        gateway = self.relay(api={"address": f"unix:{API}", "auth": "token"}, most_endpoints=20)
        greedy, bob = (self.token(gateway, name) for name in ("greedy", "bob"))
        for _ in range(20):
            self.assertEqual(ask(API, request(), Authorization=f"Bearer {greedy}")[0], 200)
        self.assertEqual(ask(API, request(), Authorization=f"Bearer {greedy}")[0], 503)
        for _ in range(10):
            self.assertEqual(ask(API, request(), Authorization=f"Bearer {bob}")[0], 200)
        self.assertEqual(ask(API, request(), Authorization=f"Bearer {bob}")[0], 503)
        self.assertEqual(self.metric(gateway, "displaced_total"), 10)

    def test_what_a_revoked_token_had_is_cut_at_once(self):
        gateway = self.relay(api={"address": f"unix:{API}", "auth": "token"})
        token = self.token(gateway, "bob")
        a, b = RelayClient(self.net, "client", GATEWAY[0], PORT), RelayClient(self.net, "internet", OUTSIDE, PORT)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        keys = json.dumps({"DiscoKeys": [str(a.keys), str(b.keys)]})
        status, _, text = ask(API, keys, Authorization=f"Bearer {token}")
        self.assertEqual(status, 200, text)
        for client in (a, b):
            client.of(json.loads(text)).bind()
        self.assert_soon(lambda: self.carries(a, b), "data comes through")
        self.assertEqual(gateway.json("token", "revoke", "bob", "--cut")["ended_sessions"], 1)
        a.send(b"too late")
        self.assertFalse(b.hears(b"too late"))
        self.assertEqual(self.metric(gateway, "drops_total", cause="ended"), 1)

    @staticmethod
    def carries(a, b):
        a.send(b"through")
        return b.hears(b"through")

    def test_a_proxys_clients_are_bounded_each_and_not_together(self):
        gateway = self.relay(api={"address": f"{GATEWAY[0]}:{API_PORT}", "auth": "token", "trusted_proxies": [CLIENT]})
        proxy = Proxied(self.net, self.token(gateway, "control"))
        self.addCleanup(proxy.close)
        for number in range(2 * BURST):
            self.assertEqual(proxy.status(f"192.0.{2 + number // 250}.{number % 250}"), 404, number)
        for number in range(BURST // 2):
            self.assertEqual(proxy.status(None), 404, "the proxy for itself")
        refused = next((number for number in range(20 * BURST) if proxy.status("203.0.113.1") is None), None)
        self.assertIsNotNone(refused)
        self.assertGreaterEqual(refused, BURST)
        self.assertEqual(self.metric(gateway, "openings_refused_total", cause="too_fast"), 1)
        self.assertEqual(proxy.status("203.0.113.2"), 404)


if __name__ == "__main__":
    main()
