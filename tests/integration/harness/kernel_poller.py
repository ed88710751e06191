"""The kernel's own thread for an interface: what the packets that come by it cost can be read and pinned there."""

import contextlib
import os
import pathlib


class KernelPoller:
    """From now on the kernel polls the interface in a thread of its own (threaded NAPI), whatever the interface has."""

    def __init__(self, net, namespace, device):
        before = self._find(device)
        net.run(namespace, ["unshare", "--mount", "sh", "-c",
                            f"mount -t sysfs sysfs /sys && echo 1 > /sys/class/net/{device}/threaded"])
        self.threads = self._find(device) - before

    @staticmethod
    def _find(device):
        out = set()
        for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):  # it has ended
                if comm.read_text().startswith(f"napi/{device}"[:15]):
                    out.add(comm.parent)
        return out

    def __bool__(self):
        """Is there one? Not where the interface is not polled, nor in another pid namespace than the kernel's."""
        return bool(self.threads)

    def pin(self, processor):
        for thread in self.threads:
            os.sched_setaffinity(int(thread.name), {processor})

    def spent_ns(self):
        """Of processor time, so far."""
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in self.threads)
