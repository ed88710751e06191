#!/usr/bin/env python3
"""The relay's way in the kernel: an XDP program, worked by programs/relay_fast_path.cpp.

      one                           gateway                              two
    10.77.0.2, .3/24  --------  10.77.0.1/24
    fd77::2, ::3/64             fd77::1/64
                                10.78.0.1/24  ------------  10.78.0.2/24
                                fd78::1/64                  fd78::2/64

The relay's port is 7500. In the gateway a socket of it stands for user space: what the kernel does not relay comes
there. The clients' devices complete checksums before they send, as a wire wants it, except where a test says so; what
they receive is looked at as frames, and taken by sockets only with good checksums.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import time
import unittest

from harness import BUILD, Net, eventually, main
from harness.gateway import SLOW
from harness.kernel_poller import KernelPoller
from harness.net import family_of

PROGRAM = pathlib.Path(BUILD) / "bin" / "relay_fast_path"
PORT = 7500
VNI = 4711
STACK_INTERVAL = 15  # seconds: GH_FAST_STACK_INTERVAL_NS
ONE = {4: ("10.77.0.2", "10.77.0.1"), 6: ("fd77::2", "fd77::1")}    # a client, and the relay's address for it
ALSO_ONE = {4: ("10.77.0.3", "10.77.0.1"), 6: ("fd77::3", "fd77::1")}
TWO = {4: ("10.78.0.2", "10.78.0.1"), 6: ("fd78::2", "fd78::1")}


def geneve(payload=b"data", vni=VNI, control=False, version=0, options=0):
    return struct.pack("!BBHI", version << 6 | options, control << 7, 0x7a12, vni << 8) + payload


def written(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def folded(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


def ipv4_frame(source, source_port, destination, destination_port, payload):
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    check = ~folded(addresses + struct.pack("!HH", 17, len(udp)) + udp) & 0xffff
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0) + addresses
    ip = ip[:10] + struct.pack("!H", ~folded(ip) & 0xffff) + ip[12:]
    return bytes(12) + b"\x08\x00" + ip + udp[:6] + struct.pack("!H", check) + udp[8:]


def ipv6_frame(source, source_port, destination, destination_port, payload):
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, host) for host in (source, destination))
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    check = ~folded(addresses + struct.pack("!HH", 17, len(udp)) + udp) & 0xffff
    ip = struct.pack("!IHBB", 0x60000000, len(udp), 17, 64) + addresses
    return bytes(12) + b"\x86\xdd" + ip + udp[:6] + struct.pack("!H", check) + udp[8:]


class Program:
    """relay_fast_path, asked line by line."""

    def __init__(self, net, most_endpoints=1000):
        self.process = net.popen("gateway", [PROGRAM, str(most_endpoints)], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, bufsize=1)
        self.first = self.process.stdout.readline().strip()

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return self.process.stdout.readline().strip()

    def put(self, leg, other, vni=VNI, port=PORT, ago=0):
        """What comes from the leg's client goes to the other's, `ago` seconds ago.

        A leg is (client, the client's port, the relay's address for it).
        """
        return self.ask("put", vni, written(*leg[:2]), written(leg[2], port), written(*other[:2]),
                        written(other[2], port), ago)

    def use(self, verb, leg, vni=VNI):
        """(packets, bytes, age in seconds or None)"""
        packets, size, age = map(int, self.ask(verb, vni, written(*leg[:2]), written(leg[2], PORT)).split())
        return packets, size, None if age < 0 else age / 1e9

    def totals(self):
        return {name: int(value) for name, value in (one.split("=") for one in self.ask("totals").split())}

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class FastPathTest(unittest.TestCase):
    """The topology, a relay's port in user space, and a program that is attached as a class wants it."""
    wish = "generic"
    far_end = "pass"  # what the program on a client's interface does, where there has to be one

    @classmethod
    def setUpClass(cls):
        if shutil.which("ethtool") is None:
            raise unittest.SkipTest("ethtool is not installed; scripts/deps.sh installs it")
        cls.net = Net()
        cls.addClassCleanup(cls.net.close)
        for name in ("one", "gateway", "two"):
            cls.net.namespace(name)
        trial = Program(cls.net)
        trial.close()
        if trial.first != "ready":
            raise unittest.SkipTest(trial.first)
        cls.net.link("one", ["10.77.0.2/24", "10.77.0.3/24", "fd77::2/64", "fd77::3/64"],
                     "gateway", ["10.77.0.1/24", "fd77::1/64"])
        cls.net.link("gateway", ["10.78.0.1/24", "fd78::1/64"], "two", ["10.78.0.2/24", "fd78::2/64"])
        for name in ("one", "two"):
            cls.net.run(name, ["ethtool", "-K", "to_gateway", "tx", "off", "rx", "off"])
            if cls.wish == "native":
                cls.keep(cls.far_end, name)
        for family in (4, 6):
            for host in (ONE[family][0], ALSO_ONE[family][0]):
                cls.know_neighbour("one", host)
            cls.know_neighbour("two", TWO[family][0])

    @classmethod
    def keep(cls, what, name):
        """A native program takes frames back to a veth only if the far end has one too: "pass", or "drop"."""
        keeper = cls.net.popen(name, [PROGRAM, what, "to_gateway"], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(keeper.stdout.close)
        if keeper.stdout.readline().strip() != "ready":
            raise unittest.SkipTest("this kernel's veth has no native XDP")

    @classmethod
    def know_neighbour(cls, name, host):
        """The gateway knows the host's address for good."""
        cls.ip("neighbour", "replace", host, "lladdr", cls.mac_of(name, "to_gateway"), "dev", f"to_{name}", "nud",
               "permanent")

    @classmethod
    def mac_of(cls, name, device):
        return json.loads(cls.ip("-j", "link", "show", device, namespace=name))[0]["address"]

    @classmethod
    def ip(cls, *words, namespace="gateway"):
        return cls.net.run(namespace, ["ip", *words]).stdout

    def setUp(self):
        self.user_space = {family: self.udp("gateway", host, PORT) for family, host in ((4, "0.0.0.0"), (6, "::"))}
        self.program = self.start()
        self.assertEqual(self.program.ask("ports", PORT), "ok")
        for interface in ("to_one", "to_two"):
            self.assertIn(f"{self.wish} on {interface}", self.program.ask("attach", interface, self.wish))

    def start(self, **options):
        program = Program(self.net, **options)
        self.addCleanup(program.close)
        self.assertEqual(program.first, "ready")
        return program

    def udp(self, namespace, host, port):
        one = self.net.socket(namespace, family_of(host), socket.SOCK_DGRAM)
        self.addCleanup(one.close)
        if ":" in host:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
        one.settimeout(3 * SLOW)
        return one

    def pair(self, first, first_port, second, second_port, second_in="two", ago=0):
        """Two clients, their sockets, and both legs put: [(leg, socket), (leg, socket)]."""
        legs = [(first[0], first_port, first[1]), (second[0], second_port, second[1])]
        sockets = [self.udp("one", *legs[0][:2]), self.udp(second_in, *legs[1][:2])]
        for leg, other in (legs, legs[::-1]):
            self.assertEqual(self.program.put(leg, other, ago=ago), "ok")
        return list(zip(legs, sockets))

    def assert_relayed(self, pair, payload=b"data"):
        """Both ways, from the address that each client talks to, and nothing of it comes to user space."""
        for (leg, sender), (other, receiver) in (pair, pair[::-1]):
            sender.sendto(geneve(payload), (leg[2], PORT))
            got, source = receiver.recvfrom(65536)
            self.assertEqual((got, source[:2]), (geneve(payload), (other[2], PORT)))
        for family in self.user_space:
            self.assert_nothing(self.user_space[family])

    def assert_nothing(self, one):
        one.setblocking(False)
        with self.assertRaises(BlockingIOError):
            one.recv(65536)
        one.settimeout(3 * SLOW)

    def assert_user_space(self, family, datagram, why=None):
        """It has come there, unchanged; and the program counts it under that name."""
        self.assertEqual(self.user_space[family].recv(65536), datagram)
        if why:
            self.assertGreaterEqual(self.program.totals()[why], 1, self.program.totals())


class Generic(FastPathTest):
    def test_data_goes_out_by_another_interface(self):
        for family in (4, 6):
            with self.subTest(family=family):
                pair = self.pair(ONE[family], 5001, TWO[family], 5002)
                self.assert_relayed(pair)
                self.assert_relayed(pair, b"")
                self.assert_relayed(pair, os.urandom(1400))

    def test_data_goes_out_by_the_same_interface(self):
        for family in (4, 6):
            with self.subTest(family=family):
                self.assert_relayed(self.pair(ONE[family], 5001, ALSO_ONE[family], 5002, second_in="one"))

    def test_two_clients_behind_one_address(self):
        self.assert_relayed(self.pair(ONE[4], 5001, ONE[4], 5002, second_in="one"))

    def test_handshakes_and_what_else_is_no_data_come_to_user_space(self):
        for family in (4, 6):
            (leg, sender), _ = self.pair(ONE[family], 5001, TWO[family], 5002)
            for datagram in (geneve(control=True), geneve(version=1), geneve(options=1), b"\x00\x01" + geneve()[2:]):
                with self.subTest(family=family, datagram=datagram):
                    sender.sendto(datagram, (leg[2], PORT))
                    self.assert_user_space(family, datagram, "not_data")
            sender.sendto(b"short", (leg[2], PORT))
            self.assert_user_space(family, b"short")

    def test_an_unknown_number_source_or_own_address_comes_to_user_space(self):
        self.net.address("gateway", "to_one", "10.77.0.9/24")
        self.addCleanup(self.ip, "address", "delete", "10.77.0.9/24", "dev", "to_one")
        (leg, sender), _ = self.pair(ONE[4], 5001, TWO[4], 5002)
        other = self.udp("one", ONE[4][0], 5003)
        for one, datagram, own in ((sender, geneve(vni=VNI + 1), leg[2]), (other, geneve(b"2"), leg[2]),
                                   (sender, geneve(b"3"), "10.77.0.9")):
            one.sendto(datagram, (own, PORT))
            self.assert_user_space(4, datagram, "unknown")
        self.assertEqual(self.program.totals()["unknown"], 3)

    def test_another_port_is_not_looked_at(self):
        (leg, sender), _ = self.pair(ONE[4], 5001, TWO[4], 5002)
        other = self.udp("gateway", "0.0.0.0", PORT + 1)
        sender.sendto(geneve(), (leg[2], PORT + 1))
        self.assertEqual(other.recv(100), geneve())
        self.assertEqual(set(self.program.totals().values()), {0})

    def test_several_ports_each_with_its_own_legs(self):
        self.assertEqual(self.program.ask("ports", PORT, PORT + 1), "ok")
        first, second = (ONE[4][0], 5001, ONE[4][1]), (TWO[4][0], 5002, TWO[4][1])
        sender, receiver = self.udp("one", *first[:2]), self.udp("two", *second[:2])
        self.assertEqual(self.program.put(first, second, port=PORT + 1), "ok")
        sender.sendto(geneve(b"in order"), (first[2], PORT + 1))
        self.assertEqual(receiver.recvfrom(100), (geneve(b"in order"), (second[2], PORT + 1)))
        sender.sendto(geneve(b"no leg"), (first[2], PORT))
        self.assert_user_space(4, geneve(b"no leg"), "unknown")

    def test_frames_are_right(self):
        """Checksums, hops left, the service bits, the MAC addresses; with whatever payload."""
        for family in (4, 6):
            (leg, sender), (other, receiver) = self.pair(ONE[family], 5001, TWO[family], 5002)
            capture = self.capture("two")
            level, hops, service = ((socket.IPPROTO_IP, socket.IP_TTL, socket.IP_TOS) if family == 4 else
                                    (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, socket.IPV6_TCLASS))
            sender.setsockopt(level, hops, 3)
            sender.setsockopt(level, service, 0x02)  # ECT(0): congestion is the clients' own business
            macs = [bytes.fromhex(self.mac_of(*end).replace(":", ""))
                    for end in (("two", "to_gateway"), ("gateway", "to_two"))]
            sums_to_zero = self.summing_to_zero(other[2], other[0], 5002)
            for payload in (*(os.urandom(size) for size in (*range(40), 1000, 1001)), sums_to_zero):
                sent = geneve(payload)
                sender.sendto(sent, (leg[2], PORT))
                receiver.recv(2000)
                frame = self.frame_of(capture, 5002)
                self.assertEqual([frame[:6], frame[6:12]], macs)
                self.assert_frame(family, frame[14:], sent)

    @staticmethod
    def summing_to_zero(source, destination, port):
        """A payload for which a checksum of 0 comes out, which would say that there is none: 0xffff stands for it."""
        addresses = b"".join(socket.inet_pton(family_of(host), host) for host in (source, destination))
        size = 8 + len(geneve(bytes(2)))
        rest = folded(addresses + struct.pack("!HHHHH", 17, size, PORT, port, size) + geneve(b""))
        return struct.pack("!H", 0xffff - rest)

    def assert_frame(self, family, packet, sent):
        if family == 4:
            self.assertEqual(folded(packet[:20]), 0xffff, "the header's checksum")
            self.assertEqual((packet[8], packet[1]), (64, 2))
            addresses, udp = packet[12:20], packet[20:]
        else:
            self.assertEqual((packet[7], (packet[0] << 8 | packet[1]) >> 4 & 0xff), (64, 2))
            addresses, udp = packet[8:40], packet[40:]
        udp = udp[:struct.unpack("!H", udp[4:6])[0]]
        self.assertEqual(folded(addresses + struct.pack("!HH", 17, len(udp)) + udp), 0xffff, "UDP's checksum")
        self.assertNotEqual(udp[6:8], bytes(2))
        self.assertEqual(udp[8:], sent)

    def capture(self, namespace):
        out = self.net.socket(namespace, socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(out.close)
        out.bind(("to_gateway", 3))  # ETH_P_ALL
        out.settimeout(3 * SLOW)
        return out

    @staticmethod
    def frame_of(capture, port):
        """The next UDP frame to that port."""
        while True:
            frame = capture.recv(65536)
            at = {0x0800: 34, 0x86dd: 54}.get(struct.unpack("!H", frame[12:14])[0])
            if at and struct.unpack("!H", frame[at + 2:at + 4])[0] == port:
                return frame

    def test_ipv4_without_a_checksum_stays_without(self):
        (leg, sender), (_, receiver) = self.pair(ONE[4], 5001, TWO[4], 5002)
        sender.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
        capture = self.capture("two")
        sender.sendto(geneve(), (leg[2], PORT))
        self.assertEqual(receiver.recv(100), geneve())
        self.assertEqual(self.frame_of(capture, 5002)[40:42], bytes(2))

    def test_ipv6_without_a_checksum_is_left_to_the_stack(self):
        """Which drops it: RFC 8200, section 8.1."""
        (leg, _), (_, receiver) = self.pair(ONE[6], 5001, TWO[6], 5002)
        raw = self.net.socket("one", socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP)
        self.addCleanup(raw.close)
        raw.bind((leg[0], 0))
        raw.sendto(struct.pack("!HHHH", 5001, PORT, 8 + len(geneve()), 0) + geneve(), (leg[2], 0))
        self.assertTrue(eventually(lambda: self.program.totals()["no_checksum"] == 1), self.program.totals())
        self.assert_nothing(receiver)

    def test_checksums_that_a_device_was_to_complete_are_left_to_user_space(self):
        for family in (4, 6):
            (leg, sender), (_, receiver) = self.pair(ONE[family], 5001, TWO[family], 5002)
            self.net.run("one", ["ethtool", "-K", "to_gateway", "tx", "on"])
            self.addCleanup(self.net.run, "one", ["ethtool", "-K", "to_gateway", "tx", "off"])
            for size in (0, 1, 500):
                datagram = geneve(bytes(size))
                sender.sendto(datagram, (leg[2], PORT))
                self.assert_user_space(family, datagram, "partial_checksum")
            self.net.run("one", ["ethtool", "-K", "to_gateway", "tx", "off"])
            sender.sendto(geneve(), (leg[2], PORT))
            self.assertEqual(receiver.recv(100), geneve())

    def test_damage_on_the_way_is_not_mended(self):
        """A frame with a wrong checksum stays wrong: the receiver drops it."""
        (leg, sender), (_, receiver) = self.pair(ONE[4], 5001, TWO[4], 5002)
        capture = self.capture("two")
        raw = self.net.socket("one", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        self.addCleanup(raw.close)
        raw.bind((leg[0], 0))
        datagram = geneve(b"damaged!")
        raw.sendto(struct.pack("!HHHH", 5001, PORT, 8 + len(datagram), 0x1234) + datagram, (leg[2], 0))
        frame = self.frame_of(capture, 5002)
        self.assertNotEqual(folded(frame[26:34] + struct.pack("!HH", 17, 8 + len(datagram)) + frame[34:]), 0xffff)
        sender.sendto(geneve(b"whole"), (leg[2], PORT))
        self.assertEqual(receiver.recv(100), geneve(b"whole"))

    def test_lengths_that_do_not_fit_are_left_alone(self):
        for family in (4, 6):
            (leg, _), (_, receiver) = self.pair(ONE[family], 5001, TWO[family], 5002)
            raw = self.net.socket("one", family_of(leg[0]), socket.SOCK_RAW, socket.IPPROTO_UDP)
            self.addCleanup(raw.close)
            raw.bind((leg[0], 0))
            datagram = geneve(b"length!!")
            for length in (8 + len(datagram) - 1, 8 + len(datagram) + 1, 15, 0):
                before = self.program.totals()["length"]
                raw.sendto(struct.pack("!HHHH", 5001, PORT, length, 0x1234) + datagram, (leg[2], 0))
                self.assertTrue(eventually(lambda: self.program.totals()["length"] == before + 1), length)
            self.assert_nothing(receiver)

    def test_what_is_too_big_for_the_way_out_comes_to_user_space(self):
        self.ip("link", "set", "to_two", "mtu", "1300")
        self.addCleanup(self.ip, "link", "set", "to_two", "mtu", "1500")
        for family, overhead in ((4, 28), (6, 48)):
            (leg, sender), (_, receiver) = self.pair(ONE[family], 5001, TWO[family], 5002)
            fits, too_big = (geneve(bytes(1300 - overhead - 8 + more)) for more in (0, 1))
            sender.sendto(fits, (leg[2], PORT))
            self.assertEqual(receiver.recv(2000), fits)
            sender.sendto(too_big, (leg[2], PORT))
            self.assert_user_space(family, too_big, "too_big")

    def test_fragments_options_and_extension_headers_come_to_user_space(self):
        for family in (4, 6):
            (leg, sender), _ = self.pair(ONE[family], 5001, TWO[family], 5002)
            datagram = geneve(os.urandom(3000))
            sender.sendto(datagram, (leg[2], PORT))
            self.assert_user_space(family, datagram)
            if family == 4:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x01")
            else:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, b"\x00\x00\x01\x04\x00\x00\x00\x00")
            sender.sendto(geneve(), (leg[2], PORT))
            self.assert_user_space(family, geneve())
        self.assertEqual(self.program.totals()["relayed"], 0)

    def test_fragments_and_options_that_look_like_a_leg_are_no_leg(self):
        """A fragment in itself whole, and an option with a leg's ports where a UDP header would have them."""
        (leg, _), (_, receiver) = self.pair(ONE[4], 5001, TWO[4], 5002)
        raw = self.net.socket("one", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.addCleanup(raw.close)
        frame = ipv4_frame(leg[0], leg[1], leg[2], PORT, geneve(b"look-alike"))[14:]
        for flags in (0x2000, 0x0001, 0x2005):
            raw.sendto(frame[:6] + struct.pack("!H", flags) + frame[8:10] + bytes(2) + frame[12:], (leg[2], 0))
        ports = struct.pack("!HH", leg[1], PORT)
        rest = struct.pack("!HH", 8 + len(geneve()), 0) + geneve()  # from behind the ports on
        raw.sendto(b"\x46" + frame[1:2] + struct.pack("!H", 24 + len(rest)) + frame[4:10] + bytes(2) + frame[12:20] +
                   ports + rest, (leg[2], 0))
        self.assertTrue(eventually(lambda: self.arrived(raw, leg)), "all of it has come")
        self.assertEqual(self.program.totals()["relayed"], 0)
        self.assert_nothing(receiver)

    def arrived(self, raw, leg):
        """What is sent last comes last: a handshake is counted."""
        raw.sendto(ipv4_frame(leg[0], leg[1], leg[2], PORT, geneve(control=True))[14:], (leg[2], 0))
        return self.program.totals()["not_data"] > 0

    def test_without_a_neighbour_or_a_route_user_space_has_it(self):
        (leg, sender), (_, receiver) = self.pair(ONE[4], 5001, TWO[4], 5002)
        self.ip("neighbour", "delete", TWO[4][0], "dev", "to_two")
        self.addCleanup(self.know_neighbour, "two", TWO[4][0])
        sender.sendto(geneve(b"1"), (leg[2], PORT))
        self.assert_user_space(4, geneve(b"1"), "no_neighbour")
        self.know_neighbour("two", TWO[4][0])
        self.ip("route", "add", "unreachable", TWO[4][0] + "/32")
        sender.sendto(geneve(b"2"), (leg[2], PORT))
        self.assert_user_space(4, geneve(b"2"), "no_route")
        self.ip("route", "delete", "unreachable", TWO[4][0] + "/32")
        sender.sendto(geneve(b"3"), (leg[2], PORT))
        self.assertEqual(receiver.recv(100), geneve(b"3"))

    def test_the_route_of_the_own_address_is_taken(self):
        """Rules by source hold, as for what user space sends: a host with two ways out."""
        (leg, sender), _ = self.pair(ONE[4], 5001, TWO[4], 5002)
        self.ip("rule", "add", "from", TWO[4][1], "lookup", "100")
        self.addCleanup(self.ip, "rule", "delete", "from", TWO[4][1], "lookup", "100")
        self.ip("route", "add", "unreachable", "default", "table", "100")
        sender.sendto(geneve(), (leg[2], PORT))
        self.assert_user_space(4, geneve(), "no_route")

    def test_out_by_an_interface_without_the_program_user_space_has_it(self):
        (leg, sender), _ = self.pair(ONE[4], 5001, TWO[4], 5002)
        self.assertEqual(self.program.ask("detach", "to_two"), "ok")
        sender.sendto(geneve(), (leg[2], PORT))
        self.assert_user_space(4, geneve(), "no_device")
        self.assertNotIn("xdp", self.ip("link", "show", "to_two"))

    def test_counters_and_last_seen(self):
        pair = self.pair(ONE[4], 5001, TWO[4], 5002)
        (leg, sender), (other, receiver) = pair
        self.assertEqual(self.program.use("read", leg), (0, 0, None))
        for number in range(5):
            sender.sendto(geneve(bytes(number)), (leg[2], PORT))
            receiver.recv(100)
        packets, size, age = self.program.use("read", leg)
        self.assertEqual((packets, size), (5, 5 * 8 + 10))
        self.assertLess(age, 2 * SLOW)
        self.assertEqual(self.program.use("read", other), (0, 0, None))
        totals = self.program.totals()
        self.assertEqual((totals["relayed"], totals["bytes"]), (5, 50))
        time.sleep(0.1)
        self.assertGreaterEqual(self.program.use("read", leg)[2], age + 0.1)

        self.assertEqual(self.program.use("erase", leg)[:2], (5, 50))
        sender.sendto(geneve(), (leg[2], PORT))
        self.assert_user_space(4, geneve(), "unknown")
        self.assertEqual(self.program.ask("read", VNI, written(*leg[:2]), written(leg[2], PORT)), "not found")

    def test_a_leg_is_put_once(self):
        (leg, _), (other, _) = self.pair(ONE[4], 5001, TWO[4], 5002)
        self.assertEqual(self.program.put(leg, other), "somebody else has it")

    def test_now_and_then_a_packet_goes_by_way_of_user_space(self):
        """So that the kernel goes on asking whether the next hop is there."""
        (leg, sender), (_, receiver) = self.pair(ONE[4], 5001, TWO[4], 5002, ago=STACK_INTERVAL + 1)
        sender.sendto(geneve(b"first"), (leg[2], PORT))
        self.assert_user_space(4, geneve(b"first"), "stack_turn")
        for _ in range(3):
            sender.sendto(geneve(b"then"), (leg[2], PORT))
            self.assertEqual(receiver.recv(100), geneve(b"then"))

    def test_legs_of_a_lane_that_is_silent_are_user_spaces(self):
        """It does not follow the policy any more; after a second nothing runs on of what it had put."""
        for family in (4, 6):
            self.assert_relayed(self.pair(ONE[family], 5001, TWO[family], 5002))
        pair = self.pair(ONE[4], 5003, TWO[4], 5004)
        self.program.ask("silence")
        (leg, sender), _ = pair

        def comes_to_user_space():
            sender.sendto(geneve(b"?"), (leg[2], PORT))
            return self.program.totals()["silent_lane"] > 0

        self.assertTrue(eventually(comes_to_user_space, timeout=2))
        self.assert_user_space(4, geneve(b"?"), "silent_lane")
        (leg, sender), _ = self.pair(ONE[6], 5005, TWO[6], 5006)
        sender.sendto(geneve(), (leg[2], PORT))
        self.assert_user_space(6, geneve())

    def test_a_larger_map_takes_the_place_of_a_small_one(self):
        small = self.start(most_endpoints=1)
        self.program.close()
        self.program = small
        for interface in ("to_one", "to_two"):
            self.assertIn(self.wish, small.ask("attach", interface, self.wish))
        small.ask("ports", PORT)
        pair = self.pair(ONE[4], 5001, TWO[4], 5002)
        other = (ONE[4][0], 5003, ONE[4][1])
        self.assertEqual(small.put(other, pair[1][0]), "a limit is reached")
        self.assertEqual(small.ask("room", 1), "ok")
        self.assert_relayed(pair)
        self.assertEqual(small.ask("room", 2), "ok")
        (leg, sender), (far, receiver) = pair
        sender.sendto(geneve(), (leg[2], PORT))
        self.assert_user_space(4, geneve(), "unknown")
        for one, to in ((leg, far), (far, leg), (other, far)):
            self.assertEqual(small.put(one, to), "ok")
        self.assert_relayed(pair)

    def test_nothing_is_attached_after_a_crash(self):
        self.assertIn("xdp", self.ip("link", "show", "to_one"))
        self.program.process.kill()
        self.program.process.wait()
        self.assertTrue(eventually(lambda: "xdp" not in self.ip("link")), self.ip("link"))
        self.assertIn(f"{self.wish} on to_one", self.start().ask("attach", "to_one", self.wish))

    def test_a_second_gateway_is_told_of_the_first(self):
        said = self.start().ask("attach", "to_one", self.wish)
        self.assertRegex(said, "^not on to_one: another gateway relays there .program [0-9]+, gh_relay_")

    def test_an_interface_that_comes_again_is_attached_to_again(self):
        for _ in range(2):
            self.ip("link", "add", "passing", "type", "veth", "peer", "name", "far")
            self.assertIn("generic on passing", self.program.ask("attach", "passing", "generic"))
            self.assertIn("xdp", self.ip("link", "show", "passing"))
            self.ip("link", "delete", "passing")
        self.assertEqual(self.program.ask("attach", "passing", "generic"),
                         "not on passing: there is no interface passing")


class Native(Generic):
    """The same by the driver; clients' ends have a program of their own."""
    wish = "native"

    def test_cost(self):
        """What a packet costs in the program, the next hop included: to and fro between two legs in one buffer."""
        first, second = (ONE[4][0], 5001, ONE[4][1]), (TWO[4][0], PORT, TWO[4][1])
        there, back = (*first[:2], first[2]), (second[2], PORT, second[0])
        self.assertEqual(self.program.ask("put", VNI, written(*there[:2]), written(there[2], PORT),
                                          written(*second[:2]), written(second[2], PORT)), "ok")
        self.ip("neighbour", "replace", "10.77.0.77", "lladdr", "02:00:00:00:00:77", "dev", "to_one")
        # What the first leaves in the buffer comes "from" the relay "to" the second client: its way is back again.
        self.assertEqual(self.program.ask("put", VNI, written(*back[:2]), written(back[2], PORT),
                                          written("10.77.0.77", PORT), written(first[0], 5001)), "ok")
        self.assertEqual(self.program.ask("put", VNI, written(first[0], 5001), written("10.77.0.77", PORT),
                                          written(second[0], PORT), written(second[2], PORT)), "ok")
        frame = ipv4_frame(first[0], 5001, first[2], PORT, geneve(bytes(1272)))
        runs = [tuple(map(int, self.program.ask("cost", "to_one", 200_000, frame.hex()).split())) for _ in range(5)]
        self.assertEqual({verdict for verdict, _ in runs}, {4}, "XDP_REDIRECT")
        print(f"  {min(cost for _, cost in runs)} ns a packet", end=" ", flush=True)
        self.assertEqual(self.program.totals()["relayed"], 1_000_000)


class LiveFrames(FastPathTest):
    """What a packet costs all in all: frames as a driver has them, in by the client's end, out where they are to go.

    The kernel polls each interface in a thread of its own, and that of the way in is measured: receiving, the program,
    the next hop, the sending. Clients drop what comes back.
    """
    wish = "native"
    far_end = "drop"
    COUNT, MOST_NS, PAYLOAD = 1_000_000, 400, 1280  # it runs beside others: by itself it is half of that
    TRIES = 3  # the best counts

    def setUp(self):
        super().setUp()
        ours = sorted(os.sched_getaffinity(0))
        if len(ours) < 2:
            self.skipTest("one processor sends, another one relays")
        self.relaying, self.sending = ours[0], ours[-1]
        for namespace, device in (("one", "to_gateway"), ("two", "to_gateway"), ("gateway", "to_two")):
            KernelPoller(self.net, namespace, device).pin(self.sending)
        self.poller = KernelPoller(self.net, "gateway", "to_one")
        self.poller.pin(self.relaying)

    def test_cost(self):
        for name, family, client, other, frame_of in (
                ("IPv4, by the same interface", 4, ONE, ALSO_ONE, ipv4_frame), ("IPv4", 4, ONE, TWO, ipv4_frame),
                ("IPv6", 6, ONE, TWO, ipv6_frame)):
            with self.subTest(name):
                leg, far = (client[family][0], 5001, client[family][1]), (other[family][0], 5002, other[family][1])
                self.assertEqual(self.program.put(leg, far), "ok")
                frame = frame_of(*leg[:2], leg[2], PORT, geneve(bytes(self.PAYLOAD - 8)))
                ns, packets = min(self.cost_of(frame) for _ in range(self.TRIES))
                self.program.use("erase", leg)
                self.assertGreater(packets, 10_000, "most was lost on the way in")
                print(f"\n  {name}: {ns:.0f} ns a packet, of {packets}", end=" ", flush=True)
                self.assertLess(ns, self.MOST_NS * SLOW)

    def cost_of(self, frame):
        """(ns, packets)"""
        if not self.poller:
            self.skipTest("no thread of the kernel polls the interface")
        relayed, spent = self.program.totals()["relayed"], self.poller.spent_ns()
        done = self.net.run("one", ["taskset", "--cpu-list", str(self.sending), str(PROGRAM), "live", "to_gateway",
                                    str(self.COUNT), frame.hex()], check=False)
        if done.returncode != 0:
            self.skipTest(f"no live frames here: {done.stdout.strip()}")
        packets = self.program.totals()["relayed"] - relayed
        return (self.poller.spent_ns() - spent) / max(packets, 1), packets


class Refusals(FastPathTest):
    """Where it cannot work, a sentence says why and what to do."""

    def setUp(self):
        self.program = self.start()

    def test_a_veth_is_served_generically_unless_somebody_knows_better(self):
        self.assertEqual(self.program.ask("attach", "to_one", "automatic"),
                         "generic on to_one (the far end of a veth takes nothing from a native program unless it has "
                         "one of its own)")
        self.program.ask("attach", "nothing", "automatic")
        self.assertRegex(self.program.ask("describe"),
                         "^generic on to_one .*; not on nothing: there is no interface nothing$")

    def test_a_driver_without_native_xdp(self):
        self.assertEqual(self.program.ask("attach", "lo", "native"), "not on lo: the driver of lo has no native XDP")
        self.assertEqual(self.program.ask("attach", "lo", "automatic"),
                         "generic on lo (the driver of lo has no native XDP)")

    def test_a_program_of_somebody_else(self):
        other = self.net.popen("gateway", [PROGRAM, "pass", "to_two"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(other.stdout.close)
        self.assertEqual(other.stdout.readline().strip(), "ready")
        for wish in ("native", "generic"):
            self.assertRegex(self.program.ask("attach", "to_two", wish),
                             r"^not on to_two: another XDP program is attached to it \([0-9]+, test_pass\): detach it "
                             r"\(ip link set dev to_two xdp off\), or leave to_two to user space$")
        other.kill()
        other.wait()
        self.assertIn("native on to_two", self.program.ask("attach", "to_two", "native"))

    def test_without_capabilities(self):
        done = self.net.run("gateway", ["setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin",
                                        str(PROGRAM), "10"], check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stdout, "^refused: cannot load the program into the kernel: .*; CAP_BPF and CAP_NET_ADMIN "
                                      "are missing .AmbientCapabilities=CAP_BPF CAP_NET_ADMIN in a unit")

    def test_a_map_that_is_full(self):
        small = self.start(most_endpoints=1)
        legs = [(ONE[4][0], port, ONE[4][1]) for port in (1, 2, 3)]
        self.assertEqual([small.put(leg, legs[0]) for leg in legs], ["ok", "ok", "a limit is reached"])

    def test_what_is_left_to_user_space_in_any_case(self):
        v4, v6 = (ONE[4][0], 5001, ONE[4][1]), (TWO[6][0], 5002, TWO[6][1])
        link_local = ("fe80::2", 5001, "fe80::1")
        for leg, other in ((v4, v6), (v6, v4), (link_local, v6), (v6, link_local)):
            self.assertEqual(self.program.put(leg, other), "not supported")

    def test_interfaces_with_addresses(self):
        self.assertEqual(self.program.ask("ethernet").split(), ["to_one", "to_two"])
        self.assertEqual(self.program.ask("ethernet", TWO[6][1]).split(), ["to_two"])
        self.assertEqual(self.program.ask("ethernet", "::", "127.0.0.1").split(), ["to_one", "to_two"])
        self.assertEqual(self.program.ask("ethernet", "192.0.2.1").split(), [])


class Forwarding(FastPathTest):
    """No interface to the outside has to forward for it."""

    def test_only_the_loopback_interface_forwards(self):
        self.assertEqual(self.program.ask("notes"), "")
        for family in ("ipv4", "ipv6"):
            values = {name: self.net.run("gateway", ["cat", f"/proc/sys/net/{family}/conf/{name}/forwarding"]).stdout
                      for name in ("all", "to_one", "to_two", "lo")}
            self.assertEqual(values, {"all": "0\n", "to_one": "0\n", "to_two": "0\n", "lo": "1\n"}, family)

    def test_a_default_route_by_advertisement_is_not_lost(self):
        self.program.close()
        self.net.sysctl("gateway", "net.ipv6.conf.lo.forwarding", 0)
        with self.advertised_default():
            program = self.start()
            self.assertRegex(program.ask("notes"), "^IPv6 stays in user space: net.ipv6.conf.lo.forwarding is 0, and .*"
                                                   "to_one; sysctl -w net.ipv6.conf.to_one.accept_ra=2 keeps it")
            self.assertIn("default", self.ip("-6", "route"))
            self.assertEqual(program.ask("ports", PORT), "ok")
            program.ask("attach", "to_one", "generic")
            leg = (ONE[6][0], 5001, ONE[6][1])
            self.assertEqual(program.put(leg, (ALSO_ONE[6][0], 5002, ONE[6][1])), "ok")
            self.udp("one", *leg[:2]).sendto(geneve(), (leg[2], PORT))
            self.assertEqual(self.user_space[6].recv(100), geneve())
            self.assertEqual(program.totals()["no_forwarding"], 1)
            program.close()

            self.net.sysctl("gateway", "net.ipv6.conf.to_one.accept_ra", 2)
            self.assertEqual(self.start().ask("notes"), "")
            self.assertIn("default", self.ip("-6", "route"))

    @contextlib.contextmanager
    def advertised_default(self):
        """A router in `one` says on the link that it is one."""
        router = self.net.socket("one", socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        with self.net.inside("one"):
            index = socket.if_nametoindex("to_gateway")
        with router:
            router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            def has_default():
                with contextlib.suppress(OSError):  # no address on the link yet
                    router.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, index))
                return "default" in self.ip("-6", "route")

            self.assertTrue(eventually(has_default, pause=0.1), self.ip("-6", "route"))
            yield


if __name__ == "__main__":
    main()
