#!/usr/bin/env python3
"""The echo plugin: the border's second user, stream and datagram."""

import os
import socket
import threading
import time

from harness import GATEWAY, GatewayTest, main
from harness.net import family_of
from harness.tls import Authority, WebSocket, open_http

SECOND = ("10.77.0.9", "fd77::9")  # the gateway's other addresses


class Echo(GatewayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.net.address("gateway", "to_client", SECOND[0] + "/24")
        cls.net.address("gateway", "to_client", SECOND[1] + "/64")

    def run_echo(self, nofile=None, **table):
        listen = ["udp:0.0.0.0:7007", "udp:[::]:7007", "127.0.0.1:7007"]
        return self.gateway(plugins={"echo": {"listen": listen, **table}}, nofile=nofile)

    def datagram_client(self, host, port=7007):
        one = self.net.socket("client", family_of(host), socket.SOCK_DGRAM)
        self.addCleanup(one.close)
        one.settimeout(3)
        one.connect((host, port))
        return one

    def test_wildcard_answers_from_the_address_that_was_asked(self):
        """Connected clients hear only the address that they asked: a host with two addresses per family."""
        self.run_echo()
        for host in (*GATEWAY, *SECOND):
            asker = self.datagram_client(host)
            for number in range(20):
                asker.send(b"%s %d" % (host.encode(), number))
                self.assertEqual(asker.recv(100), b"%s %d" % (host.encode(), number), host)

    def test_the_last_bytes_within_tls_come_too_where_the_client_reads_late(self):
        authority = Authority("/run/tls-echo")
        certificate, key = authority.issue("server")
        self.net.sysctl("gateway", "net.ipv4.tcp_wmem", "4096 16384 65536")
        self.gateway(plugins={"echo": {"listen": [{"address": f"{GATEWAY[0]}:7008", "auth": "none",
                                                   "tls": {"certificate": certificate, "key": key}}]}})
        for size in range(150_000, 400_000, 25_000):
            plain = self.net.connect("client", GATEWAY[0], 7008)
            with authority.context().wrap_socket(plain, server_hostname="gate.example") as stream:
                sender = threading.Thread(target=stream.sendall, args=(b"x" * size,))
                sender.start()
                time.sleep(0.1)
                got = 0
                while got < size - 100_000:
                    got += len(stream.recv(65536))
                sender.join()
                socket.socket.shutdown(stream, socket.SHUT_WR)
                time.sleep(0.1)
                while part := stream.recv(65536):
                    got += len(part)
                self.assertEqual(got, size)

    def test_what_is_on_its_way_over_web_socket_comes_after_the_clients_close(self):
        self.gateway(plugins={"echo": {"listen": [{"address": f"{GATEWAY[0]}:7009", "auth": "none",
                                                   "opening": "http"}]}})
        plain = self.net.connect("client", GATEWAY[0], 7009)
        self.addCleanup(plain.close)
        stream = WebSocket(plain, open_http(plain, plugin="echo", upgrade="websocket"))
        stream.settimeout(5)
        sent = os.urandom(3_000_000)

        def send():
            for at in range(0, len(sent), 50_000):
                stream.sendall(sent[at:at + 50_000])
            stream.sendall(b"\x03\xe8", opcode=8)

        sender = threading.Thread(target=send)
        sender.start()
        got = b""
        while part := stream.recv(0):
            got += part
            time.sleep(0.002)
        sender.join()
        while part := plain.recv(100):
            stream.rest += part
        self.assertEqual(len(got), len(sent))
        self.assertTrue(got == sent)
        self.assertEqual(stream.closed_with, b"\x03\xe8")
        self.assertEqual(stream.rest, b"")

    def test_wildcard_with_several_lanes(self):
        self.run_echo(lanes=2)
        for host in (*GATEWAY, *SECOND):
            for number in range(8):  # other source ports: other lanes
                asker = self.datagram_client(host)
                asker.send(b"lane %d" % number)
                self.assertEqual(asker.recv(100), b"lane %d" % number, host)

    def test_datagram_burst(self):
        self.run_echo()
        asker = self.datagram_client(GATEWAY[0])
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sent = [number.to_bytes(8, "big") + bytes(500) for number in range(100)]  # a default buffer full
        for payload in sent:
            asker.send(payload)
        got = [asker.recv(2000) for _ in sent]
        self.assertTrue(sorted(got) == sent)

    def test_empty_and_large_datagrams(self):
        self.run_echo()
        for size in (0, 1, 1472, 9000, 60000):
            for host in (GATEWAY[0], SECOND[1]):
                asker = self.datagram_client(host)
                asker.send(bytes(size))
                self.assertEqual(len(asker.recv(65536)), size, host)

    def test_stream_comes_back_whole_and_ends_with_the_client(self):
        gateway = self.run_echo()
        stream = self.net.connect("gateway", "127.0.0.1", 7007)
        self.addCleanup(stream.close)
        sent = bytes(range(256)) * 20000

        def send():
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = bytearray()
        while chunk := stream.recv(1 << 20):
            got += chunk
        sender.join()
        self.assertTrue(bytes(got) == sent, f"{len(got)} of {len(sent)} bytes came back")
        self.assertEqual(gateway.http("/livez")[0], 200)

    def test_many_streams(self):
        self.run_echo()
        streams = [self.net.connect("gateway", "127.0.0.1", 7007) for _ in range(100)]
        for number, stream in enumerate(streams):
            self.addCleanup(stream.close)
            stream.sendall(b"stream %d" % number)
        for number, stream in enumerate(streams):
            self.assertEqual(stream.recv(100), b"stream %d" % number)

    def echoed(self, stream, text):
        stream.sendall(text)
        return stream.recv(100) == text

    def flood(self, count):
        """So many streams, the last of which is served by now."""
        streams = []
        for number in range(count):
            streams.append(self.net.connect("gateway", "127.0.0.1", 7007))
            self.addCleanup(streams[-1].close)
        self.assertTrue(self.echoed(streams[-1], b"the newest"))
        return streams

    def test_a_reserve_is_left_to_the_process_at_64_descriptors(self):
        gateway = self.run_echo(nofile=64, lanes=1)
        streams = self.flood(100)
        self.assertEqual(streams[0].recv(100), b"", "the longest idle one made place")
        self.assertEqual(gateway.http("/metrics")[0], 200)
        status = gateway.json("status")
        self.assertEqual(status["state"], "degraded")
        self.assertIn("descriptors are used up", " ".join(status["reasons"]))
        self.assertNotIn("accept paused", gateway.text())
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        backup = gateway.cli("db", "backup", "/run/backup-64")
        self.assertEqual(backup.returncode, 0, backup.stdout + backup.stderr)
        self.assertTrue(self.echoed(self.flood(1)[0], b"served"))

    def test_streams_stay_within_memory_bytes(self):
        gateway = self.run_echo(lanes=1, memory_bytes=1 << 20)
        streams = self.flood(30)
        self.assertEqual(streams[0].recv(100), b"", "the longest idle one made place")
        self.assertTrue(self.echoed(streams[-10], b"within it"))
        self.assertIn("memory_bytes", " ".join(gateway.json("status")["reasons"]))

    def test_unix_stream(self):
        gateway = self.gateway(start=False, plugins={"echo": {"listen": ["unix:/run/echo.sock"]}})
        gateway.start()
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(3)
            stream.connect("/run/echo.sock")
            stream.sendall(b"over a path")
            self.assertEqual(stream.recv(100), b"over a path")


if __name__ == "__main__":
    main()
