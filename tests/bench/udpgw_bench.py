#!/usr/bin/env python3
"""udpgw against the bare loop: the same load on both, in turn, server on one core and load on the other.

    tests/bench/udpgw_bench.py                     five rounds of each shape; JSON on stdout, progress on stderr
    tests/bench/udpgw_bench.py --only echo --rounds 3 --seconds 5
    tests/bench/udpgw_bench.py --smoke             a second of each, to see that everything runs

Shapes: `echo` 16 streams x 64 forwards, 512 B; `down` and `up` one forward, 1400 B; `memory` 16,000 forwards after
10 x 1400 B each way. Loopback of a private network namespace where that is possible, of the host otherwise.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD", ROOT / "build" / "release"))
BIN = BUILD / "bin"
SKIPPED = 77
PORTS = {"gateway": 7391, "floor": 7392}
SERVER_CPU, LOAD_CPU = 0, 1

SHAPES = {
    "echo": ["--mode", "echo", "--streams", "16", "--forwards", "64", "--size", "512"],
    "down": ["--mode", "down", "--size", "1400"],
    "up": ["--mode", "up", "--size", "1400"],
    "memory": ["--mode", "open", "--streams", "16", "--forwards", "1000", "--size", "1400", "--visits", "10"],
}
# What a shape is about, and what design.md asks of it: (key of the load's JSON, goal, unit).
FIGURES = {
    "echo": ("server_cpu_us_each", None, "us of server CPU a round trip"),
    "down": ("server_cpu_us_each", 1.3, "us of server CPU a datagram"),
    "up": ("server_cpu_us_each", 2.5, "us of server CPU a datagram"),
    "memory": ("rss_bytes_per_forward", 1024, "bytes a forward"),
}
RATIO_GOAL = {"echo": 1.20}

CONFIGURATION = """
[gateway]
state_dir = "{base}/state"
runtime_dir = "{base}/run"
plugin_dirs = ["{plugins}"]
[log]
level = "warn"
[metrics]
listen = "127.0.0.1:{metrics}"
[plugin.udpgw]
lanes = 1
allow_local_destinations = true
listen = ["127.0.0.1:{port}"]
"""
# The load stands on loopback, which the starter policy does not permit; and it opens more than 256 forwards a stream.
POLICY = """
INSERT INTO port_permits (destination, priority, comment) VALUES ('127.0.0.0/8', 1, 'benchmark');
INSERT INTO traffic_rules (group_id, scope) SELECT 0, 'session'
  WHERE NOT EXISTS (SELECT 1 FROM traffic_rules WHERE group_id = 0 AND scope = 'session');
UPDATE traffic_rules SET concurrent_flows = 0 WHERE group_id = 0 AND scope = 'session';
"""


class Server:
    """One server process, pinned; a fresh one for each run, so that memory and tables start equal.

    A gateway's files are in `base`; `extra` is for the end of its configuration.
    """

    def __init__(self, kind, base, port=None, metrics=7393, extra=""):
        self.kind, self.port, self.metrics = kind, port or PORTS[kind], metrics
        pinned = ["taskset", "--cpu-list", str(SERVER_CPU)]
        if kind == "floor":
            self.process = subprocess.Popen([*pinned, BIN / "udpgw_floor", str(self.port)])
        else:
            config = pathlib.Path(base) / "gatehouse.toml"
            if not config.exists():
                self.configure(config, extra)
            self.process = subprocess.Popen([*pinned, BIN / "gatehouse", "run", "--config", config])
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    def configure(self, config, extra):
        for folder in ("state", "run"):
            (config.parent / folder).mkdir(mode=0o750)
        config.write_text(CONFIGURATION.format(base=config.parent, plugins=BUILD / "plugins", metrics=self.metrics,
                                               port=self.port) + extra)
        subprocess.run([BIN / "gatehouse", "policy", "init", "--config", config], check=True, stdout=sys.stderr)
        subprocess.run(["sqlite3", config.parent / "state" / "policy.db", POLICY], check=True)

    def wait(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the {self.kind} ended with {self.process.returncode}")
            if self.ready():
                return
            time.sleep(0.02)
        raise RuntimeError(f"the {self.kind} did not become ready")

    def ready(self):
        """Whether it listens; not by connecting, which would count as a client."""
        if self.kind == "gateway":
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/readyz", timeout=2).status == 200
            except (urllib.error.URLError, OSError):
                return False
        wanted = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return wanted in pathlib.Path("/proc/net/tcp").read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the {self.kind} did not stop") from None


def run_once(kind, shape, seconds, base, smoke):
    arguments = list(SHAPES[shape])
    if smoke and shape == "memory":
        arguments[arguments.index("1000")] = "50"
    server = Server(kind, base)
    try:
        done = subprocess.run([BIN / "udpgw_load", *arguments, "--port", str(server.port), "--server-pid",
                               str(server.process.pid), "--cpu", str(LOAD_CPU), "--seconds", str(seconds), "--warmup",
                               "0.2" if smoke else "1"], capture_output=True, text=True, timeout=120)
    finally:
        server.stop()
    if done.returncode != 0:
        raise RuntimeError(f"{shape} on the {kind}: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout)
    if kind == "gateway" and shape == "echo" and result["lost"] > 0:
        raise RuntimeError(f"echo on the gateway lost {result['lost']} datagrams")
    if kind == "gateway" and shape == "up" and result["loss"] > 0:
        raise RuntimeError(f"upstream datagrams were lost: {result['loss']:.6f}")
    return result


def shape_result(shape, rounds, seconds, base, smoke):
    """Gateway and floor in turn; medians, and the median of the rounds' own ratios."""
    key, goal, unit = FIGURES[shape]
    runs = {"gateway": [], "floor": []}
    for number in range(rounds):
        for kind in runs:
            runs[kind].append(run_once(kind, shape, seconds, base, smoke))
        print(f"{shape} {number + 1}/{rounds}: gateway {runs['gateway'][-1][key]} floor {runs['floor'][-1][key]} {unit}",
              file=sys.stderr)
    result = {"unit": unit}
    for kind, all_runs in runs.items():
        result[kind] = statistics.median(one[key] for one in all_runs)
        if "per_second" in all_runs[0]:
            result[f"{kind}_per_second"] = statistics.median(one["per_second"] for one in all_runs)
    ratios = [mine[key] / other[key] for mine, other in zip(*runs.values()) if other[key] > 0]
    if ratios:
        result["ratio"] = round(statistics.median(ratios), 3)
    if goal is not None:
        result["goal"], result["reached"] = goal, result["gateway"] <= goal
    if shape in RATIO_GOAL and ratios:
        result["ratio_goal"], result["reached"] = RATIO_GOAL[shape], result["ratio"] <= RATIO_GOAL[shape]
    result["runs"] = runs
    return result


def missing():
    """Why this cannot run here, or None."""
    if (os.cpu_count() or 1) < 2 or len(os.sched_getaffinity(0)) < 2:
        return "server and load need a core each, and here is one"
    if any(shutil.which(tool) is None for tool in ("taskset", "unshare", "ip", "sqlite3")):
        return "taskset, unshare, ip and sqlite3 are needed; scripts/deps.sh installs them"
    return None


def private_network():
    """Starts again in a network namespace of its own, where that is allowed."""
    if os.environ.get("GATEHOUSE_BENCH_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    for flags in (["-n"], ["-Urn"]):
        if subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode == 0:
            os.environ["GATEHOUSE_BENCH_NAMESPACE"] = "1"
            os.execvp("unshare", ["unshare", *flags, sys.executable, "-B", *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", choices=SHAPES, action="append", help="only this shape; may be given more than once")
    parser.add_argument("--smoke", action="store_true", help="a second of each shape")
    chosen = parser.parse_args()
    if reason := missing():
        print(f"SKIPPED: {reason}")
        return SKIPPED
    private_network()
    rounds, seconds = (1, 1.0) if chosen.smoke else (chosen.rounds, chosen.seconds)
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as base:
        results = {shape: shape_result(shape, rounds, seconds, base, chosen.smoke) for shape in chosen.only or SHAPES}
    print(json.dumps({"benchmark": "udpgw", "rounds": rounds, "seconds": seconds, "shapes": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
