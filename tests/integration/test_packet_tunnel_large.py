#!/usr/bin/env python3
"""Large frames: how they are agreed on, super-packets both ways by hand and by gatehouse-tunnel, and hostile ones."""

import os
import random
import secrets
import signal
import socket
import struct
import threading

from harness import INTERNET, UdpEcho, main
from harness.gateway import SLOW
from harness.tunnel import (ACK, CLIENT4, CLIENT6, DNS4, ICMP, PSH, RST, SYN, TCP, UDP, ip, large_frame, summed, tcp,
                            udp, udp_body)
from harness.tunnel_tcp import TunnelTcp
from test_packet_tunnel import PORT, TunnelTest
from test_packet_tunnel_client import SERVER, ClientTest, TcpEcho, echo_through

PLUGIN = "gatehouse_plugin_packet_tunnel"
LARGE = "large-frames"


class Agreement(TunnelTest):
    def test_it_holds_where_both_ends_name_it(self):
        self.start()
        for asked in (LARGE, f"later, {LARGE}", f"{LARGE} ,later,"):
            with self.subTest(asked):
                tunnel = self.open(features=asked)
                self.assertEqual(tunnel.fields["tunnel-features"], LARGE)
                self.assert_echoes(tunnel)

    def test_it_holds_for_nobody_else(self):
        self.start()
        for asked in (None, "", "later", "Large-Frames", "x" * 4000, "," * 4000):
            with self.subTest(asked):
                tunnel = self.open(features=asked)
                self.assertNotIn("tunnel-features", tunnel.fields)
                tunnel.send(b"")  # of the plain form: an empty packet, and what follows is a frame
                self.assert_echoes(tunnel)

    def test_a_server_may_leave_it(self):
        self.start(options={"large_frames": False})
        self.assertNotIn("tunnel-features", self.open(features=LARGE).fields)

    def test_a_client_that_comes_again_asks_again(self):
        self.start()
        session = secrets.token_urlsafe(32)
        for asked in (LARGE, None, LARGE):
            tunnel = self.open(session, features=asked)
            self.assertEqual(tunnel.is_large, asked is not None)
            self.assert_echoes(tunnel)


class ByHand(TunnelTest):
    def carried(self, gateway, what, direction, protocol="udp", version="4"):
        return gateway.metric(f"{PLUGIN}_{what}_total", direction=direction, protocol=protocol, ip=version)

    def test_a_super_packet_of_udp_arrives_as_its_datagrams(self):
        gateway = self.start()
        tunnel = self.open(features=LARGE)
        for client, to, version, headers in ((CLIENT4, INTERNET[0], "4", 28), (CLIENT6, INTERNET[1], "6", 48)):
            with self.subTest(to):
                payload = secrets.token_bytes(5500)
                # Nobody believes the checksum.
                tunnel.send_large(udp(client, to, 5000, self.echo.port, payload, sums=False), segment=1000)
                got = b""
                while len(got) < len(payload):
                    packet = tunnel.receive()
                    self.assertIsNotNone(packet, f"only {len(got)} bytes came back")
                    self.assertTrue(packet.segment or packet.sums_are_right())
                    got += packet.payload
                self.assertEqual(got, payload)
                # As many packets and bytes as on the internet, which is what is charged, too.
                self.assertEqual(self.carried(gateway, "packets", "up", version=version), 6)
                self.assertEqual(self.carried(gateway, "bytes", "up", version=version), 5500 + 6 * headers)
                self.assertEqual(self.carried(gateway, "packets", "down", version=version), 6)

    def connection_carries_both_ways(self, client, remote):
        down, up = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(300_000)
        listener = self.net.socket("internet", socket.AF_INET6 if ":" in remote else socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind((remote, 8080))
        listener.listen()
        got = bytearray()

        def serve():
            peer, _ = listener.accept()
            peer.settimeout(30 * SLOW)
            with peer:
                sender = threading.Thread(target=peer.sendall, args=(down,))
                sender.start()
                while len(got) < len(up) and (chunk := peer.recv(65536)):
                    got.extend(chunk)
                sender.join()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        tunnel = self.open(features=LARGE)
        largest, receive = 0, tunnel.receive

        def watched(within):
            nonlocal largest
            packet = receive(within)
            if packet is not None and packet.segment:
                largest = max(largest, len(packet.payload))
            return packet

        tunnel.receive = watched
        connection = TunnelTcp(tunnel, client, remote, 6000, 8080)
        connection.send(up)
        self.assert_soon(lambda: connection.pump(0.05) or len(connection.received) >= len(down) and len(got) >= len(up),
                         "all has arrived", timeout=30 * SLOW)
        server.join(5)
        self.assertTrue(connection.received == down and got == up, "not one byte is another")
        self.assertGreater(largest, 1500, "super-packets came down in one piece")

    def test_a_connection_carries_both_ways_by_ipv4(self):
        self.start()
        self.connection_carries_both_ways(CLIENT4, INTERNET[0])

    def test_a_connection_carries_both_ways_by_ipv6(self):
        self.start()
        self.connection_carries_both_ways(CLIENT6, INTERNET[1])

    def test_a_metered_client_is_charged_for_each_packet(self):
        """Six packets of 1,028 and 528 bytes fit into the day's quota, and a second time they do not."""
        gateway = self.start(policy=lambda db: db.traffic("identity", quota_bytes=6000, quota_period="day"),
                             listen=[{"address": f"127.0.0.1:{PORT}", "auth": "token"}])
        token = gateway.json("token", "new", "bob")["token"]
        self.assert_soon(gateway.policy_in_force, "the token is in force")
        tunnel = self.open("bob", token=token, features=LARGE)
        whole = udp(CLIENT4, "93.184.0.99", 5000, 9, bytes(5500))
        tunnel.send_large(whole, segment=1000)
        self.assert_soon(lambda: self.carried(gateway, "packets", "up") == 6, "the first passes")
        tunnel.send_large(whole, segment=1000)
        self.assert_soon(lambda: self.rejected(gateway, "quota") == 6, "the second does not")
        self.assertEqual(self.carried(gateway, "bytes", "up"), 5500 + 6 * 28)

    def test_a_denied_one_is_answered_and_counted(self):
        gateway = self.start()
        tunnel = self.open(features=LARGE)
        tunnel.send_large(tcp(CLIENT4, "169.254.1.1", 5000, 80, 1, 1, ACK, bytes(5500)), segment=1000)
        got = tunnel.receive()
        self.assertIsNotNone(got, "nobody says no")
        self.assertTrue(got.flags & RST)
        self.assertEqual(self.rejected(gateway, "invalid_destination_address"), 6)


class Hostile(TunnelTest):
    def test_what_no_kernel_should_see_is_refused_and_counted(self):
        gateway = self.start()
        tunnel = self.open(features=LARGE)
        at = (CLIENT4, INTERNET[0])
        payload = bytes(5500)
        of_tcp = tcp(*at, 5000, 80, 1, 1, ACK, payload)
        of_udp = udp(*at, 5000, self.echo.port, payload)
        body = udp_body(*at, 5000, self.echo.port, payload)
        wrong_header = bytearray(of_udp)
        wrong_header[10] ^= 1
        options = bytearray(of_tcp)
        options[0] = 0x46
        at6 = (CLIENT6, INTERNET[1])
        extended = ip(*at6, 60, bytes([UDP, 0]) + bytes(6) + udp_body(*at6, 5000, 9, payload))
        cases = [
            ("no length", b"", 1000, "invalid_ip_packet_length"),
            ("not as long as it says", of_tcp[:-1], 1000, "invalid_ip_packet_length"),
            ("of no version", b"\x75" + of_tcp[1:], 1000, "invalid_ip_header_version"),
            ("one segment", of_tcp, 5500, "invalid_tcp_packet_length"),
            ("longer than the MTU", of_tcp, 1461, "too_big"),
            ("the longest segment", of_udp, 65535, "invalid_udp_packet_length"),
            ("thousands of TCP", of_tcp, 1, "invalid_tcp_packet_length"),
            ("65 of UDP", udp(*at, 5000, 9, bytes(65 * 30)), 30, "invalid_udp_packet_length"),
            ("more headers than payload", udp(*at, 5000, 9, bytes(1000)), 27, "invalid_udp_packet_length"),
            ("SYN", tcp(*at, 5000, 80, 1, 0, SYN, payload), 1000, "invalid_tcp_packet_length"),
            ("RST", tcp(*at, 5000, 80, 1, 0, RST | ACK, payload), 1000, "invalid_tcp_packet_length"),
            ("a short data offset", ip(*at, TCP, of_tcp[20:32] + b"\x40" + of_tcp[33:]), 1000,
             "invalid_tcp_packet_length"),
            ("no payload", tcp(*at, 5000, 80, 1, 1, ACK), 1000, "invalid_tcp_packet_length"),
            ("a shorter datagram", ip(*at, UDP, body[:4] + struct.pack(">H", 5000) + body[6:]), 1000,
             "invalid_udp_packet_length"),
            ("a wrong IPv4 header", bytes(wrong_header), 1000, "invalid_udp_packet_length"),
            ("options", bytes(options), 1000, "invalid_ip_header_options"),
            ("an extension header", extended, 1000, "invalid_ip_header_protocol"),
            ("a first fragment", ip(*at, UDP, body, more=True), 1000, "invalid_ip_packet_length"),
            ("a later fragment", ip(*at, UDP, body, offset=8), 1000, "invalid_ip_packet_length"),
            ("ICMP", ip(*at, ICMP, summed(*at, ICMP, b"\x08\0\0\0" + bytes(5500), 2)), 1000,
             "invalid_ip_packet_length"),
            ("queries", udp(CLIENT4, DNS4, 5000, 53, payload), 1000, "invalid_dns_message"),
            ("queries to anybody", udp(*at, 5000, 53, payload), 1000, "invalid_dns_message"),
            ("DNS over TCP", tcp(*at, 5000, 53, 1, 1, ACK | PSH, payload), 1000, "invalid_tcp_packet_length"),
        ]
        before = gateway.metric(f"{PLUGIN}_device_writes_total")
        for name, packet, segment, reason in cases:
            with self.subTest(name):
                was = self.rejected(gateway, reason)
                tunnel.send_large(packet, segment=segment)
                self.assert_soon(lambda: self.rejected(gateway, reason) == was + 1, f"`{reason}` is counted")
        tunnel.stream.sendall(struct.pack(">HH", 0, 0) * 3)  # "I am here"
        self.assertEqual(gateway.metric(f"{PLUGIN}_device_writes_total"), before, "none of it came to the device")
        self.assert_echoes(tunnel)
        self.assertNotIn("refuses super-packets", gateway.text())

    def test_the_kernel_takes_whatever_may_pass(self):
        """One that it refused would end super-packets for every client of the lane."""
        gateway = self.start()
        tunnel = self.open(features=LARGE)
        fin, psh, urg, ece, cwr = 1, 8, 32, 64, 128
        both = ((CLIENT4, INTERNET[0], 20), (CLIENT6, INTERNET[1], 40))
        cases = [(tcp(*at, 5000, 80, 1, 1, flags, bytes(5500)), 1000)
                 for *at, _ in both for flags in (0, ACK | fin, ACK | cwr, ACK | ece | cwr, ACK | urg | psh, 0xf9)]
        for *at, header in both:
            cases += [(udp(*at, 5000, 9, bytes(64 * (header + 8))), header + 8),
                      (udp(*at, 5000, 9, bytes(1453)), 1452),
                      (udp(*at, 5000, 9, bytes(65535 - header - 8)), 1452),
                      (tcp(*at, 5000, 80, 1, 1, ACK, bytes(128 * (header + 20))), header + 20),
                      (tcp(*at, 5000, 80, 1, 1, ACK, bytes(65535 - header - 20)), 1500 - header - 20),
                      (tcp(*at, 5000, 80, 1, 1, ACK, bytes(1441)), 1440)]
        name = f"{PLUGIN}_device_writes_total"
        for number, (packet, segment) in enumerate(cases):
            with self.subTest(number):
                before = gateway.metric(name)
                tunnel.send_large(packet, segment=segment)
                self.assert_soon(lambda: gateway.metric(name) == before + 1, "it is written in one piece")
        self.assertNotIn("refuses super-packets", gateway.text())
        self.assertEqual(self.rejected(gateway, "device"), 0)

    def test_a_single_packet_longer_than_the_mtu_ends_the_stream(self):
        self.start()
        tunnel = self.open(features=LARGE)
        tunnel.stream.sendall(struct.pack(">H", 1501))
        self.assertTrue(tunnel.has_ended())

    def test_what_comes_in_pieces_waits_for_its_end(self):
        self.start()
        tunnel = self.open(features=LARGE)
        payload = secrets.token_bytes(60_000)
        packet = udp(CLIENT4, INTERNET[0], 5000, self.echo.port, payload, sums=False)
        frame = large_frame(packet, 1400)
        for begin, end in ((0, 1), (1, 3), (3, 5), (5, 20), (20, 30_000), (30_000, len(frame))):
            tunnel.stream.sendall(frame[begin:end])
            self.assert_echoes_by_another()
        got = b""
        while len(got) < len(payload) and (one := tunnel.receive()):
            got += one.payload
        self.assertEqual(got, payload)

    def assert_echoes_by_another(self):
        """So that the pieces are read one by one: another session's packet has come and gone meanwhile."""
        self.assert_echoes(self.open(), port=5900)


class Client(ClientTest):
    """gatehouse-tunnel as it comes; the classes below leave large frames out at one end."""

    words, options, is_large = (), {}, True

    def setUp(self):
        super().setUp()
        self.running = self.start(options=self.options)
        self.client = self.tunnel(SERVER, *self.words, dns=False)
        self.assertEqual(self.client.said(", large frames"), self.is_large)

    def test_bytes_come_back_as_they_went(self):
        for address, port in ((INTERNET[0], 5000), (INTERNET[1], 5001)):
            TcpEcho(self, address, port)
            with self.net.connect("client", address, port) as stream:
                echo_through(stream, 32 << 20, self)

    def test_super_packets_of_udp_arrive_as_datagrams(self):
        whole = os.urandom(30_300)
        for to in INTERNET:
            with self.net.socket("client", socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.setsockopt(17, 103, 1000)  # SOL_UDP, UDP_SEGMENT
                one.settimeout(5 * SLOW)
                one.sendto(whole, (to, self.echo.port))
                got = {one.recv(2000) for _ in range(31)}
            self.assertEqual(got, {whole[at:at + 1000] for at in range(0, len(whole), 1000)})

    def test_a_connection_goes_on_over_kill(self):
        TcpEcho(self, port=5002)
        payload, got = os.urandom(16 << 20), bytearray()
        with self.net.connect("client", INTERNET[0], 5002) as stream:
            stream.settimeout(30 * SLOW)

            def take():
                while len(got) < len(payload) and (data := stream.recv(1 << 18)):
                    got.extend(data)

            taker = threading.Thread(target=take, daemon=True)
            taker.start()
            stream.sendall(payload[:4 << 20])
            self.running.process.send_signal(signal.SIGKILL)
            self.running.process.wait()
            self.running.process.stdout.close()
            self.running.start()
            stream.sendall(payload[4 << 20:])
            taker.join(30 * SLOW)
        self.assertTrue(got == payload, f"{len(got)} of {len(payload)} bytes came back as they went")
        self.client.connected(2)
        self.assert_says(self.client, "session resumed")
        self.assertEqual(self.client.said(", large frames", 2), self.is_large)


class ClientThatCuts(Client):
    words, is_large = ("--no-large-frames",), False


class ServerThatCuts(Client):
    options, is_large = {"large_frames": False}, False


if __name__ == "__main__":
    main()
