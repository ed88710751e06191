#!/usr/bin/env python3
"""geneve-relay: what a client was refused for, as `gatehouse sessions --plugin geneve-relay` prints it.

      client                        gateway                              internet
    10.77.0.2, fd77::2  --------  10.77.0.1, .9, fd77::1, ::9
                                  93.184.0.1, .9, 2a00:a::1, ::9  -----  93.184.0.10, 2a00:a::10
"""

import re

from harness import main
from harness.relay import ANSWER, BIND, CHALLENGE, Keys
from harness.relay_case import RelayTest


class Refusals(RelayTest):
    def words_of(self, gateway, client):
        """What the session of the client's endpoint says of it, out of what people read."""
        done = gateway.cli("sessions", "--plugin", "geneve-relay")
        self.assertEqual(done.returncode, 0, done)
        (line,) = [line for line in done.stdout.splitlines() if f"vni:{client.vni}" in line]
        first, second = re.search(r"first client: (.*)\. Second client: (.*?)  ", line).groups()
        return first if client.keys.public < client.other else second

    def assert_refused(self, gateway, client, cause, sentence):
        """The drop is counted, and the session's last word on the client."""
        self.assert_soon(lambda: self.drops(gateway, cause) > 0, f"it is counted: {cause}")
        self.assert_soon(lambda: self.words_of(gateway, client).endswith(f": {sentence}"), cause)
        self.assertRegex(self.words_of(gateway, client), r"; refused \d+ times?(, last)?: ")

    def test_handshakes(self):
        gateway = self.relay(lanes=1, handshakes_per_second_of_a_source=0)
        a, b = self.pair()
        self.assertEqual(self.words_of(gateway, a), "bound")
        asked = a.ask_to_bind()
        generation = int.from_bytes(asked[6:10], "big")
        answer = bytes([ANSWER]) + asked[1:]
        refused = {
            "box": (a.control(answer)[:-1] + b"?",
                    "the box does not open: sealed for another relay or by another key, or changed under way"),
            "long_message": (a.control(answer + bytes(1100)), "the message is larger than any of a client's"),
            "short_message": (a.control(answer[:20]), "the message is too short for its type"),
            "message_type": (a.control(bytes([CHALLENGE]) + answer[1:]), "the message is neither a Bind nor an Answer"),
            "sealed_vni": (a.control(a.message(BIND, 7, vni=a.vni + 1)), "the VNI in the box is not the header's"),
            "remote_key": (a.control(a.message(BIND, 7, other=Keys().public)),
                           "the remote key is not the other client's"),
            "zero_generation": (a.control(a.message(BIND, 0)), "the generation is 0"),
            "other_generation": (a.control(a.message(ANSWER, generation + 1)),
                                 "an Answer of another generation than the handshake in progress"),
            "wrong_challenge": (a.control(a.message(ANSWER, generation, b"?" * 32)),
                                "the Answer's challenge is not the one for its source: the address changed, or it "
                                "came late"),
        }
        for cause, (datagram, sentence) in refused.items():
            with self.subTest(cause=cause):
                a.send_raw(datagram)
                self.assert_refused(gateway, a, cause, sentence)
                self.assertTrue(self.words_of(gateway, a).startswith("bound, and challenged again; "))
        self.assertEqual(self.words_of(gateway, b), "bound", "nothing of that is the other's")
        a.send_raw(a.control(answer))
        self.assert_soon(lambda: self.words_of(gateway, a).startswith("bound; "), "the handshake is over")
        a.send_raw(a.control(answer))
        self.assert_refused(gateway, a, "no_handshake", "an Answer, and no handshake is in progress")

    def test_too_many_handshakes(self):
        gateway = self.relay(handshakes_per_second_of_a_source=1)
        a, b = self.pair(bind=False)
        for generation in range(1, 30):
            a.send_raw(a.control(a.message(BIND, generation)))
        self.assert_refused(gateway, a, "handshake_limit", "too many handshakes at a time")
        self.assertEqual(self.words_of(gateway, b), "no handshake yet")

    def test_data_before_both_are_bound(self):
        gateway = self.relay()
        a, b = self.pair(bind=False)
        a.bind()
        self.assert_soon(lambda: self.words_of(gateway, a) == "bound", "a is bound")
        a.send(b"early")
        self.assert_refused(gateway, a, "not_bound", "data before both clients were bound")
        self.assertEqual(self.words_of(gateway, b), "no handshake yet")

    def test_policy(self):
        gateway = self.relay()
        a, b = self.pair()
        self.assert_cut(gateway, a, b,
                        lambda: gateway.policy.insert("admissions", plugin="geneve-relay", action="deny"))
        for client in (a, b):
            self.assert_refused(gateway, client, "denied", "policy does not let a client be at this address")

    def test_rates_and_quotas(self):
        for cause, sentence, rules in (
                ("rate", "data beyond the bytes a second that a traffic rule allows",
                 {"rate_up": 1000, "burst_up": 2000, "rate_down": 1000, "burst_down": 2000}),
                ("quota", "data beyond a traffic rule's quota", {"scope": "identity", "quota_bytes": 2000})):
            with self.subTest(cause=cause):
                gateway = self.relay(policy=lambda db, rules=rules: db.traffic(**rules))
                a, b = self.pair()
                for _ in range(10):
                    a.send(bytes(500))
                self.assert_refused(gateway, a, cause, sentence)
                self.assertEqual(self.words_of(gateway, b), "bound", "who sends nothing is refused nothing")
                gateway.stop()


if __name__ == "__main__":
    main()
