#!/usr/bin/env python3
"""udpgw against the bare loop: the same load on all, in turn, server on one core and load on the other.

    tests/bench/udpgw_bench.py                     five rounds of each shape; JSON on stdout, progress on stderr
    tests/bench/udpgw_bench.py --only down --only echo_16x64 --rounds 3 --seconds 5
    tests/bench/udpgw_bench.py --other 'before=/elsewhere/build/release' --other 'spike=/elsewhere/spike port={port}'
    tests/bench/udpgw_bench.py --smoke             a second of each, to see that everything runs

Another program takes part by --other NAME=COMMAND, with {port} for the port of 127.0.0.1 that it is to listen on; a
gateway of another build by --other NAME=ITS_BUILD_FOLDER.

Shapes: `echo_SxF` S streams x F forwards, 512 B; `down_*` datagrams a second in all to one forward (16x4: four of each of
16 streams, 1200 B), in bursts, evenly (`spread`) or as UDP_SEGMENT sends (`gso`), or as many as go (`flood`); `up` one
forward; `memory` 16,000 forwards after 10 x 1400 B each way. `echo` and `down` are all shapes of that kind. Loopback of a
private network namespace where that is possible, of the host otherwise.
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from paired_runs import FLOOR, in_turn, medians, print_runs, ratios

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD", ROOT / "build" / "release"))
BIN = BUILD / "bin"
SKIPPED = 77
PORT, METRICS = 7391, 7393
SERVER_CPU, LOAD_CPU = 0, 1


def echo(streams, forwards):
    return ["--mode", "echo", "--streams", str(streams), "--forwards", str(forwards), "--size", "512"]


def down(rate, *more):
    return ["--mode", "down", "--size", "1400", "--rate", str(rate), *more]


GSO = ("--gso", "1")
SPREAD = ("--burst", "1", "--slack", "1")
MANY = ("--streams", "16", "--forwards", "4", "--size", "1200")
SHAPES = {
    "echo_1x1": echo(1, 1),
    "echo_16x64": echo(16, 64),
    "echo_64x256": echo(64, 256),
    "down_20k": down(20_000),
    "down_50k": down(50_000),
    "down_100k": down(100_000),
    "down_200k": down(200_000),
    "down_flood": down(0),
    "down_20k_spread": down(20_000, *SPREAD),
    "down_50k_spread": down(50_000, *SPREAD),
    "down_50k_gso": down(50_000, *GSO),
    "down_200k_gso": down(200_000, *GSO),
    "down_flood_gso": down(0, *GSO),
    "down_50k_16x4": down(50_000, *MANY),
    "down_200k_16x4": down(200_000, *MANY),
    "up": ["--mode", "up", "--size", "1400"],
    "memory": ["--mode", "open", "--streams", "16", "--forwards", "1000", "--size", "1400", "--visits", "10"],
}
# Microseconds of server CPU a datagram that a shape is to stay below on a machine where the bare loop takes 4.0 at 200k
# datagrams a second; on others in proportion.
GOALS = {"down_100k": 3.0, "down_200k": 2.2, "down_200k_16x4": 2.4, "down_flood": 1.7, "down_50k_gso": 1.4,
         "down_200k_gso": 1.4, "down_flood_gso": 1.4, "up": 2.5}
FLOOR_OF_GOALS = 4.0
# Times the bare loop's figure of the same shape.
RATIO_GOALS = {"echo_16x64": 1.20, "down_50k": 0.45}
LATENCY_GOALS = {"down_200k": 400}  # microseconds, of 99 in 100
RATE_GOALS = {"down_flood": 290_000}
MEMORY_GOAL = 1024  # bytes a forward

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
listen = {listen}
"""
# The load stands on loopback, which the starter policy does not permit; and it opens more than 256 forwards a stream.
POLICY = """
INSERT INTO port_permits (destination, priority, comment) VALUES ('127.0.0.0/8', 1, 'benchmark');
INSERT INTO traffic_rules (group_id, scope) SELECT 0, 'session'
  WHERE NOT EXISTS (SELECT 1 FROM traffic_rules WHERE group_id = 0 AND scope = 'session');
UPDATE traffic_rules SET concurrent_flows = 0 WHERE group_id = 0 AND scope = 'session';
"""


def listens(port, transport="tcp"):
    state = "0A" if transport == "tcp" else "07"  # TCP_LISTEN, TCP_CLOSE: include/net/tcp_states.h
    return f"0100007F:{port:04X} 00000000:0000 {state}" in pathlib.Path(f"/proc/net/{transport}").read_text()


def processor_seconds(pid):
    """What all threads of a process have used so far."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Server:
    """One server process, pinned; a fresh one for each run, so that memory and tables start equal.

    `kind` is "gateway", "floor", or the name of another one, `command`: a program, or the folder of a gateway's build.
    A gateway's files are in `base`; `extra` is for the end of its configuration, `listen` its addresses if not `port`.
    """

    configuration, policy = CONFIGURATION, POLICY
    floor, transport = "udpgw_floor", "tcp"

    def __init__(self, kind, base, port=PORT, metrics=METRICS, extra="", command=None, listen=None):
        self.kind, self.port, self.metrics, self.build = kind, port, metrics, BUILD
        self.listen = listen or [f"127.0.0.1:{port}"]
        if command and pathlib.Path(command).is_dir():
            self.build, command = pathlib.Path(command), None
        elif kind == FLOOR:
            command = f"{BIN / self.floor} {{port}}"
        self.is_gateway = command is None
        if self.is_gateway:
            config = pathlib.Path(base) / "gatehouse.toml"
            if not config.exists():
                self.configure(config, extra)
            program = [self.build / "bin" / "gatehouse", "run", "--config", config]
        else:
            program = shlex.split(command.format(port=port))
        self.process = subprocess.Popen(["taskset", "--cpu-list", str(SERVER_CPU), *program])
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    def configure(self, config, extra):
        for folder in ("state", "run"):
            (config.parent / folder).mkdir(mode=0o750, parents=True)
        config.write_text(self.configuration.format(base=config.parent, plugins=self.build / "plugins", port=self.port,
                                                    metrics=self.metrics, listen=json.dumps(self.listen)) + extra)
        subprocess.run([self.build / "bin" / "gatehouse", "policy", "init", "--config", config], check=True, stdout=sys.stderr)
        subprocess.run(["sqlite3", config.parent / "state" / "policy.db", self.policy], check=True)

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
        if self.is_gateway:
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/readyz", timeout=2).status == 200
            except (urllib.error.URLError, OSError):
                return False
        return listens(self.port, self.transport)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()  # a shell in the background has its children ignore SIGINT
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the {self.kind} did not stop") from None


def run_once(kind, shape, chosen, base):
    arguments = list(SHAPES[shape])
    if chosen.smoke and shape == "memory":
        arguments[arguments.index("1000")] = "50"
    server = Server(kind, pathlib.Path(base) / kind, command=chosen.others.get(kind))
    try:
        done = subprocess.run([BIN / "udpgw_load", *arguments, "--port", str(server.port), "--server-pid",
                               str(server.process.pid), "--cpu", str(LOAD_CPU), "--seconds", str(chosen.seconds),
                               "--warmup", "0.2" if chosen.smoke else "0.5"], capture_output=True, text=True,
                              timeout=120)
    finally:
        server.stop()
    if done.returncode != 0:
        raise RuntimeError(f"{shape} on the {kind}: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout)
    if kind == "gateway" and shape.startswith("echo") and result["lost"] > 0:
        raise RuntimeError(f"echo on the gateway lost {result['lost']} datagrams")
    if kind == "gateway" and shape == "up" and result["loss"] > 0:
        raise RuntimeError(f"upstream datagrams were lost: {result['loss']:.6f}")
    if "offered" in result:
        result["loss"] = round(result["lost"] / max(result["offered"], 1), 6)
    return result


def summary(runs):
    """Medians of what all runs of one kind tell."""
    out = medians(runs, ("server_cpu_us_each", "per_second", "loss", "rss_bytes_per_forward"))
    if "latency_us" in runs[0]:
        out["latency_us"] = medians([one["latency_us"] for one in runs], ("p50", "p99"))
    return out


def shape_result(shape, chosen, base):
    """All kinds in turn; medians, and the medians of the rounds' own ratios to the floor."""
    key = "rss_bytes_per_forward" if shape == "memory" else "server_cpu_us_each"

    def progress(number, figures):
        said = " ".join(f"{kind} {mine[key]}" for kind, mine in figures.items())
        print(f"{shape} {number + 1}/{chosen.rounds}: {said}", file=sys.stderr)

    runs = in_turn(("gateway", FLOOR, *chosen.others), chosen.rounds, lambda kind: run_once(kind, shape, chosen, base),
                   progress)
    print_runs(shape, key, runs)
    result = {"figure": key, **{kind: summary(mine) for kind, mine in runs.items()}}
    for kind, mine in ratios(runs, key).items():
        if mine:
            result[kind]["ratio"] = round(statistics.median(mine), 3)
    if not chosen.smoke:
        result["runs"] = runs
    return result


def goals_of(shape, result, scale):
    """(what, goal, reached) of each goal of a shape; `scale` is how slow this machine is beside that of GOALS."""
    mine = result["gateway"]
    if shape in GOALS:
        goal = round(GOALS[shape] * scale, 2)
        yield "server_cpu_us_each", goal, mine["server_cpu_us_each"] <= goal
    if shape in RATIO_GOALS and "ratio" in mine:
        yield "ratio", RATIO_GOALS[shape], mine["ratio"] <= RATIO_GOALS[shape]
    if shape in LATENCY_GOALS:
        yield "p99", LATENCY_GOALS[shape], mine["latency_us"]["p99"] <= LATENCY_GOALS[shape]
    if shape in RATE_GOALS:
        goal = round(RATE_GOALS[shape] / scale)
        yield "per_second", goal, mine["per_second"] >= goal
    if shape == "memory":
        yield "rss_bytes_per_forward", MEMORY_GOAL, mine["rss_bytes_per_forward"] <= MEMORY_GOAL


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
    parser.add_argument("--only", metavar="SHAPE", action="append", default=[],
                        help="only this shape, or all of `echo` or `down`; may be given more than once")
    parser.add_argument("--other", metavar="NAME=COMMAND", action="append", default=[], help="another server")
    parser.add_argument("--smoke", action="store_true", help="a second of each shape")
    chosen = parser.parse_args()
    chosen.others = dict(other.split("=", 1) for other in chosen.other)
    shapes = [shape for shape in SHAPES
              if not chosen.only or shape in chosen.only or shape.split("_")[0] in chosen.only]
    if not shapes:
        parser.error(f"the shapes are {', '.join(SHAPES)}")
    if reason := missing():
        print(f"SKIPPED: {reason}")
        return SKIPPED
    private_network()
    if chosen.smoke:
        chosen.rounds, chosen.seconds = 1, 0.5
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as base:
        results = {shape: shape_result(shape, chosen, base) for shape in shapes}
    floor = results.get("down_200k", {}).get("floor", {}).get("server_cpu_us_each", FLOOR_OF_GOALS)
    for shape, result in results.items():
        result["goals"] = [{"what": what, "goal": goal, "reached": reached}
                           for what, goal, reached in goals_of(shape, result, floor / FLOOR_OF_GOALS)]
    print(json.dumps({"benchmark": "udpgw", "rounds": chosen.rounds, "seconds": chosen.seconds, "shapes": results},
                     indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
