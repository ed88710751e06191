"""The program under test: writes its configuration, starts it in a namespace, watches it and stops it."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

from .policy import Policy
from .udpgw import Udpgw

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD", ROOT / "build" / "release"))
PROGRAM = BUILD / "bin" / "gatehouse"
METRICS = ("127.0.0.1", 9477)
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:")
SLOW = 4 if any(name in BUILD.name for name in ("asan", "tsan")) else 1  # sanitizers take their time


class Gateway:
    """`gatehouse run` with one configuration. Its files live under /run, which is the test's own tmpfs.

    `plugins`: name -> its table: the keys of [plugin.NAME]; a key "options" is [plugin.NAME.options].
    """

    count = 0

    def __init__(self, net, namespace, plugins, nofile=None, extra="", environment=None):
        Gateway.count += 1
        self.net, self.namespace, self.nofile = net, namespace, nofile
        self.base = pathlib.Path(f"/run/gatehouse-{Gateway.count}")
        self.state, self.runtime = self.base / "state", self.base / "run"
        self.config = self.base / "gatehouse.toml"
        self.policy = Policy(self.state / "policy.db")
        self.environment = dict(os.environ, **(environment or {}))
        self.process, self.log = None, []
        self.before, self.pass_fds = [], ()  # words before the program's, and descriptors that it is handed
        for folder in (self.state, self.runtime):
            folder.mkdir(parents=True, mode=0o750)
        self.write_config(plugins, extra)

    def write_config(self, plugins, extra=""):
        lines = ["[gateway]", f'state_dir = "{self.state}"', f'runtime_dir = "{self.runtime}"',
                 f'plugin_dirs = ["{BUILD / "plugins"}"]', "[log]", 'level = "debug"', "[metrics]",
                 f'listen = "{METRICS[0]}:{METRICS[1]}"']
        for name, table in plugins.items():
            options = table.get("options", {})
            lines.append(f"[plugin.{name}]")
            lines += [f"{key} = {toml(value)}" for key, value in table.items() if key != "options"]
            if options:
                lines.append(f"[plugin.{name}.options]")
                lines += [f"{key} = {toml(value)}" for key, value in options.items()]
        self.config.write_text("\n".join(lines) + "\n" + extra)

    def drop_in(self, text):
        """Puts `text` over the configuration, as a file in gatehouse.d; "" takes it away."""
        folder = self.config.with_suffix(".d")
        folder.mkdir(exist_ok=True)
        (folder / "50-test.toml").write_text(text)

    def init_policy(self):
        """Makes the starter policy.db before the first start, so that rows can be added to it."""
        done = self.cli("policy", "init")
        if done.returncode != 0:
            raise RuntimeError(f"gatehouse policy init: {done.stdout}{done.stderr}")
        return self.policy

    def start(self, ready=200, within=15):
        """Starts and waits until /readyz answers with that status."""
        self.spawn()
        deadline = time.monotonic() + within * SLOW
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self.wait()}:\n{self.text()}")
            if self.http("/readyz")[0] == ready:
                return self
            time.sleep(0.02)
        raise RuntimeError(f"/readyz did not come to {ready}, last {self.http('/readyz')}:\n{self.text()}")

    def spawn(self, *arguments):
        """Starts without waiting."""
        if not PROGRAM.exists():
            raise RuntimeError(f"{PROGRAM} is missing: build it first, or set GATEHOUSE_BUILD")
        self.process = self.net.popen(self.namespace, [*self.before, str(PROGRAM), "run", "--config", str(self.config), *arguments],
                                      nofile=self.nofile, pass_fds=self.pass_fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, errors="replace", env=self.environment)
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout, self.log), daemon=True)
        self._reader.start()

    @staticmethod
    def _read(stream, log):
        for line in stream:
            log.append(line)

    def text(self):
        """All that the gateway has printed so far."""
        return "".join(list(self.log))

    def wait(self, timeout=15):
        """Waits for the end and returns the exit status; a gateway that does not end is killed and reported."""
        try:
            status = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the gateway did not end within {timeout * SLOW} s:\n{self.text()}") from None
        self._reader.join(5)
        self.process.stdout.close()
        self.check_sanitizers()
        return status

    def stop(self, with_signal=signal.SIGINT):
        """Stops it and insists on a clean end."""
        if self.process is None or self.process.stdout.closed:
            return
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        status = self.wait()
        if status != 0:
            raise RuntimeError(f"the gateway ended with {status}:\n{self.text()}")

    def check_sanitizers(self):
        if SANITIZER.search(self.text()):
            raise RuntimeError(f"a sanitizer spoke:\n{self.text()}")

    def cli(self, *words, input=None, config=True, timeout=60):
        """Runs a `gatehouse` verb in the gateway's namespace."""
        where = ["--config", str(self.config)] if config else []
        return self.net.run(self.namespace, [str(PROGRAM), *words, *where], check=False, input=input,
                            env=self.environment, timeout=timeout)

    def json(self, *words):
        """A verb's --json output, read."""
        done = self.cli(*words, "--json")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            raise RuntimeError(f"gatehouse {' '.join(words)} --json printed no JSON: {done}") from None

    def policy_in_force(self):
        """Is the present revision of policy.db published? A higher generation may also come from addresses."""
        revision = int(self.policy.sql("SELECT revision FROM meta;"))
        return self.json("status")["policy"]["revision"] == revision

    def http(self, path):
        """(status, body) of the metrics listener, or (0, why)."""
        try:
            with self.net.connect(self.namespace, *METRICS, timeout=5) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {METRICS[0]}\r\nConnection: close\r\n\r\n".encode())
                reply = b""
                while chunk := connection.recv(65536):
                    reply += chunk
        except OSError as error:
            return 0, str(error)
        head, _, body = reply.partition(b"\r\n\r\n")
        words = head.split()
        return (int(words[1]) if len(words) > 1 else 0), body.decode(errors="replace")

    def metric(self, name, **labels):
        """The sum of all series of that name whose labels include the given ones; 0 where there is none."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            found = re.fullmatch(r"([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)(?: .*)?", line)
            if found and found[1] == name:
                has = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                if all(has.get(key) == value for key, value in labels.items()):
                    total += float(found[3])
        return total

    def udpgw(self, host="127.0.0.1", port=7300, namespace=None):
        """A udpgw client, by default over the gateway's own loopback."""
        return Udpgw(self.net.connect(namespace or self.namespace, host, port))

    def udp_sockets(self):
        """Connected UDP sockets in the gateway's namespace: one per forward."""
        tables = self.net.run(self.namespace, ["cat", "/proc/net/udp", "/proc/net/udp6"]).stdout
        return sum(" 01 " in line for line in tables.splitlines())

    def kernel_drops(self):
        """Datagrams that the kernel dropped because a socket's receive buffer was full."""
        tables = self.net.run(self.namespace, ["cat", "/proc/net/udp", "/proc/net/udp6"]).stdout
        return sum(int(line.split()[-1]) for line in tables.splitlines() if " 01 " in line)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def busy(self, seconds=1.0):
        """The share of one core that it uses over that time."""
        before, start = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - start)

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def toml(value):
    """A Python value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return str(value) if isinstance(value, (int, float)) else json.dumps(str(value))
