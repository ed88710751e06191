#!/usr/bin/env python3
"""geneve-relay at its start: what it tries out of the kernel, as the namespace's own counters of datagrams show.

      client                        gateway                              internet
    10.77.0.2, fd77::2  --------  10.77.0.1, .9, fd77::1, ::9
                                  93.184.0.1, .9, 2a00:a::1, ::9  -----  93.184.0.10, 2a00:a::10
"""

import time

from harness import main
from harness.gateway import SLOW
from harness.relay_case import RelayTest


class Start(RelayTest):
    def received(self):
        """Datagrams that programs of the gateway's namespace have read."""
        lines = self.net.run("gateway", ["cat", "/proc/net/snmp"]).stdout.splitlines()
        names, values = (line.split() for line in lines if line.startswith("Udp:"))
        return int(values[names.index("InDatagrams")])

    def tried_by_a_start(self, **relay):
        before = self.received()
        gateway = self.relay(**relay)
        out = self.received_at_last() - before
        gateway.stop()
        return out

    def received_at_last(self):
        """Once no more come."""
        out, latest = None, self.received()
        while out != latest:
            time.sleep(0.3 * SLOW)
            out, latest = latest, self.received()
        return out

    def test_segmentation_is_tried_once_whatever_the_number_of_sockets(self):
        by_one = self.tried_by_a_start(lanes=1)
        self.assertGreater(by_one, 0)
        self.assertEqual(self.tried_by_a_start(lanes=4), by_one)

    def test_segmentation_is_not_tried_where_it_is_not_wanted(self):
        self.assertEqual(self.tried_by_a_start(lanes=4, gso="off"), 0)


if __name__ == "__main__":
    main()
