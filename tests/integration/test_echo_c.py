#!/usr/bin/env python3
"""echo-c: the border needs no C++. Loaded, served, admitted by policy, drained."""

import os
import threading

from harness import BUILD, GATEWAY, GatewayTest, main
from harness.gateway import ROOT


class EchoC(GatewayTest):
    def run_echo(self, **table):
        return self.gateway(plugins={"echo-c": {"listen": [{"address": "0.0.0.0:7007", "auth": "none"}], **table}})

    def connect(self):
        stream = self.net.connect("client", GATEWAY[0], 7007)
        self.addCleanup(stream.close)
        return stream

    def test_it_is_two_hundred_lines(self):
        self.assertLessEqual(len((ROOT / "plugins/echo-c/echo_c.c").read_text().splitlines()), 200)

    def test_it_links_no_cxx(self):
        needed = self.net.run("gateway", ["objdump", "-p", str(BUILD / "plugins" / "echo-c.so")]).stdout
        self.assertNotIn("libstdc++", needed)

    def test_streams_come_back_whole_from_each_lane(self):
        gateway = self.run_echo(lanes=2)
        streams = [self.connect() for _ in range(40)]
        for number, stream in enumerate(streams):
            stream.sendall(b"stream %d" % number)
        for number, stream in enumerate(streams):
            self.assertEqual(stream.recv(100), b"stream %d" % number)
        sent = os.urandom(5_000_000)
        sender = threading.Thread(target=lambda: (streams[0].sendall(sent), streams[0].shutdown(1)))
        sender.start()
        got = b""
        while part := streams[0].recv(1 << 20):
            got += part
        sender.join()
        self.assertTrue(got == sent)
        self.assertEqual(gateway.json("status")["state"], "ok")

    def test_policy_says_who_may_come(self):
        gateway = self.run_echo()
        self.assertTrue(self.echoes())
        row = gateway.policy.insert("admissions", plugin="echo-c", action="deny")
        self.assert_soon(gateway.policy_in_force, "the row is in force")
        self.assert_soon(lambda: not self.echoes(), "nobody is admitted")
        self.assert_says(gateway, "policy does not admit it")
        gateway.policy.delete("admissions", row)
        self.assert_soon(self.echoes, "everybody is admitted again")

    def echoes(self):
        stream = self.connect()
        try:
            stream.sendall(b"hello")
            return stream.recv(100) == b"hello"
        except ConnectionError:
            return False


if __name__ == "__main__":
    main()
