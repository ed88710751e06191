#!/usr/bin/env python3
"""A plugin that asks for clients which it does not have is refused, counted and named in the log.

The plugin is tests/conformance_faults/faulty.c, which asks for the limits of each client that it has closed.
"""

from harness import BUILD, GatewayTest, main

FAULTY = BUILD / "conformance-faults/client-after-close.so"
PLUGINS = {"careless": {"path": str(FAULTY), "lanes": 1, "listen": ["127.0.0.1:7500"]}}


class StrangeClients(GatewayTest):
    def setUp(self):
        if not FAULTY.is_file():
            self.skipTest(f"{FAULTY} is not built: there are none with a sanitizer")

    def calls(self, gateway):
        return gateway.metric("gatehouse_policy_strange_clients_total", plugin="careless")

    def test_are_counted_and_named_once(self):
        gateway = self.gateway(plugins=PLUGINS)
        self.assertEqual(self.calls(gateway), 0)
        for number in (1, 2, 3):
            self.net.connect("gateway", "127.0.0.1", 7500).close()
            self.assert_soon(lambda: self.calls(gateway) == number, f"call {number} is counted")
        self.assert_says(gateway, "the plugin careless has asked")
        self.assertEqual(gateway.text().count("the plugin careless has asked"), 1, "the next line is ten minutes later")


if __name__ == "__main__":
    main()
