"""Resolvers that are given a block list as their own configuration: dnsmasq and unbound, each in a namespace, with an
upstream that knows every name. What they answer is what a list in their format means."""

import pathlib
import shutil
import socket
import struct
import subprocess
import threading

from .case import eventually
from .dns import A, NOERROR, answer, query

UPSTREAM = "198.51.100.7"  # what the upstream says of every name
PORT = 5353


def why_missing():
    """None, or why they cannot run here."""
    missing = [name for name in ("dnsmasq", "unbound") if shutil.which(name) is None]
    return f"{missing[0]} is not installed; scripts/deps.sh installs it" if missing else None


class Upstream:
    """Answers each question about an A record on 127.0.0.9 with UPSTREAM, until stop()."""

    def __init__(self, net, namespace):
        self._socket = net.socket(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.9", 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while message := self._take():
            data, asker = message
            end = 12
            while data[end] != 0:
                end += 1 + data[end]
            kind = struct.unpack_from(">H", data, end + 1)[0]
            record = struct.pack(">HHHIH", 0xC00C, A, 1, 60, 4) + socket.inet_aton(UPSTREAM) if kind == A else b""
            head = data[:2] + struct.pack(">5H", 0x8180, 1, 1 if record else 0, 0, 0)
            self._socket.sendto(head + data[12:end + 5] + record, asker)

    def _take(self):
        try:
            data, asker = self._socket.recvfrom(4096)
        except OSError:
            return None
        return (data, asker) if data else None

    def stop(self):
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()


class Resolver:
    """A running one; its constructor returns when it answers."""

    def __init__(self, net, namespace, argv):
        self._net, self._namespace = net, namespace
        self._process = net.popen(namespace, argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        if not eventually(lambda: self.addresses("up.example") or self._process.poll() is not None, timeout=10):
            raise RuntimeError(f"{argv[0]} does not answer")
        if self._process.poll() is not None:
            raise RuntimeError(f"{argv[0]} ended:\n{self._process.stdout.read()}")

    def addresses(self, name):
        """Of an answer to the question for A records; None where there was none."""
        with self._net.socket(self._namespace, socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(2)
            try:
                asker.sendto(query(name), ("127.0.0.1", PORT))
                found = answer(asker.recv(4096))
            except OSError:
                return None
        return found.addresses if found.rcode == NOERROR else []

    def blocks(self, name):
        """Is there no address, or one that says nowhere?"""
        addresses = self.addresses(name)
        if addresses is None:
            raise RuntimeError(f"no answer about {name}")
        return all(address.startswith(("0.", "127.")) for address in addresses)

    def stop(self):
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()


def dnsmasq(net, namespace, folder, text, hosts=None):
    """With `text` in its configuration file, or with a hosts file."""
    config = pathlib.Path(folder) / "dnsmasq.conf"
    config.write_text(f"port={PORT}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\ncache-size=0\n"
                      f"server=127.0.0.9\nuser=root\ngroup=root\npid-file={folder}/dnsmasq.pid\n{text}")
    more = []
    if hosts is not None:
        path = pathlib.Path(folder) / "hosts"
        path.write_text(hosts)
        more = [f"--addn-hosts={path}"]
    return Resolver(net, namespace, ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", *more])


def unbound(net, namespace, folder, text="", zone=None):
    """With `text` as server options, or with a response policy zone."""
    folder = pathlib.Path(folder)
    rpz = ""
    if zone is not None:
        (folder / "rpz.zone").write_text(zone)
        rpz = f'rpz:\n  name: rpz.local\n  zonefile: "{folder}/rpz.zone"\n'
    (folder / "unbound.conf").write_text(f"""server:
  interface: 127.0.0.1@{PORT}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  num-threads: 1
  do-not-query-localhost: no
  module-config: "{'respip ' if zone is not None else ''}iterator"
{text}
forward-zone:
  name: "."
  forward-addr: 127.0.0.9
remote-control:
  control-enable: no
{rpz}""")
    program = folder / "unbound"  # not where a profile of the system's would keep it to its own files
    shutil.copy2(shutil.which("unbound"), program)
    return Resolver(net, namespace, [str(program), "-d", "-c", str(folder / "unbound.conf")])
