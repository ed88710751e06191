#!/usr/bin/env python3
"""The packet tunnel's server by packets made by hand: openings, addresses, NAT, DNS, what is refused and how, resume."""

import contextlib
import json
import secrets
import signal
import socket
import sqlite3
import struct
import time

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, answer, eventually, main, query
from harness.tls import Authority
from harness.tunnel import (ACK, CLIENT4, CLIENT6, DNS4, DNS6, FIN, ICMP, ICMP6, PSH, RST, SYN, TCP, UDP, Refused,
                            Tunnel, echo_request, ip, tcp, udp, udp_body)

PORT = 7400


class TunnelTest(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", [*INTERNET, "93.184.0.11"])
        self.addCleanup(self.echo.stop)

    def start(self, policy=None, options=None, extra="", **plugin):
        options = {"dns_resolvers": ["93.184.0.53", "2a00:a::53"], **(options or {})}
        plugin = {"listen": [{"address": f"127.0.0.1:{PORT}"}], "options": options, **plugin}
        return self.gateway(policy=policy, plugins={"packet-tunnel": plugin}, extra=extra)

    def open(self, session=None, **opening):
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        return Tunnel(stream, session or secrets.token_urlsafe(32), **opening)

    def refusal(self, session=None, **opening):
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        with self.assertRaises(Refused) as refused:
            Tunnel(stream, session, **opening)
        return refused.exception

    def nft(self):
        return self.net.run("gateway", ["nft", "list", "ruleset"]).stdout

    def rejected(self, gateway, reason, direction="up"):
        return gateway.metric("gatehouse_plugin_packet_tunnel_packets_rejected_total", reason=reason,
                              direction=direction)

    def assert_echoes(self, tunnel, payload=b"hello", port=5000, client=CLIENT4, to=INTERNET[0]):
        tunnel.send(udp(client, to, port, self.echo.port, payload))
        got = tunnel.find(lambda one: one.protocol == UDP and one.ports == (self.echo.port, port))
        self.assertIsNotNone(got, "no echo came")
        self.assertEqual((got.source, got.destination, got.payload), (to, client, payload))
        self.assertTrue(got.sums_are_right())
        return got


class Openings(TunnelTest):
    def test_a_new_session_is_told_its_mtu(self):
        self.start()
        tunnel = self.open()
        self.assertEqual((tunnel.mtu, tunnel.resumed), (1500, False))

    def test_what_is_missing_or_malformed_is_told(self):
        self.start()
        for session, why in ((None, "missing"), ("short", "32 random"), ("x" * 65, "at most 64"), ("a b" * 12, "A-Z")):
            with self.subTest(session):
                refused = self.refusal(session)
                self.assertEqual(refused.status, 400)
                self.assertIn(why, json.loads(refused.body)["error"])
        self.assertEqual(self.refusal(secrets.token_urlsafe(32), plugin="udpgw").status, 404)

    def test_a_token_is_asked_for_and_makes_short_ids_do(self):
        gateway = self.start(listen=[{"address": f"127.0.0.1:{PORT}", "auth": "token"}])
        token = gateway.json("token", "new", "bob")["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        self.assertEqual(self.refusal("laptop").status, 401)
        self.assertEqual(self.refusal("laptop", token="x" * 40).status, 401)
        self.assert_echoes(self.open("laptop", token=token))
        session = next(one for one in gateway.json("sessions")["sessions"] if one["plugin"] == "packet-tunnel")
        self.assertEqual(session["identity"], "token:bob")

    def test_too_many_sessions_are_told_when_to_come_again(self):
        gateway = self.start(policy=lambda db: db.traffic("identity", concurrent_sessions=1),
                             listen=[{"address": f"127.0.0.1:{PORT}", "auth": "token"}])
        token = gateway.json("token", "new", "bob")["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        self.open("one", token=token)
        refused = self.refusal("two", token=token)
        self.assertEqual(refused.status, 429)
        self.assertIn("retry-after", refused.fields)


    def test_who_is_not_admitted_is_told(self):
        gateway = self.start(policy=lambda db: db.insert("admissions", plugin="packet-tunnel", action="deny"))
        refused = self.refusal(secrets.token_urlsafe(32))
        self.assertEqual((refused.status, json.loads(refused.body)), (403, {"error": "you may not use this gateway"}))
        self.assertEqual(gateway.json("leases")["leases"], [])
        self.assertEqual(gateway.metric("gatehouse_plugin_packet_tunnel_clients_refused_total", cause="admission"), 1)

    def test_where_addresses_are_in_doubt_new_clients_are_to_come_again(self):
        """As after a loss of the store's log: somebody may hold what seems to be free."""
        gateway = self.start()
        session = secrets.token_urlsafe(32)
        self.open(session)
        gateway.stop()
        with contextlib.closing(sqlite3.connect(gateway.state / "state.db")) as store, store:
            store.execute("UPDATE epoch SET unsure_until = ?", (int(time.time()) + 600,))
        gateway.start()
        refused = self.refusal(secrets.token_urlsafe(32))
        self.assertEqual((refused.status, refused.fields["retry-after"]), (503, "5"))
        self.assertIn(b"store gives no addresses", refused.body)
        self.assertTrue(self.open(session).resumed, "who had an address before has it still")

    def test_who_comes_while_the_gateway_drains_is_told_when_to_come_again(self):
        gateway = self.start()
        there = self.open()
        late = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(late.close)
        request = (f"GET /packet-tunnel HTTP/1.1\r\nHost: gate.example\r\nConnection: upgrade\r\n"
                   f"Upgrade: packet-tunnel\r\nSession-ID: {secrets.token_urlsafe(32)}\r\n\r\n").encode()
        late.sendall(request[:40])
        self.assertEqual(gateway.cli("drain").returncode, 0)
        self.assert_says(gateway, "draining")
        late.sendall(request[40:])
        answer = late.recv(65536)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertIn(b"retry-after: 5\r\n", answer.lower())
        refused = self.refusal(secrets.token_urlsafe(32))
        self.assertEqual((refused.status, refused.fields["retry-after"]), (503, "5"))
        self.assert_echoes(there)


class Traffic(TunnelTest):
    def test_udp_goes_both_ways_by_ipv4_and_ipv6(self):
        gateway = self.start()
        tunnel = self.open()
        self.assert_echoes(tunnel)
        self.assert_echoes(tunnel, client=CLIENT6, to=INTERNET[1])
        self.assertEqual(self.echo.last_source(b"hello")[0], "2a00:a::1", "NAT gives the gateway's own address")
        for size in (0, 1, 1400):
            self.assert_echoes(tunnel, payload=bytes(size), port=5001 + size)
        self.assertEqual(gateway.metric("gatehouse_plugin_packet_tunnel_packets_total", direction="up",
                                        protocol="udp", ip="4"), 4)

    def test_a_checksum_of_none_stays_none(self):
        self.start()
        tunnel = self.open()
        tunnel.send(udp(CLIENT4, INTERNET[0], 5000, self.echo.port, b"unsummed", sums=False))
        got = tunnel.receive()
        self.assertIsNotNone(got, "it was lost on the way")
        self.assertEqual(got.payload, b"unsummed")

    def test_fragments_go_both_ways(self):
        """A datagram of 3,000 bytes: the reference loses it."""
        self.start()
        for client, to in ((CLIENT4, INTERNET[0]), (CLIENT6, INTERNET[1])):
            with self.subTest(to):
                tunnel = self.open()
                payload = secrets.token_bytes(3000)
                body = udp_body(client, to, 5000, self.echo.port, payload)
                tunnel.send(*(ip(client, to, UDP, body[at:at + 1400], id=77, offset=at, more=at + 1400 < len(body))
                              for at in range(0, len(body), 1400)))
                back, end = {}, None
                while end is None or sum(map(len, back.values())) < end:
                    got = tunnel.receive()
                    self.assertIsNotNone(got, f"only {len(back)} fragments came")
                    self.assertTrue(got.sums_are_right())
                    back[got.offset] = got.body
                    if not got.more:
                        end = got.offset + len(got.body)
                whole = b"".join(back[at] for at in sorted(back))
                self.assertEqual(whole[8:], payload)
                self.assertEqual(whole[6:8], udp_body(to, client, self.echo.port, 5000, payload)[6:8])

    def test_a_later_fragment_without_its_first_is_refused(self):
        gateway = self.start()
        tunnel = self.open()
        tunnel.send(ip(CLIENT4, INTERNET[0], UDP, b"x" * 100, id=9, offset=1480))
        self.assert_echoes(tunnel)
        self.assertEqual(self.rejected(gateway, "no_first_fragment"), 1)

    def test_ping_is_answered(self):
        self.start()
        tunnel = self.open()
        for client, to, kind, reply in ((CLIENT4, INTERNET[0], ICMP, 0), (CLIENT6, INTERNET[1], ICMP6, 129)):
            tunnel.send(echo_request(client, to, 0x4711, 1, b"are you there"))
            got = tunnel.receive()
            self.assertIsNotNone(got, f"no answer of {to}")
            self.assertEqual((got.protocol, got.source, got.destination, got.body[0]), (kind, to, client, reply))
            self.assertEqual(got.body[4:8], struct.pack(">HH", 0x4711, 1))
            self.assertTrue(got.sums_are_right())

    def test_ping_needs_a_permit(self):
        gateway = self.start(policy=lambda db: db.insert("port_permits", transport="icmp", action="deny", priority=1))
        tunnel = self.open()
        tunnel.send(echo_request(CLIENT4, INTERNET[0], 1, 1))
        self.assert_echoes(tunnel)
        self.assertEqual(self.rejected(gateway, "disallowed_icmp"), 1)

    def test_an_icmp_error_about_a_flow_reaches_the_client(self):
        """Port unreachable: the quoted packet is the client's own, with its own address and right sums."""
        self.start()
        tunnel = self.open()
        for client, to, kind, unreachable in ((CLIENT4, INTERNET[0], ICMP, (3, 3)), (CLIENT6, INTERNET[1], ICMP6, (1, 4))):
            sent = udp(client, to, 5000, 9999, b"nobody is there")
            tunnel.send(sent)
            got = tunnel.receive()
            self.assertIsNotNone(got, f"no error of {to}")
            self.assertEqual((got.protocol, got.source, got.destination, *got.body[:2]), (kind, to, client, *unreachable))
            self.assertTrue(got.sums_are_right())
            quoted = got.body[8:]
            if kind == ICMP:  # but for the TTL, and the header's sum that covers it
                self.assertEqual(quoted[12:36], sent[12:36])
            else:
                self.assertEqual(quoted[8:], sent[8:])

    def test_tcp_connects(self):
        self.start()
        server = self.net.socket("internet", socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(server.close)
        server.bind((INTERNET[0], 8080))
        server.listen()
        tunnel = self.open()
        tunnel.send(tcp(CLIENT4, INTERNET[0], 6000, 8080, 100, 0, SYN))
        got = tunnel.receive()
        self.assertEqual((got.flags, got.ack), (SYN | ACK, 101))
        tunnel.send(tcp(CLIENT4, INTERNET[0], 6000, 8080, 101, got.seq + 1, ACK | PSH, b"question"))
        peer, source = server.accept()
        self.addCleanup(peer.close)
        self.assertEqual(source[0], "93.184.0.1")
        self.assertEqual(peer.recv(100), b"question")
        peer.sendall(b"answer")
        got = tunnel.find(lambda one: one.protocol == TCP and one.payload)
        self.assertEqual(got.payload, b"answer")

    def test_a_name_is_asked_for_at_the_transparent_address(self):
        server = DnsServer(self.net, "internet", ["93.184.0.53", "2a00:a::53"], {"good.example": ["93.184.0.10"]})
        self.addCleanup(server.stop)
        self.start()
        tunnel = self.open()
        for client, to in ((CLIENT4, DNS4), (CLIENT6, DNS6)):
            tunnel.send(udp(client, to, 5353, 53, query("good.example")))
            got = tunnel.receive()
            self.assertIsNotNone(got, f"no answer of {to}")
            self.assertEqual((got.source, got.destination, got.ports), (to, client, (53, 5353)))
            self.assertEqual(answer(got.payload).addresses, ["93.184.0.10"])
            self.assertTrue(got.sums_are_right())
        # Whoever asks the resolver itself is answered by it: the reference loses that.
        tunnel.send(udp(CLIENT4, "93.184.0.53", 5354, 53, query("good.example")))
        self.assertEqual(tunnel.receive().source, "93.184.0.53")

    def test_the_client_is_followed_to_another_address(self):
        self.start()
        session = secrets.token_urlsafe(32)
        self.assert_echoes(self.open(session))
        tunnel = self.open(session)
        self.assertTrue(tunnel.resumed)
        self.assert_echoes(tunnel, client="172.16.0.9")


class Transports(TunnelTest):
    def test_a_session_goes_to_its_lane_with_its_tls(self):
        """Every stream is accepted by whichever lane comes first; TLS goes on where the session lives."""
        authority = Authority("/run/tunnel-tls")
        certificate, key = map(str, authority.issue("server"))
        gateway = self.start(lanes=2, listen=[{"address": f"127.0.0.1:{PORT}",
                                               "tls": {"certificate": certificate, "key": key}}])
        sessions = [secrets.token_urlsafe(32) for _ in range(8)]
        for turn in range(4):
            tunnels = []
            for session in sessions:
                plain = self.net.connect("gateway", "127.0.0.1", PORT)
                stream = authority.context().wrap_socket(plain, server_hostname="gate.example")
                self.addCleanup(stream.close)
                tunnels.append(Tunnel(stream, session))
            for at, tunnel in enumerate(tunnels):
                self.assertEqual(tunnel.resumed, turn > 0)
                self.assert_echoes(tunnel, payload=secrets.token_bytes(1400), port=5000 + at)
        self.assertEqual(gateway.metric("gatehouse_plugin_packet_tunnel_sessions_opened_total"), len(sessions))

    def test_a_certificate_gives_the_identity_that_a_session_is_of(self):
        authority = Authority("/run/tunnel-certificates")
        certificate, key = map(str, authority.issue("server"))
        shown = {name: authority.issue(name, f"DNS:{name}.example") for name in ("bob", "eve")}

        def policy(db):
            for name in shown:
                db.insert("credentials", kind="cert", value=f"{name}.example", identity=f"cert:{name}")

        gateway = self.start(policy=policy, listen=[{"address": f"127.0.0.1:{PORT}", "auth": "cert", "tls": {
            "certificate": certificate, "key": key, "client_ca": str(authority.certificate)}}])

        def come(name):
            plain = self.net.connect("gateway", "127.0.0.1", PORT)
            stream = authority.context(shown[name]).wrap_socket(plain, server_hostname="gate.example")
            self.addCleanup(stream.close)
            return Tunnel(stream, "laptop")

        self.assertEqual([come(name).resumed for name in ("bob", "eve", "bob", "eve")], [False, False, True, True])
        self.assertEqual({one["identity"] for one in gateway.json("sessions")["sessions"]}, {"cert:bob", "cert:eve"})
        self.assert_echoes(come("bob"))

    def test_a_unix_socket_gives_the_user_as_identity(self):
        gateway = self.start(listen=[{"address": "unix:/run/tunnel.sock", "auth": "unix"}])
        stream = socket.socket(socket.AF_UNIX)
        self.addCleanup(stream.close)
        stream.connect("/run/tunnel.sock")
        self.assert_echoes(Tunnel(stream, "mine"))
        session = lambda: next(one for one in gateway.json("sessions")["sessions"] if one["plugin"] == "packet-tunnel")
        self.assertTrue(session()["identity"].startswith("unix:"))
        self.assert_soon(lambda: "1 flows" in session()["state"], "people are told of its flows")


class Sessions(TunnelTest):
    def test_people_see_what_a_session_carries_by_protocol(self):
        gateway = self.start()
        session = secrets.token_urlsafe(32)
        tunnel = self.open(session)
        for _ in range(3):
            self.assert_echoes(tunnel)
        self.assert_echoes(tunnel, client=CLIENT6, to=INTERNET[1])
        tunnel.send(echo_request(CLIENT4, INTERNET[0], 7, 1))
        self.assertIsNotNone(tunnel.find(lambda one: one.protocol == ICMP))
        tunnel.send(udp(CLIENT4, "127.0.0.1", 5000, 80, b"x"))
        counts = lambda: gateway.json("sessions")["sessions"][0]["counts"]  # noqa: E731
        wanted = {"udp4_up_packets": 3, "udp4_up_bytes": 3 * 33, "udp6_up_packets": 1, "udp6_up_bytes": 53,
                  "icmp4_up_packets": 1, "icmp4_up_bytes": 32, "udp4_up_application_bytes": 3 * 5,
                  "udp6_up_application_bytes": 5, "icmp4_up_application_bytes": 4}
        wanted |= {name.replace("up", "down"): count for name, count in wanted.items()}
        wanted["refused_up_invalid_destination_address"] = 1
        self.assert_soon(lambda: counts() == wanted, "all of it")
        self.assertIn("packets refused: 1 up, 0 down", gateway.json("sessions")["sessions"][0]["state"])
        tunnel.stream.close()
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_packet_tunnel_clients") == 0, "it is gone")
        self.assertEqual(counts(), wanted, "as long as the session waits")
        self.assert_echoes(self.open(session))
        self.assert_soon(lambda: counts()["udp4_up_packets"] == 4, "and when its client has come again")


class Refusals(TunnelTest):
    def test_what_a_client_may_not_reach_is_refused_at_once(self):
        gateway = self.start(policy=lambda db: db.insert("port_permits", transport="any", ports="25", action="deny",
                                                         priority=1))
        tunnel = self.open()
        tunnel.send(tcp(CLIENT4, INTERNET[0], 6000, 25, 100, 0, SYN))
        got = tunnel.receive()
        self.assertEqual((got.protocol, got.source, got.ports, got.flags, got.ack), (TCP, INTERNET[0], (25, 6000),
                                                                                    RST | ACK, 101))
        self.assertTrue(got.sums_are_right())
        tunnel.send(udp(CLIENT4, INTERNET[0], 6000, 25, b"x"))
        got = tunnel.receive()
        self.assertEqual((got.protocol, *got.body[:2]), (ICMP, 3, 13))
        self.assertTrue(got.sums_are_right())
        tunnel.send(udp(CLIENT6, INTERNET[1], 6000, 25, b"x"))
        got = tunnel.receive()
        self.assertEqual((got.protocol, *got.body[:2]), (ICMP6, 1, 1))
        self.assertTrue(got.sums_are_right())
        self.assertEqual(self.rejected(gateway, "disallowed_udp_destination_port"), 2)

    def test_denials_are_silent_where_that_is_asked_for(self):
        self.start(policy=lambda db: db.insert("port_permits", transport="any", ports="25", action="deny", priority=1),
                   options={"denied_answer": "drop"})
        tunnel = self.open()
        tunnel.send(tcp(CLIENT4, INTERNET[0], 6000, 25, 100, 0, SYN))
        self.assertIsNone(tunnel.receive(0.3))

    def test_nobody_reaches_another_client_or_the_gateway(self):
        """Whatever rows say: addresses of the tunnel are no destinations."""
        gateway = self.start(policy=lambda db: db.insert("port_permits", destination="100.64.0.0/10",
                                                                         priority=1))
        self.assert_says(gateway, "ipv4=100.64.0.0/10")
        tunnel = self.open()
        refused = ["100.64.0.1", "100.72.52.87", "127.0.0.1", "93.184.0.1", "224.0.0.251", "255.255.255.255", "169.254.1.1",
                   "169.254.169.254"]
        for to in refused:
            tunnel.send(udp(CLIENT4, to, 5000, 80, b"x"))
        tunnel.send(udp(CLIENT6, "fd19:ca83:e6d5:1c44::99", 5000, 80, b"x"))
        self.assert_echoes(tunnel)
        self.assertEqual(self.rejected(gateway, "invalid_destination_address"), len(refused) + 1)

    def test_malformed_packets_are_counted_by_what_is_wrong(self):
        gateway = self.start()
        tunnel = self.open()
        good = tcp(CLIENT4, INTERNET[0], 6000, 80, 1, 0, SYN)
        offset_zero = bytearray(good)
        offset_zero[32] = 0
        tunnel.send(b"", b"\x55\0\0\0", good[:19], good + b"dead", b"\x46" + good[1:], bytes(offset_zero),
                    good[:37], udp(CLIENT4, INTERNET[0], 5000, 0, b"x"), ip(CLIENT4, INTERNET[0], 47, b"gre" * 10))
        self.assert_echoes(tunnel)
        for reason, count in (("invalid_ip_packet_length", 3), ("invalid_ip_header_version", 1),
                              ("invalid_ip_header_options", 1), ("invalid_tcp_packet_length", 2),
                              ("disallowed_udp_destination_port", 1), ("invalid_ip_header_protocol", 1)):
            self.assertEqual(self.rejected(gateway, reason), count, reason)

    def test_a_packet_longer_than_the_mtu_ends_the_stream_and_not_the_session(self):
        gateway = self.start()
        session = secrets.token_urlsafe(32)
        tunnel = self.open(session)
        tunnel.send(bytes(1501))
        self.assertTrue(tunnel.has_ended())
        self.assertTrue(self.open(session).resumed)
        self.assert_says(gateway, "longer than the tunnel's MTU")

    def test_a_blocked_name_is_answered_over_udp_and_reset_over_tcp(self):
        gateway = self.start(policy=lambda db: db.insert("domain_rules", domain="blocked.example"))
        tunnel = self.open()
        tunnel.send(udp(CLIENT4, DNS4, 5353, 53, query("www.blocked.example")))
        got = tunnel.receive()
        self.assertEqual((got.source, got.ports, answer(got.payload).rcode), (DNS4, (53, 5353), 3))
        self.assertTrue(got.sums_are_right())
        tunnel.send(udp(CLIENT4, "93.184.0.54", 5354, 53, query("blocked.example")))
        self.assertEqual(tunnel.receive().source, "93.184.0.54", "queries to any resolver are judged")
        question = query("blocked.example")
        framed = struct.pack(">H", len(question)) + question
        tunnel.send(tcp(CLIENT4, DNS4, 6000, 53, 1, 1, ACK | PSH, framed))
        got = tunnel.receive()
        self.assertEqual((got.protocol, got.flags & RST), (TCP, RST))
        tunnel.send(tcp(CLIENT4, DNS4, 6001, 53, 1, 1, ACK | PSH, framed[:20]))
        self.assertEqual(tunnel.receive().flags & RST, RST)
        self.assertEqual(self.rejected(gateway, "split_dns_message"), 1)
        self.assertEqual(self.rejected(gateway, "disallowed_domain"), 3)

    def test_a_new_row_cuts_a_running_flow(self):
        gateway = self.start()
        tunnel = self.open()
        self.assert_echoes(tunnel)
        gateway.policy.insert("port_permits", transport="udp", ports=str(self.echo.port), action="deny", priority=1)
        self.assert_soon(gateway.policy_in_force, "the row is in force")
        self.echo.send(INTERNET[0], self.echo.last_source(b"hello"), b"late")
        tunnel.send(udp(CLIENT4, INTERNET[0], 5000, self.echo.port, b"more"))
        got = tunnel.receive()
        self.assertEqual((got.protocol, *got.body[:2]), (ICMP, 3, 13))
        self.assertIsNone(tunnel.receive(0.3))


class Life(TunnelTest):
    def test_nothing_is_left_on_the_host(self):
        before = self.nft()
        gateway = self.start()
        self.assertIn("masquerade", self.nft())
        self.assertIn("gatehouse0", self.net.run("gateway", ["ip", "link"]).stdout)
        gateway.stop()
        self.assertEqual(self.nft(), before)
        self.assertNotIn("gatehouse0", self.net.run("gateway", ["ip", "link"]).stdout)

    def test_a_session_survives_kill_9_with_its_address(self):
        gateway = self.start()
        session = secrets.token_urlsafe(32)
        self.assert_echoes(self.open(session), port=5000)
        source = self.echo.last_source(b"hello")
        lease = gateway.json("leases")["leases"][0]["resource"]
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        self.assertIn("gatehouse0", self.net.run("gateway", ["ip", "link"]).stdout, "the device stays")
        gateway.process.stdout.close()
        gateway.start()
        tunnel = self.open(session)
        self.assertTrue(tunnel.resumed)
        self.assertEqual(gateway.json("leases")["leases"][0]["resource"], lease)
        # The remote end goes on, before the client has said anything: NAT and the client's address are remembered.
        self.echo.send(INTERNET[0], source, b"still there?")
        got = tunnel.receive()
        self.assertIsNotNone(got, "what the kernel knew of the flow is lost")
        self.assertEqual((got.destination, got.payload), (CLIENT4, b"still there?"))

    def test_sessions_find_their_lane_when_there_are_others_after_a_restart(self):
        gateway = self.start(lanes=4)
        sessions = [secrets.token_urlsafe(32) for _ in range(12)]
        leases = lambda: sorted(one["resource"] for one in gateway.json("leases")["leases"])  # noqa: E731
        for session in sessions:
            self.open(session)
        before = leases()
        for lanes in (3, 1, 2):
            gateway.stop()
            gateway.drop_in(f"[plugin.packet-tunnel]\nlanes = {lanes}\n")
            gateway.start()
            for at, session in enumerate(sessions):
                tunnel = self.open(session)
                self.assertTrue(tunnel.resumed)
                self.assert_echoes(tunnel, payload=b"lane%d" % at, port=5000 + at)
            self.assertEqual(leases(), before, f"with {lanes} lanes")

    def test_a_session_that_gets_other_addresses_is_not_called_resumed(self):
        """Nothing that its client had running goes on."""
        gateway = self.start(options={"ipv4_prefix": "10.200.0.0/24"})
        session = secrets.token_urlsafe(32)
        self.open(session)
        for prefix, resumed in (("10.201.0.0/24", False), ("10.201.0.0/24", True), ("11.201.0.0/24", False)):
            gateway.stop()
            gateway.drop_in(f'[plugin.packet-tunnel.options]\nipv4_prefix = "{prefix}"\n')
            gateway.start()
            tunnel = self.open(session)
            self.assertEqual(tunnel.resumed, resumed, prefix)
            self.assert_echoes(tunnel)
            leases = [one["resource"] for one in gateway.json("leases")["leases"]]
            self.assertEqual([one.rpartition(".")[0] for one in leases], [prefix.rpartition(".")[0]])

    def test_a_second_client_with_the_same_id_replaces_the_first(self):
        self.start()
        session = secrets.token_urlsafe(32)
        first = self.open(session)
        self.assert_echoes(first)
        second = self.open(session)
        self.assertTrue(second.resumed)
        self.assertTrue(first.has_ended())
        self.assert_echoes(second)

    def test_a_session_without_its_client_ends_after_its_time(self):
        gateway = self.start(policy=lambda db: db.traffic(session_idle_seconds=1))
        session = secrets.token_urlsafe(32)
        tunnel = self.open(session)
        self.assert_echoes(tunnel)
        time.sleep(3)
        self.assert_echoes(tunnel)  # a live one is not reaped, however quiet it was
        tunnel.close()
        self.assert_soon(lambda: not gateway.json("leases")["leases"], "its address is free again", timeout=20)
        self.assertFalse(self.open(session).resumed)

    def test_a_lease_outlives_its_disabled_protocol_until_its_time(self):
        gateway = self.start(policy=lambda db: db.traffic(session_idle_seconds=12))
        session = secrets.token_urlsafe(32)

        def leases():
            return [one["resource"] for one in gateway.json("leases")["leases"]]

        def switch(verb):
            done = gateway.cli("plugin", verb, "packet-tunnel")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

        def leave(tunnel):
            tunnel.close()
            switch("disable")
            self.assert_soon(lambda: gateway.json("status")["plugins"] == [], "it has left", 12)
            self.assertEqual(leases(), held)

        tunnel = self.open(session)
        self.assert_echoes(tunnel)
        held = leases()
        self.assertEqual(len(held), 1)
        leave(tunnel)
        switch("enable")
        tunnel = self.open(session)
        self.assertTrue(tunnel.resumed)
        self.assert_echoes(tunnel)
        leave(tunnel)
        self.assert_soon(lambda: not leases(), "its time is over, though nobody serves it", timeout=30)
        switch("enable")
        self.assertFalse(self.open(session).resumed)

    def test_lanes_share_the_work_and_a_session_keeps_its_own(self):
        self.start(lanes=2)
        sessions = [secrets.token_urlsafe(32) for _ in range(12)]
        for _ in range(3):
            tunnels = [self.open(session) for session in sessions]
            for at, tunnel in enumerate(tunnels):
                self.assert_echoes(tunnel, payload=b"lane%d" % at, port=5000 + at)
        self.assertTrue(all(tunnel.resumed for tunnel in tunnels))


if __name__ == "__main__":
    main()
