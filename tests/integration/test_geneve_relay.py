#!/usr/bin/env python3
"""geneve-relay between two clients: addresses, restarts, policy, and what is dropped without a word.

      client                        gateway                              internet
    10.77.0.2, fd77::2  --------  10.77.0.1, .9, fd77::1, ::9
                                  93.184.0.1, .9, 2a00:a::1, ::9  -----  93.184.0.10, 2a00:a::10
"""

import itertools
import threading
import time

from harness import GATEWAY, eventually, main
from harness.gateway import SLOW
from harness.relay import ANSWER, BIND, CHALLENGE, DISCO, Keys, allocate, geneve
from harness.relay_case import API, OUTSIDE, OUTSIDE_SECOND, SECOND, KernelRelayTest


class Relay(KernelRelayTest):
    # ---- addresses
    def test_data_and_challenges_come_from_the_address_that_each_client_uses(self):
        """Connected sockets hear only that one: all ways between two addresses of two families."""
        self.relay()
        for near, far in itertools.product((*GATEWAY, *SECOND), (*OUTSIDE, *OUTSIDE_SECOND)):
            with self.subTest(near=near, far=far):
                self.assert_carries_both_ways(*self.pair(near, far))

    def test_an_address_that_goes_and_comes_back(self):
        """Data goes on without a handshake, and a client may bind by that address again."""
        gateway = self.relay()
        others = self.pair()
        for far, length in zip(OUTSIDE_SECOND, ("/24", "/64")):
            with self.subTest(far=far):
                a, b = self.pair(far=far)
                self.net.run("gateway", ["ip", "address", "del", far + length, "dev", "to_internet"])
                b.send(b"lost")
                self.assertTrue(a.hears_nothing())
                if far == OUTSIDE_SECOND[0]:  # from one that it has not the kernel sends IPv6 all the same
                    a.send(b"lost")
                    self.assertTrue(b.hears_nothing())
                    self.assert_soon(lambda: gateway.metric("gatehouse_plugin_geneve_relay_unsent_total") > 0,
                                     "it is counted")
                self.assert_carries_both_ways(*others)
                self.net.address("gateway", "to_internet", far + length)
                self.assert_soon(lambda: self.carries(a, b) and self.carries(b, a), "it goes on")
                self.assert_carries_both_ways(a, b)
                b.open_socket()
                b.bind()
                self.assert_soon(lambda: self.carries(a, b), "b is bound anew")
                self.assert_carries_both_ways(a, b)

    def test_addresses_that_no_interface_has(self):
        """Whole networks that a route of the type `local` delivers here (AnyIP)."""
        for network, gateway in (("93.184.5.0/24", OUTSIDE[0]), ("2a00:a:5::/64", OUTSIDE[1])):
            self.net.run("gateway", ["ip", "route", "add", "local", network, "dev", "lo"])
            self.net.route("internet", network, gateway)
        self.relay()
        for far in ("93.184.5.7", "2a00:a:5::7"):
            with self.subTest(far=far):
                a, b = self.pair(far=far)
                self.assert_carries_both_ways(a, b)
                b.open_socket()
                b.bind()
                self.assert_soon(lambda: self.carries(a, b), "b has bound anew")

    def test_a_client_that_moves_is_followed_when_it_has_answered(self):
        self.relay()
        a, b = self.pair()
        b.open_socket()
        a.send(b"to where b was")
        self.assertTrue(b.hears_nothing())
        b.bind()
        self.assert_soon(lambda: self.carries(a, b), "b has moved")
        self.assertTrue(self.carries(b, a))

    # ---- life
    def test_data_goes_on_after_kill_9_without_a_handshake(self):
        gateway = self.relay()
        pairs = [self.pair(near, far) for near, far in zip((*GATEWAY, *SECOND), (*OUTSIDE_SECOND, *OUTSIDE))]
        sessions = gateway.json("sessions")["count"]
        stop = threading.Event()

        def flood():
            while not stop.wait(0.001):
                for a, b in pairs:
                    try:
                        a.send(b"flood")
                        b.send(b"flood")
                    except OSError:  # nobody listens just now
                        pass

        sender = threading.Thread(target=flood)
        sender.start()
        try:
            gateway.process.kill()
            gateway.wait()
            for client in itertools.chain(*pairs):
                self.drain(client)
            began = time.monotonic()  # of the process: what it does before it is ready counts, too
            gateway.start()
            for client in itertools.chain(*pairs):
                self.assertEqual(self.next_payload(client), b"flood")
            self.assertLess(time.monotonic() - began, 1.0 * SLOW)
        finally:
            stop.set()
            sender.join()
        self.assertEqual(gateway.metric("gatehouse_plugin_geneve_relay_handshakes_total", step="challenged"), 0)
        self.assertEqual(gateway.json("sessions")["count"], sessions)

    def test_the_key_and_endpoints_are_the_same_after_kill_9(self):
        gateway = self.relay()
        keys = [Keys() for _ in range(4)]
        before = allocate(API, keys[0], keys[1])
        gateway.process.kill()
        gateway.wait()
        gateway.start()
        self.assertEqual(allocate(API, keys[1], keys[0]), before)
        self.assertGreater(allocate(API, keys[2], keys[3])["LamportID"], before["LamportID"])

    def test_an_endpoint_that_is_denied_at_a_restart_goes_on_when_it_may_again(self):
        gateway = self.relay()
        a, b = self.pair()
        gateway.json("sessions", "--ended")  # what waits for the disk is written
        gateway.process.kill()
        gateway.wait()
        row = gateway.policy.insert("admissions", plugin="geneve-relay", action="deny")
        gateway.start()
        self.assert_dropped(gateway, a, b, "unknown_vni")
        gateway.policy.delete("admissions", row)
        self.assert_soon(lambda: self.carries(a, b), "it goes on, without a handshake")

    # ---- policy
    def test_a_leg_that_a_row_denies_stops_within_a_second(self):
        gateway = self.relay()
        a, b = self.pair()
        row = gateway.policy.insert("port_permits", destination="93.184.0.10/32", action="deny", priority=1)
        self.assertTrue(self.carries(a, b), "port permits do not apply to what a peer asked for")
        gateway.policy.delete("port_permits", row)
        row = self.assert_cut(gateway, a, b, lambda: gateway.policy.insert("admissions", plugin="geneve-relay",
                                                                           action="deny"))
        gateway.policy.delete("admissions", row)
        self.assert_soon(lambda: self.carries(a, b), "they go on")

    def test_a_rate_holds_for_an_endpoint(self):
        gateway = self.relay(policy=lambda db: db.traffic(rate_up=20_000, burst_up=20_000, rate_down=20_000,
                                                          burst_down=20_000))
        a, b = self.pair()
        for _ in range(100):
            a.send(bytes(1000))
        got = 0
        while not b.hears_nothing(0.3):
            got += 1
        self.assertLess(got, 40)
        self.assertGreater(got, 5)
        self.assertGreaterEqual(self.drops(gateway, "rate"), 60)

    # ---- in the kernel
    def test_the_kernel_relays_what_is_bound(self):
        gateway = self.relay_in_kernel()
        mixed = self.pair(GATEWAY[0], OUTSIDE[1])
        self.assertTrue(self.carries(*mixed), "by user space")
        self.assert_soon(lambda: self.in_kernel(gateway, "unknown") > 0, "the kernel has no leg of two families")
        self.assertEqual(self.in_kernel(gateway), 0)
        for near, far in zip((*GATEWAY, *SECOND), (*OUTSIDE_SECOND, *OUTSIDE)):
            self.assert_in_kernel(gateway, *self.pair(near, far))

    def test_what_the_kernel_carries_is_counted_and_keeps_an_endpoint(self):
        gateway = self.relay_in_kernel(bind_lifetime_seconds=5 * SLOW, steady_lifetime_seconds=2 * SLOW)
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        until = time.monotonic() + 5 * SLOW
        sent = 0
        while time.monotonic() < until:
            self.assertTrue(self.carries(a, b) and self.carries(b, a), "it lives on")
            sent += 1
        forwarded = gateway.metric("gatehouse_plugin_geneve_relay_forwarded_packets_total", transport_in="udp4",
                                   transport_out="udp4")
        self.assertGreater(forwarded, sent)
        self.assert_soon(lambda: gateway.metric("gatehouse_plugin_geneve_relay_expired_total") == 1, "it ends", timeout=8)
        self.assert_dropped(gateway, a, b, "unknown_vni")

    def test_the_kernel_never_outruns_the_policy(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        row = self.assert_cut(gateway, a, b, lambda: gateway.policy.insert("admissions", plugin="geneve-relay",
                                                                           action="deny"))
        gateway.policy.delete("admissions", row)
        self.assert_in_kernel(gateway, a, b)

        gateway.policy.traffic(rate_up=1_000_000, burst_up=1_000_000)
        self.assert_soon(lambda: not self.goes_by_kernel(gateway, a, b), "what is metered is user space's")
        self.assertTrue(self.carries(a, b))
        gateway.policy.traffic(rate_up=None, burst_up=None)
        self.assert_in_kernel(gateway, a, b)

    def goes_by_kernel(self, gateway, a, b):
        before = self.in_kernel(gateway, "unknown")
        self.assertTrue(self.carries(a, b))
        return not eventually(lambda: self.in_kernel(gateway, "unknown") > before, timeout=2.5)

    def test_a_client_that_moves_is_followed_in_the_kernel(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        for client in (b, a):
            client.open_socket()
            client.bind()
            self.assert_in_kernel(gateway, a, b)

    def test_a_killed_gateway_leaves_no_program(self):
        gateway = self.relay_in_kernel()
        a, b = self.pair()
        self.assert_in_kernel(gateway, a, b)
        gateway.process.kill()
        gateway.wait()
        self.assert_soon(lambda: not self.has_program(), "it is gone")
        gateway.start()
        self.assert_in_kernel(gateway, a, b)

    # ---- what people see
    def test_sessions_say_in_words_what_a_client_was_refused_for(self):
        gateway = self.relay()
        a, b = self.pair(bind=False)
        a.bind()
        b.send_raw(b.control(b.message(BIND, 0)))
        self.assert_soon(lambda: self.drops(gateway, "zero_generation") == 1, "it is counted")
        (session,) = gateway.json("sessions")["sessions"]
        self.assertEqual((session["plugin"], session["leases"]), ("geneve-relay", [f"vni:{a.vni}"]))
        words = {a.keys.public: "bound", b.keys.public: "no handshake yet; refused 1 time: the generation is 0"}
        first, second = (words[key] for key in sorted(words))
        self.assertEqual(session["state"], f"first client: {first}. Second client: {second}")

    def test_each_cause_of_a_silent_drop_has_its_own_counter(self):
        gateway = self.relay(lanes=1, handshakes_per_second_of_a_source=0)
        a, b = self.pair()
        unbound_a, _ = self.pair(bind=False)
        stranger = Keys()
        asked = a.ask_to_bind()
        generation = int.from_bytes(asked[6:10], "big")
        wrong = self.net.socket("client", a.socket.family, a.socket.type)
        self.addCleanup(wrong.close)
        wrong.connect(a.relay)
        answer = bytes([ANSWER]) + asked[1:]
        causes = {
            "short_header": lambda: a.send_raw(b"\0\0\x7a"),
            "geneve_version": lambda: a.send(b"x", version=1),
            "unknown_vni": lambda: a.send_raw(geneve((a.vni + 4711) % 0xFFFFFF, b"x")),
            "control_protocol": lambda: a.send_raw(a.control(answer, protocol=0x1234)),
            "short_envelope": lambda: a.send_raw(geneve(a.vni, b"TS\xf0\x9f\x92\xac", True, DISCO)),
            "envelope_magic": lambda: a.send_raw(geneve(a.vni, bytes(100), True, DISCO)),
            "unknown_key": lambda: a.send_raw(a.control(answer, keys=stranger)),
            "box": lambda: a.send_raw(a.control(answer)[:-1] + b"?"),
            "long_message": lambda: a.send_raw(a.control(answer + bytes(1100))),
            "short_message": lambda: a.send_raw(a.control(answer[:20])),
            "message_type": lambda: a.send_raw(a.control(bytes([CHALLENGE]) + answer[1:])),
            "sealed_vni": lambda: a.send_raw(a.control(a.message(BIND, 7, vni=a.vni + 1))),
            "remote_key": lambda: a.send_raw(a.control(a.message(BIND, 7, other=stranger.public))),
            "zero_generation": lambda: a.send_raw(a.control(a.message(BIND, 0))),
            "other_generation": lambda: a.send_raw(a.control(a.message(ANSWER, generation + 1))),
            "wrong_challenge": lambda: a.send_raw(a.control(a.message(ANSWER, generation, b"?" * 32))),
            "no_handshake": lambda: b.send_raw(b.control(b.message(ANSWER, 1))),
            "not_bound": lambda: unbound_a.send(b"x"),
            "unbound_source": lambda: wrong.send(geneve(a.vni, b"x")),
            "no_geneve": lambda: a.send_raw(b"\1\0\0\0" + bytes(60)),
        }
        for cause, send in causes.items():
            with self.subTest(cause=cause):
                before = {name: self.drops(gateway, name) for name in causes}
                send()
                self.assert_soon(lambda: self.drops(gateway, cause) == before[cause] + 1, cause)
                changed = {name for name in causes if self.drops(gateway, name) != before[name]}
                self.assertEqual(changed, {cause})
        self.assertTrue(self.carries(a, b), "what is bound stays")

    # ---- small parts
    @staticmethod
    def drain(client):
        client.socket.setblocking(False)
        try:
            while True:
                client.socket.recv(65536)
        except OSError:
            client.socket.settimeout(3)

    @staticmethod
    def next_payload(client):
        """Of what comes next; a refused send of before is not the end."""
        while True:
            try:
                return client.receive()
            except ConnectionRefusedError:
                continue


if __name__ == "__main__":
    main()
