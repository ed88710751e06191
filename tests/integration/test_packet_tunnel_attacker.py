#!/usr/bin/env python3
"""The packet tunnel attacked: names hidden in TCP to port 53, packets of neighbours, a client that wears the store out."""

import pathlib
import secrets
import socket
import struct
import sys

from harness import INTERNET, DnsServer, GatewayTest, UdpEcho, answer, main, query
from harness.tunnel import ACK, CLIENT4, FIN, ICMP, PSH, RST, SYN, TCP, UDP, Tunnel, checksum, ip, summed, tcp, udp

PORT = 7400
RESOLVER = "93.184.0.54"
SEND_RAW = ("import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255);"
            "s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1); s.sendto(bytes.fromhex(sys.argv[1]), (sys.argv[2], 0))")


class AttackTest(GatewayTest):
    def start(self, policy=None):
        options = {"dns_resolvers": ["93.184.0.53"]}
        return self.gateway(policy=policy, plugins={"packet-tunnel": {"listen": [{"address": f"127.0.0.1:{PORT}"}],
                                                                      "options": options}})

    def open(self, session=None):
        stream = self.net.connect("gateway", "127.0.0.1", PORT)
        self.addCleanup(stream.close)
        return Tunnel(stream, session or secrets.token_urlsafe(32))

    def rejected(self, gateway, reason, direction="up"):
        return gateway.metric("gatehouse_plugin_packet_tunnel_packets_rejected_total", reason=reason,
                              direction=direction)


def framed(message):
    return struct.pack(">H", len(message)) + message


class HiddenNames(AttackTest):
    """The client has a resolver of its own outside, by TCP, and wants a name that is blocked."""

    def setUp(self):
        self.gate = self.start(policy=lambda db: db.insert("domain_rules", domain="blocked.example"))
        self.dns = DnsServer(self.net, "internet", [RESOLVER],
                             {"blocked.example": ["93.184.0.99"], "fine.example": ["93.184.0.98"]})
        self.addCleanup(self.dns.stop)
        self.tunnel = self.open()
        self.port = 20000 + secrets.randbelow(30000)  # the resolver may still know another test's connection
        self.tunnel.send(tcp(CLIENT4, RESOLVER, self.port, 53, 100, 0, SYN))
        opened = self.tunnel.find(lambda one: one.protocol == TCP and one.flags == SYN | ACK)
        self.assertIsNotNone(opened, "the resolver does not answer")
        self.seq, self.ack = 101, opened.seq + 1
        self.tunnel.send(tcp(CLIENT4, RESOLVER, self.port, 53, self.seq, self.ack, ACK))

    def send(self, payload, sequence):
        self.tunnel.send(tcp(CLIENT4, RESOLVER, self.port, 53, sequence, self.ack, ACK | PSH, payload))

    def answered(self):
        got = self.tunnel.find(lambda one: one.protocol == TCP and (one.flags & RST or len(one.payload) > 2))
        self.assertIsNotNone(got, "neither an answer nor a reset")
        if got.flags & RST:
            return None
        self.ack = got.seq + len(got.payload)
        return answer(got.payload[2:]).addresses

    def test_behind_the_first_fragment_of_a_segment(self):
        message = framed(query("www.blocked.example"))
        body = struct.pack(">HHIIBBHHH", self.port, 53, self.seq, self.ack, 6 << 4, ACK | PSH, 64240, 0, 0) + b"\1" * 4
        body = summed(CLIENT4, RESOLVER, TCP, body + message, 16)
        self.tunnel.send(ip(CLIENT4, RESOLVER, TCP, body[:24], id=99, more=True),
                         ip(CLIENT4, RESOLVER, TCP, body[24:], id=99, offset=24))
        self.assertIsNone(self.answered())
        self.assertEqual(self.dns.queries("www.blocked.example"), 0)
        self.assertEqual(self.rejected(self.gate, "split_dns_message"), 1)

    def test_in_what_lies_over_an_earlier_segment(self):
        """Of the second segment the resolver drops the front, which it has, and what is left is another message."""
        first = framed(query("a-name-that-makes-room-for-what-follows.fine.example"))
        hidden = framed(query("www.blocked.example"))
        question = query("fine.example")
        question = question[:10] + struct.pack(">H", 1) + question[12:]
        data = bytes(len(first) - 2 - len(question) - 15) + hidden
        option = struct.pack(">BHHIHHH", 0, 41, 1232, 0, 4 + len(data), 65001, len(data)) + data
        second = framed(question + option)
        self.assertEqual(second[len(first):], hidden)
        self.send(first, self.seq)
        self.assertEqual(self.answered(), ["93.184.0.98"])
        self.send(second, self.seq)
        self.assertIsNone(self.answered())
        self.assertEqual(self.dns.queries("www.blocked.example"), 0)

    def test_a_forged_handshake_does_not_move_where_messages_begin(self):
        self.send(framed(query("fine.example")), self.seq)
        self.assertEqual(self.answered(), ["93.184.0.98"])
        self.tunnel.send(tcp(CLIENT4, RESOLVER, self.port, 53, 102, 0, SYN))
        self.send(framed(query("fine.example")), 103)
        self.assertIsNone(self.answered())

    def test_what_is_in_order_or_sent_once_more_passes(self):
        one, two = framed(query("fine.example", id=1)), framed(query("x.fine.example", id=2))
        self.send(one, self.seq)
        self.assertEqual(self.answered(), ["93.184.0.98"])
        self.send(one, self.seq)
        self.send(two, self.seq + len(one))
        self.assertEqual(self.answered(), ["93.184.0.98"])
        self.assertEqual(self.rejected(self.gate, "split_dns_message"), 0)


class Neighbours(AttackTest):
    def test_what_belongs_to_no_connection_does_not_reach_a_client(self):
        """A host beside the gateway, or between it and the Internet, routes packets to a client's own address."""
        gateway = self.start()
        server = self.net.socket("internet", socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(server.close)
        server.bind((INTERNET[0], 8080))
        server.listen()
        tunnel = self.open()
        self.assert_says(gateway, "session opened")
        address = gateway.text().partition("session opened")[2].partition("address=")[2].split()[0]
        tunnel.send(tcp(CLIENT4, INTERNET[0], 5555, 8080, 100, 0, SYN))
        answered = tunnel.find(lambda one: one.protocol == TCP)
        tunnel.send(tcp(CLIENT4, INTERNET[0], 5555, 8080, 101, answered.seq + 1, ACK))
        quote = tcp(address, INTERNET[0], 5555, 8080, 101, answered.seq + 1, ACK)
        error = struct.pack(">BBHHH", 3, 4, 0, 0, 68) + quote
        error = error[:2] + struct.pack(">H", checksum(error)) + error[4:]
        for namespace, own, via in (("client", "10.77.0.2", "10.77.0.1"), ("internet", "93.184.0.11", "93.184.0.1")):
            self.net.run(namespace, ["ip", "route", "add", address, "via", via])
            for packet in (udp(own, address, 9, 5555, b"new"), tcp(own, address, 80, 5555, 1, 1, RST),
                           tcp(own, address, 80, 5555, 1, 1, SYN | FIN), tcp(own, address, 80, 5555, 1, 1, SYN | ACK),
                           tcp(INTERNET[0], address, 8080, 5555, answered.seq + 1, 101, RST | ACK),
                           ip(own, address, ICMP, error)):
                self.net.run(namespace, [sys.executable, "-c", SEND_RAW, packet.hex(), address])
        self.assertIsNone(tunnel.receive(1.0), "a neighbour's packet has come")


class Leaks(AttackTest):
    def test_what_is_not_translated_does_not_leave(self):
        """A wrong checksum: the kernel's NAT leaves such a packet as it is."""
        self.start()
        seen = self.raw_udp()
        tunnel = self.open()
        wrong = bytearray(udp(CLIENT4, INTERNET[0], 5000, 9, b"wrong"))
        wrong[-1] ^= 1
        tunnel.send(bytes(wrong), udp(CLIENT4, INTERNET[0], 5001, 9, b"right"))
        seen.settimeout(5)
        first = seen.recv(2000)
        self.assertEqual(first[-5:], b"right")
        self.assertEqual(socket.inet_ntoa(first[12:16]), "93.184.0.1")

    def raw_udp(self):
        out = self.net.socket("internet", socket.AF_INET, socket.SOCK_RAW, UDP)
        self.addCleanup(out.close)
        return out


class Stores(AttackTest):
    def test_a_client_that_changes_its_address_with_each_flow_writes_little(self):
        gateway = self.start()
        self.echo = UdpEcho(self.net, "internet", [INTERNET[0]])
        self.addCleanup(self.echo.stop)
        tunnel = self.open("s" * 32)

        def written():
            counts = pathlib.Path(f"/proc/{gateway.process.pid}/io").read_text().split()
            return int(counts[counts.index("wchar:") + 1])

        before, count = written(), 3000
        tunnel.send(*(udp(f"172.16.0.{1 + port % 2}", "93.184.0.11", 10000 + port, 9, b"x") for port in range(count)))
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_packet_tunnel_packets_total", direction="up") == count,
                         "all are forwarded")
        tunnel.send(udp("172.16.0.7", INTERNET[0], 5000, self.echo.port, b"last"))
        got = tunnel.find(lambda one: one.protocol == UDP)
        self.assertEqual(got.destination, "172.16.0.7")
        to_device = count * (10 + 20 + 8 + 1)  # with the offload header
        self.assertLess(written() - before, to_device + 100_000)


if __name__ == "__main__":
    main()
