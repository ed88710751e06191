"""Network namespaces: the process's own private one, and named ones inside it, joined by veth pairs.

`enter()` puts the whole test into a fresh network and mount namespace, so that whatever it makes is gone with its
last process, however it ends. Children die with the test (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

ENTERED = "GATEHOUSE_TEST_NAMESPACES"
SKIPPED = 77  # what ctest takes for "skipped"
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def skip(reason):
    """Ends the whole test file as skipped; ctest shows the reason."""
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(SKIPPED)


def enter():
    """Starts this program again inside namespaces of its own, once. Skips the test where neither way is open."""
    if os.environ.get(ENTERED):
        subprocess.run("mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up", shell=True, check=True)
        return
    for tool in ("unshare", "nsenter", "setpriv", "prlimit", "ip"):
        if shutil.which(tool) is None:
            skip(f"{tool} is not installed; scripts/deps.sh installs it")
    refusal = ""
    for flags in (["-nm"] if os.geteuid() == 0 else []), ["-Urnm"]:
        if not flags:
            continue
        trial = subprocess.run(["unshare", *flags, "sh", "-c", "mount -t tmpfs tmpfs /run && ip link set lo up"],
                               capture_output=True, text=True)
        if trial.returncode == 0:
            os.environ[ENTERED] = "1"
            os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])
        refusal = trial.stderr.strip()
    skip(f"no network namespaces here, neither as root nor with `unshare -Urnm`: {refusal}")


class Net:
    """Named namespaces with addresses. Not thread-safe, except `socket`."""

    def __init__(self):
        self._made = []
        self._children = []
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def namespace(self, name):
        """Makes a namespace with loopback up and IPv6 addresses that are usable at once."""
        _ip("netns", "add", name)
        self._made.append(name)
        _ip("-n", name, "link", "set", "lo", "up")
        for scope in ("all", "default"):
            self.sysctl(name, f"net.ipv6.conf.{scope}.accept_dad", 0)
        self.sysctl(name, "net.ipv4.conf.all.forwarding", 0)  # Linux gives a new namespace what the machine has

    def link(self, a, a_addresses, b, b_addresses):
        """Joins two namespaces by a veth pair; each end is named `to_<other>` and gets the given addresses."""
        _ip("link", "add", f"to_{b}", "netns", a, "type", "veth", "peer", "name", f"to_{a}", "netns", b)
        for here, there, addresses in ((a, b, a_addresses), (b, a, b_addresses)):
            for address in addresses:
                _ip("-n", here, "address", "add", address, "dev", f"to_{there}", *_nodad(address))
            _ip("-n", here, "link", "set", f"to_{there}", "up")

    def address(self, name, device, address):
        _ip("-n", name, "address", "add", address, "dev", device, *_nodad(address))

    def route(self, name, destination, gateway):
        _ip("-n", name, "route", "add", destination, "via", gateway)

    def sysctl(self, name, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        self.run(name, ["sh", "-c", f"echo '{value}' > {path}"])

    @contextlib.contextmanager
    def inside(self, name):
        """This thread in the namespace."""
        with open(f"/run/netns/{name}", "rb") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(self._home)

    def socket(self, name, family, kind, protocol=0):
        """A socket that lives in the namespace, for use from this process."""
        with self.inside(name):
            return socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)

    def open_tun(self, name, device, flags=0):
        """The descriptor of a new tun device in the namespace, with IFF_ flags beside IFF_TUN and IFF_NO_PI."""
        with self.inside(name):
            out = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(out, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x1001 | flags))  # TUNSETIFF
        return out

    def connect(self, name, host, port, timeout=10):
        """A TCP connection made inside the namespace, with TCP_NODELAY."""
        connection = self.socket(name, family_of(host), socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect((host, port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            connection.close()
            raise
        return connection

    def command(self, name, argv, nofile=None):
        """`argv` as it runs inside the namespace. Each step execs the next: the pid is the program's own."""
        limit = ["prlimit", f"--nofile={nofile}:{nofile}"] if nofile else []
        return ["nsenter", f"--net=/run/netns/{name}", "setpriv", "--pdeathsig", "KILL", *limit, *argv]

    def run(self, name, argv, check=True, timeout=60, **options):
        """Runs to the end; the result has stdout and stderr as text."""
        done = subprocess.run(self.command(name, argv), capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)} failed with {done.returncode}: {done.stderr.strip()}")
        return done

    def popen(self, name, argv, nofile=None, **options):
        """Starts a program that close() ends if it still runs."""
        child = subprocess.Popen(self.command(name, argv, nofile), **options)
        self._children.append(child)
        return child

    def close(self):
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for name in self._made:
            _ip("netns", "delete", name)
        self._children, self._made = [], []


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _nodad(address):
    return ["nodad"] if ":" in address else []


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
