#!/usr/bin/env python3
"""Who may ask geneve-relay for endpoints, over TCP and TLS: with a certificate, with a token, how many.

The topology is harness/relay_case.py's. What clients share of the API: test_geneve_relay_limits.py.
"""

import http.client
import json
import socket
import ssl

from harness import GATEWAY, main
from harness.relay import Keys, RelayClient, ask
from harness.relay_case import API, OUTSIDE, PORT, RelayTest
from harness.tls import Authority

API_PORT = 7501
MOST = 3  # concurrent_sessions


class Https(http.client.HTTPConnection):
    """To the API, from the client's namespace, with TLS."""

    def __init__(self, net, context):
        super().__init__(GATEWAY[0], API_PORT, timeout=10)
        self._net, self._context = net, context

    def connect(self):
        plain = self._net.connect("client", self.host, self.port)
        self.sock = self._context.wrap_socket(plain, server_hostname="gate.example")


class Api(RelayTest):
    def setUp(self):
        self.authority = Authority(f"/run/relay-tls-{self.id().rsplit('.', 1)[1]}")
        self.strangers = Authority(f"/run/relay-tls-{self.id().rsplit('.', 1)[1]}-strangers")

    def serve(self, auth):
        """A relay whose API is at a TCP port of all addresses."""
        certificate, key = self.authority.issue("server")
        tls = {"certificate": certificate, "key": key, "client_ca": self.authority.certificate}

        def policy(db):
            db.insert("credentials", kind="cert", value="control.example", identity="cert:control")

        return self.relay(api={"address": f"0.0.0.0:{API_PORT}", "tls": tls, "auth": auth}, policy=policy)

    def shown(self, name, authority=None):
        """What TLS is like for a client with a certificate of that name: this authority's, or another one's."""
        return self.authority.context((authority or self.authority).issue(name.partition(".")[0], f"DNS:{name}"))

    def ask(self, context, left, right, **fields):
        """(status, text) of a request; 0 where TLS or the connection ends before there is one."""
        connection = Https(self.net, context)
        try:
            connection.request("POST", "/v0/relay/endpoint", json.dumps({"DiscoKeys": [str(left), str(right)]}), fields)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (ssl.SSLError, ConnectionError, http.client.BadStatusLine) as why:
            return 0, str(why)
        finally:
            connection.close()

    def test_a_certificate_that_a_row_names_gives_endpoints_and_no_other_does(self):
        gateway = self.serve("cert")
        a, b = RelayClient(self.net, "client", GATEWAY[0], PORT), RelayClient(self.net, "internet", OUTSIDE[0], PORT)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        refused = {"none": self.authority.context(), "of nobody's row": self.shown("other.example"),
                   "signed by a stranger": self.shown("control.example", self.strangers)}
        for what, context in refused.items():
            with self.subTest(what):
                status, text = self.ask(context, a.keys, b.keys)
                self.assertIn(status, (0, 401), text)
                self.assertEqual(gateway.json("sessions")["count"], 0)

        status, text = self.ask(self.shown("control.example"), a.keys, b.keys)
        self.assertEqual(status, 200, text)
        for client in (a, b):
            client.of(json.loads(text)).bind()
        self.assert_soon(lambda: self.carries(a, b), "data comes through")
        (session,) = gateway.json("sessions")["sessions"]
        self.assertEqual(session["identity"], "cert:control")

    def test_without_tls_nobody_is_heard(self):
        self.serve("cert")
        with self.net.socket("client", socket.AF_INET, socket.SOCK_STREAM) as plain:
            plain.settimeout(10)
            plain.connect((GATEWAY[0], API_PORT))
            plain.sendall(b"POST /v0/relay/endpoint HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 0\r\n\r\n")
            self.assertNotIn(b"HTTP", plain.recv(100))

    def test_a_token_or_a_certificate_is_enough_where_both_are_taken(self):
        gateway = self.serve(["token", "cert"])
        token = gateway.json("token", "new", "bob")["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        self.assertEqual(self.ask(self.shown("control.example"), Keys(), Keys())[0], 200)
        self.assertEqual(self.ask(self.authority.context(), Keys(), Keys(), Authorization=f"Bearer {token}")[0], 200)
        self.assertEqual(self.ask(self.authority.context(), Keys(), Keys(), Authorization="Bearer wrong")[0], 401)
        self.assertEqual(sorted(one["identity"] for one in gateway.json("sessions")["sessions"]),
                         ["cert:control", "token:bob"])

    def test_an_identity_has_as_many_endpoints_as_a_row_allows(self):
        """Others have theirs, who asks again for one that is there has it, and so has who may have more."""
        gateway = self.relay(api={"address": f"unix:{API}", "auth": "token"},
                             policy=lambda db: db.traffic(scope="identity", concurrent_sessions=MOST))
        tokens = {name: gateway.json("token", "new", name)["token"] for name in ("alice", "bob")}
        self.assert_soon(gateway.policy_in_force, "the tokens are in force")
        pairs = [(Keys(), Keys()) for _ in range(MOST + 1)]

        def asked(name, pair):
            body = json.dumps({"DiscoKeys": [str(key) for key in pair]})
            return ask(API, body, Authorization=f"Bearer {tokens[name]}")

        for pair in pairs[:MOST]:
            self.assertEqual(asked("bob", pair)[0], 200)
        status, headers, text = asked("bob", pairs[MOST])
        self.assertEqual(status, 429)
        self.assertRegex(text, r"you have as many endpoints as a traffic rule allows \(traffic_rules [0-9]+\)")
        self.assertIn("Retry-After", headers)
        self.assertEqual(gateway.metric("gatehouse_plugin_geneve_relay_allocations_refused_total", via="http",
                                        cause="limit"), 1)
        self.assertEqual(asked("bob", pairs[0])[0], 200, "one that is there")
        self.assertEqual(asked("alice", (Keys(), Keys()))[0], 200, "somebody else's")
        self.assertEqual(gateway.json("sessions")["count"], MOST + 1)

        gateway.policy.traffic(scope="identity", concurrent_sessions=MOST + 1)
        self.assert_soon(lambda: asked("bob", pairs[MOST])[0] == 200, "the row lets it have one more", timeout=2)


if __name__ == "__main__":
    main()
