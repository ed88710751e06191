#!/usr/bin/env python3
"""geneve-relay and senders that coalesce: one UDP_SEGMENT send is one buffer all the way through the veth.

The topology is harness/relay_case.py's.
"""

import os

from harness import GATEWAY, main
from harness.relay import Keys, RelayClient, allocate, geneve
from harness.relay_case import API, LANES, OUTSIDE, PORT, RelayTest

WAYS = [(way, what) for way in ("received", "sent") for what in ("messages", "datagrams")]
SIZE, LAST = 1000, 300  # bytes of UDP payload


class Coalesced(RelayTest):
    def counts(self, gateway):
        """(messages, datagrams) received, and sent; the plugin tells them ten times a second."""
        return tuple(gateway.metric(f"gatehouse_plugin_geneve_relay_udp_{what}_total", way=way) for way, what in WAYS)

    def settled_counts(self, gateway):
        """What is counted once nothing is relayed any more."""
        seen = [self.counts(gateway)]

        def stays():
            seen.append(self.counts(gateway))
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        self.assert_soon(stays, "counters stay as they are")
        return seen[-1]

    def assert_counts(self, gateway, before, *wanted):
        """So many messages and datagrams were received since, and sent."""
        def since():
            return tuple(now - then for now, then in zip(self.counts(gateway), before))

        self.assert_soon(lambda: since() == wanted, f"{wanted} are counted", 3)

    @staticmethod
    def datagrams(vnis, last=SIZE):
        """One of each VNI, in that order; the last one of that size."""
        sizes = [SIZE] * (len(vnis) - 1) + [last]
        return [geneve(vni, os.urandom(size - 8)) for vni, size in zip(vnis, sizes)]

    def assert_come(self, client, datagrams):
        """Just these, as they were sent and in their order."""
        for number, datagram in enumerate(datagrams):
            self.assertEqual(client.socket.recv(65536), datagram, number)
        self.assertTrue(client.hears_nothing())

    def test_a_buffer_of_one_endpoint_leaves_as_it_came(self):
        gateway = self.relay()
        for near, far in ((GATEWAY[0], OUTSIDE[0]), (GATEWAY[1], OUTSIDE[1]), (GATEWAY[0], OUTSIDE[1]), (GATEWAY[1], OUTSIDE[0])):
            for last in (SIZE, LAST):
                with self.subTest(near=near, far=far, last=last):
                    a, b = self.pair(near, far)
                    before = self.settled_counts(gateway)
                    there, back = self.datagrams([a.vni] * 40, last), self.datagrams([a.vni] * 30, last)
                    a.send_together(there)
                    self.assert_come(b, there)
                    self.assert_counts(gateway, before, 1, 40, 1, 40)
                    b.send_together(back)
                    self.assert_come(a, back)
                    self.assert_counts(gateway, before, 2, 70, 2, 70)

    def test_without_gso_each_leaves_alone(self):
        gateway = self.relay(gso="off")
        a, b = self.pair()
        before = self.settled_counts(gateway)
        sent = self.datagrams([a.vni] * 40, LAST)
        a.send_together(sent)
        self.assert_come(b, sent)
        self.assert_counts(gateway, before, 1, 40, 40, 40)

    def test_where_a_kernel_corrupts_runs_of_equal_length_none_is_sent(self):
        """A byte that no client takes for anything makes the last one shorter, as the reference has it."""
        gateway = self.relay(gso="never-equal-tail")
        a, b = self.pair()
        for last, more in ((SIZE, [b"\x07"]), (LAST, [])):
            with self.subTest(last=last):
                before = self.settled_counts(gateway)
                sent = self.datagrams([a.vni] * 40, last)
                a.send_together(sent)
                self.assert_come(b, sent + more)
                self.assert_counts(gateway, before, 1, 40, 1, 40)

    def two_endpoints_of_one_socket(self, is_one_lane):
        """A client, its two peers and the endpoint with each, both of one lane or not."""
        a = RelayClient(self.net, "client", GATEWAY[0], PORT)
        self.addCleanup(a.close)
        peers, vnis = [], []
        while len(peers) < 2:
            keys = Keys()
            endpoint = allocate(API, a.keys, keys)
            if vnis and (endpoint["VNI"] % LANES == vnis[0] % LANES) != is_one_lane:
                continue
            peer = RelayClient(self.net, "internet", OUTSIDE[0], PORT, keys)
            self.addCleanup(peer.close)
            for client in (a, peer):
                client.of(endpoint).bind()
            self.assert_soon(lambda: self.carries(a, peer), "data comes through")
            peers.append(peer)
            vnis.append(endpoint["VNI"])
        return a, peers, vnis

    def test_a_buffer_of_two_endpoints_is_sorted_by_them(self):
        gateway = self.relay()
        for is_one_lane in (True, False):
            with self.subTest(is_one_lane=is_one_lane):
                a, peers, vnis = self.two_endpoints_of_one_socket(is_one_lane)
                before = self.settled_counts(gateway)
                handed_over = self.handed_over(gateway)
                sent = self.datagrams([vnis[at] for at in (0, 0, 0, 1, 1, 0, 1, 1, 1, 0) * 4])
                a.send_together(sent)
                for peer, vni in zip(peers, vnis):
                    self.assert_come(peer, [one for one in sent if one[4:7] == vni.to_bytes(3, "big")])
                self.assert_soon(lambda: self.counts(gateway)[3] - before[3] == 40, "40 have left")
                received, taken, messages, _ = (now - then for now, then in zip(self.counts(gateway), before))
                self.assertEqual((received, taken), (1, 40))
                self.assertLess(messages, 20)
                if is_one_lane:
                    self.assertEqual(messages, 2, "what goes to one address leaves together, in whatever order it came")
                    self.assertEqual(self.handed_over(gateway), handed_over)
                else:
                    self.assert_soon(lambda: self.handed_over(gateway) == handed_over + 20, "the other lane has them")

    @staticmethod
    def handed_over(gateway):
        return gateway.metric("gatehouse_plugin_geneve_relay_handed_over_total")


if __name__ == "__main__":
    main()
