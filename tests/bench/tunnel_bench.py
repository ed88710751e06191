#!/usr/bin/env python3
"""The packet tunnel against the bare pair of loops: iperf3 through both, in turn, in namespaces; nothing is pinned.

    tests/bench/tunnel_bench.py                          five rounds; JSON on stdout, progress on stderr
    tests/bench/tunnel_bench.py --only tcp_up --rounds 9 --seconds 3
    tests/bench/tunnel_bench.py --wire nic               packets of the MTU on every wire, as a usual NIC has them
    tests/bench/tunnel_bench.py --client floor           the bare loop as the gateway's client, to see the server alone
    tests/bench/tunnel_bench.py --tls                    over TLS (the bare loops stay plain)
    tests/bench/tunnel_bench.py --features none          the client asks for no large frames
    tests/bench/tunnel_bench.py --features both          with and without, in turn, and no bare loops
    tests/bench/tunnel_bench.py --peer wireguard-go --peer openvpn     these beside, where they are installed
    tests/bench/tunnel_bench.py --smoke                  a second of each, to see that everything runs

    client 172.31.1.2 ---- veth ---- 172.31.1.1 server 198.18.0.1 ---- veth ---- 198.18.0.2 internet

Figures of each shape: Gbit/s or thousands of packets a second, CPU seconds of the server and of the client per GB that
arrived; `rtt` in microseconds, idle and under a full TCP download. 198.18.0.0/24 and 2001:2::/64 are bogons, so two
rows of policy permit them.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import net as namespaces  # noqa: E402
from harness.net import Net  # noqa: E402
from harness.policy import Policy  # noqa: E402
from harness.tls import Authority  # noqa: E402
from tunnel_peers import PEERS  # noqa: E402

BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD", ROOT / "build" / "release"))
BIN = BUILD / "bin"
DEVICE, PORT = "tunnel0", 7400
SERVER, INTERNET = "172.31.1.1", "198.18.0.2"
SHAPES = ("tcp_up", "tcp_down", "tcp_up_4", "tcp_down_4", "udp64_up", "udp64_down", "rtt_idle", "rtt_down")
RATE_GOAL, CPU_GOAL = 0.9, 1.35  # times the bare loop's

ROUND_TRIPS = """
import json, socket, sys, time
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.connect((sys.argv[1], 9001))
one.settimeout(0.5)
took, lost = [], 0
for number in range(int(sys.argv[2])):
    payload = number.to_bytes(8, "big") + bytes(56)
    start = time.perf_counter_ns()
    one.send(payload)
    try:
        while one.recv(2048)[:8] != payload[:8]:
            pass
        took.append((time.perf_counter_ns() - start) / 1000)
    except OSError:
        lost += 1
    time.sleep(float(sys.argv[3]))
took.sort()
print(json.dumps({"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "lost": lost}))
"""
TRIES = 3  # of iperf3
ECHO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("198.18.0.2", 9001))
while True:
    data, source = one.recvfrom(2048)
    one.sendto(data, source)
"""


def end_of(output):
    """What iperf3 says at its end; None: it has no result. Its server closes a socket twice now and then."""
    try:
        end = json.loads(output)["end"]
    except (ValueError, KeyError):
        return None
    return end if "sum" in end or "sum_received" in end else None


class Bench:
    """The topology, and one tunnel at a time through it."""

    def __init__(self, options):
        self.options, self.net = options, Net()
        self.device, self.server, self.port = DEVICE, SERVER, PORT
        for name in ("client", "server", "internet"):
            self.net.namespace(name)
        self.net.link("client", ["172.31.1.2/24"], "server", ["172.31.1.1/24"])
        self.net.link("server", ["198.18.0.1/24", "2001:2::1/64"], "internet", ["198.18.0.2/24", "2001:2::2/64"])
        if options.wire == "nic":
            for name, device in (("client", "to_server"), ("server", "to_client"), ("server", "to_internet"),
                                 ("internet", "to_server")):
                self.net.run(name, ["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "on",
                                    "tx-udp-segmentation", "off"])
        self.net.popen("internet", ["iperf3", "-s", "-B", INTERNET], stdout=subprocess.DEVNULL)
        self.net.popen("internet", [sys.executable, "-c", ECHO])
        self.folder = pathlib.Path("/run/bench")
        self.folder.mkdir()

    def start_floor(self):
        server = self.net.popen("server", [str(BIN / "tunnel_floor"), "server", SERVER, str(PORT), DEVICE])
        time.sleep(0.3)
        client = self.net.popen("client", [str(BIN / "tunnel_floor"), "client", SERVER, str(PORT), DEVICE])
        time.sleep(0.2)
        self.net.run("server", ["ip", "address", "add", "10.0.0.1/8", "dev", DEVICE])
        self.net.run("server", ["ip", "link", "set", DEVICE, "up"])
        self.net.run("server", ["ip", "route", "add", "172.16.0.0/24", "dev", DEVICE])
        self.masquerade()
        self.set_up_client_device()
        return server, client

    def masquerade(self):
        """As the gateway does by itself."""
        self.net.run("server", ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        self.net.run("server", ["nft", "table inet floor { chain post { type nat hook postrouting priority 100; "
                                       "ip saddr 172.16.0.0/24 masquerade; }; }"])

    def stop(self, processes):
        self.net.run("server", ["nft", "delete", "table", "inet", "floor"], check=False)
        end(processes)

    def start_gateway(self, build, words):
        base = self.folder / "gateway"
        shutil.rmtree(base, ignore_errors=True)
        for folder in ("state", "run"):
            (base / folder).mkdir(parents=True, mode=0o750)
        config, tls = base / "gatehouse.toml", ""
        if self.options.tls:
            self.authority = Authority(base / "ca")
            certificate, key = self.authority.issue("server", f"IP:{SERVER}")
            tls = f', tls = {{ certificate = "{certificate}", key = "{key}" }}'
        config.write_text(f"""[gateway]
state_dir = "{base}/state"
runtime_dir = "{base}/run"
plugin_dirs = ["{build}/plugins"]
[plugin.packet-tunnel]
lanes = {self.options.lanes}
listen = [{{ address = "{SERVER}:{PORT}", auth = "none"{tls} }}]
[plugin.packet-tunnel.options]
dns_resolvers = ["198.18.0.53"]
""")
        program = str(pathlib.Path(build) / "bin" / "gatehouse")
        self.net.run("server", [program, "policy", "init", "--config", str(config)])
        policy = Policy(base / "state" / "policy.db")
        for destination in ("198.18.0.0/24", "2001:2::/64"):
            policy.insert("port_permits", destination=destination, priority=1)
        server = self.net.popen("server", [program, "run", "--config", str(config)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.wait_for("server", "gatehouse0", server)
        time.sleep(0.3)
        if self.options.client == "floor":
            client = self.net.popen("client", [str(BIN / "tunnel_floor"), "client", SERVER, str(PORT), DEVICE, "http"])
            time.sleep(0.3)
            self.set_up_client_device()
        else:
            more = ["--tls", "--ca", str(self.authority.certificate)] if self.options.tls else []
            client = self.net.popen("client", [str(pathlib.Path(build) / "bin" / "gatehouse-tunnel"),
                                               f"{SERVER}:{PORT}", "--device", DEVICE, "--only", "198.18.0.0/24",
                                               "--no-dns", *words, *more], stdout=subprocess.DEVNULL)
            self.wait_for("client", DEVICE, client, route="198.18.0.0/24")
        return server, client

    def set_up_client_device(self):
        self.net.run("client", ["ip", "address", "add", "172.16.0.1/24", "dev", DEVICE])
        self.net.run("client", ["ip", "link", "set", DEVICE, "up"])
        self.net.run("client", ["ip", "route", "replace", "198.18.0.0/24", "dev", DEVICE])

    def wait_for(self, namespace, device, process, route=None, is_up=True):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args} has ended with {process.returncode}")
            shown = self.net.run(namespace, ["ip", "link", "show", device, *(["up"] if is_up else [])],
                                 check=False).stdout
            routes = self.net.run(namespace, ["ip", "route", "show", "table", "all"]).stdout
            if f"{device}:" in shown and (route is None or route in routes):
                return
            time.sleep(0.05)
        raise RuntimeError(f"no {device} in {namespace}")

    def measure(self, shape, processes):
        if shape.startswith("rtt"):
            return self.round_trips(shape == "rtt_down")
        seconds = self.options.seconds
        words = ["iperf3", "-c", INTERNET, "-t", str(seconds), "-J", "-P", "4" if shape.endswith("_4") else "1"]
        words += ["-R"] if "down" in shape else []
        words += ["-u", "-b", "0", "-l", "64"] if shape.startswith("udp") else []
        for left in reversed(range(TRIES)):
            before = [cpu_seconds(one) for one in processes]
            done = self.net.run("client", words, check=False, timeout=seconds + 30)
            used = [cpu_seconds(one) - was for one, was in zip(processes, before)]
            report = end_of(done.stdout)
            if report:
                break
            if not left:
                raise RuntimeError(f"iperf3: {done.stdout[-300:]}{done.stderr[-300:]}")
            time.sleep(1)
        if shape.startswith("udp"):
            arrived = report["sum"]["packets"] - report["sum"]["lost_packets"]
            return {"rate": arrived / report["sum"]["seconds"] / 1e3, "server": used[0] / arrived * 1e6,
                    "client": used[1] / arrived * 1e6}
        received = report["sum_received"]
        gigabytes = received["bytes"] / 1e9
        return {"rate": received["bits_per_second"] / 1e9, "server": used[0] / gigabytes, "client": used[1] / gigabytes}

    def round_trips(self, is_loaded):
        load = None
        if is_loaded:
            load = self.net.popen("client", ["iperf3", "-c", INTERNET, "-t", "3", "-R"], stdout=subprocess.DEVNULL)
            time.sleep(0.5)
        trips = ["150", "0.01"] if is_loaded else ["400", "0.001"]
        done = self.net.run("client", [sys.executable, "-c", ROUND_TRIPS, INTERNET, *trips])
        if load:
            load.wait(20)
        return json.loads(done.stdout)


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(processes):
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.wait(10)


def middle(runs, key):
    values = [run[key] for run in runs if key in run]
    return round(statistics.median(values), 3) if values else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--wire", choices=("veth", "nic"), default="veth")
    parser.add_argument("--client", choices=("own", "floor"), default="own")
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--features", choices=("none", "large", "both"), default="large")
    parser.add_argument("--other", help="another build's folder, which takes part as `before`")
    parser.add_argument("--peer", action="append", choices=tuple(PEERS), default=[])
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds, options.only = 1, 1, options.only or ["tcp_up", "tcp_down", "rtt_idle"]
    for tool in ("iperf3", "nft", *(["ethtool"] if options.wire == "nic" else [])):
        if shutil.which(tool) is None:
            namespaces.skip(f"{tool} is not installed; scripts/deps.sh installs it")
    namespaces.enter()
    bench = Bench(options)
    # Who takes part: the build, and more words of its client.
    large, cut = (BUILD, []), (BUILD, ["--no-large-frames"])
    programs = {"floor": None, "gateway": large if options.features == "large" else cut}
    if options.features == "both":
        programs = {"cut": cut, "large": large}
    if options.other:
        programs["before"] = (options.other, [])
    programs |= {name: None for name in options.peer}
    starts = {"floor": bench.start_floor} | {name: lambda start=start: start(bench) for name, start in PEERS.items()}
    runs = {name: {} for name in programs}
    for number in range(options.rounds):
        order = list(programs)
        for name in order[number % len(order):] + order[:number % len(order)]:  # who is first differs
            processes = starts[name]() if name in starts else bench.start_gateway(*programs[name])
            time.sleep(0.5)
            for shape in options.only or SHAPES:
                got = bench.measure(shape, processes)
                runs[name].setdefault(shape, []).append(got)
                print(f"round {number + 1} {name:8} {shape:11} "
                      + "  ".join(f"{key} {value:.2f}" for key, value in got.items()), file=sys.stderr)
            bench.stop(processes)
            time.sleep(0.2)
    result = {name: {shape: {key: middle(all, key) for key in all[0]} for shape, all in shapes.items()}
              for name, shapes in runs.items()}
    for shape, cut in result.get("cut", {}).items():
        ours = result["large"][shape]
        for key in ("rate", "server", "client"):
            if cut.get(key):
                ours[f"{key}_of_cut"] = round(ours[key] / cut[key], 3)
    for shape, floor in result.get("floor", {}).items():
        ours = result["gateway"][shape]
        if "rate" in floor and floor["rate"]:
            ours["of_floor"] = round(ours["rate"] / floor["rate"], 3)
            ours["server_of_floor"] = round(ours["server"] / floor["server"], 3)
            ours["goal"] = ours["of_floor"] >= RATE_GOAL and ours["server_of_floor"] <= CPU_GOAL
    print(json.dumps({"wire": options.wire, "tls": options.tls, "client": options.client, "result": result}, indent=1))
    bench.net.close()


if __name__ == "__main__":
    main()
