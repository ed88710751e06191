#!/usr/bin/env python3
"""geneve-relay under a flood of false handshakes: what that costs a pair whose data runs beside it.

    tests/bench/relay_flood_bench.py                   three rounds of each shape; JSON on stdout, a table on stderr
    tests/bench/relay_flood_bench.py --only false_box --rounds 5 --seconds 5
    tests/bench/relay_flood_bench.py --other 'before=/elsewhere/build/release'   a gateway of another build beside it
    tests/bench/relay_flood_bench.py --smoke           a part of a second of each; exit 1 when the pair has lost data

A pair sends 20,000 packets a second of 1280 B, one by one and evenly, whatever becomes of them. In each run, in one
process and over the same sockets: without a flood; with one to a socket that nobody reads, which shows what sending it
costs the load; with one to the relay. 200,000 false handshakes a second, from one source, from 64 ports (`ports`), from
4,096 addresses (`addresses`), or from one as the kernel's largest buffers (`gso`).

    unknown_vni    ever new VNIs              false_box       a VNI, a client's key, a box that does not open
    unknown_key    a VNI, ever new keys       replayed_bind   a Bind that the client has sealed, recorded

The relay has its defaults: bounds of handshakes included. Server on one core, pair and flood on the other, so the flood
and the pair's receiver share that one: what the trial with the sink shows. Medians of the rounds; of the p99 also the
least one, as whatever else runs on the machine adds milliseconds to the others.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

from udpgw_bench import BIN, BUILD, LOAD_CPU, SERVER_CPU, SKIPPED, Server, missing, private_network

PORT, METRICS = 7605, 7606
KINDS = ("unknown_vni", "unknown_key", "false_box", "replayed_bind")
SOURCES = {
    "": [],
    "ports": ["--flood-ports", "64"],
    "addresses": ["--flood-addresses", "4096"],
    "gso": ["--flood-gso", "1"],
}
SHAPES = {kind + ("_" + name if name else ""): ["--flood", kind, *more]
          for kind in KINDS for name, more in SOURCES.items()}
LANES = {"unknown_vni_gso_2_lanes": SHAPES["unknown_vni_gso"]}  # of a coalesced buffer most is another lane's
SHAPES |= LANES
SMOKE = ("unknown_vni", "unknown_key_gso", "false_box_addresses", "replayed_bind")
BESIDE = {"nothing": "quiet", "a sink": "sink", "the relay": "flood"}
FIGURES = ("loss", "server_cpu_share", "flood_per_second", "delivered_per_second")
# Of the pair's packets; more than that is seen.
MOST_LOST, MOST_LOST_OF_SMOKE = 0.0005, 0.02
# Microseconds that the flood may add to 99 in 100 beyond what sending it adds.
MOST_ADDED = 100

CONFIGURATION = """
[gateway]
state_dir = "{base}/state"
runtime_dir = "{base}/run"
plugin_dirs = ["{plugins}"]
[log]
level = "warn"
[metrics]
listen = "127.0.0.1:{metrics}"
[plugin.geneve-relay]
listen = ["udp:127.0.0.1:{port}"]
listen_api = ["unix:{base}/run/relay.sock"]
"""


class Relay(Server):
    """A gateway with the relay alone, pinned."""

    configuration, policy = CONFIGURATION, ""  # one pair: the starter policy will do

    def samples(self, name, label):
        """Of a counter with one label that counts, by its value."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5).read().decode()
        out = {}
        for line in text.splitlines():
            if line.startswith(f"gatehouse_plugin_geneve_relay_{name}{{") and f'{label}="' in line:
                key = line.split(f'{label}="')[1].split('"')[0]
                out[key] = out.get(key, 0) + float(line.rsplit(" ", 1)[1])
        return {key: round(value) for key, value in out.items() if value}


def run_once(kind, shape, chosen, base):
    folder = pathlib.Path(base) / f"{kind}-{2 if shape in LANES else 1}"
    server = Relay(kind, folder, PORT, METRICS, command=chosen.others.get(kind),
                   extra=f"lanes = {2 if shape in LANES else 1}\n")
    try:
        done = subprocess.run([BIN / "relay_load", "--api", f"unix:{folder}/run/relay.sock", *SHAPES[shape],
                               "--rate", str(chosen.rate), "--burst", "1", "--flood-rate", str(chosen.flood_rate),
                               "--server-pid", str(server.process.pid), "--cpu", str(LOAD_CPU),
                               "--seconds", str(chosen.seconds), "--warmup", "0.2"],
                              capture_output=True, text=True, timeout=120)
        drops = server.samples("drops_total", "cause")
    finally:
        server.stop()
    if done.returncode != 0:
        raise RuntimeError(f"{shape} on the {kind}: {done.stdout}{done.stderr}")
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    return {BESIDE[one["flooded"]]: one for one in trials}, drops


def shape_result(shape, chosen, base):
    """Medians; a run's three trials follow each other."""
    result = {}
    for kind in ("gateway", *chosen.others):
        runs = [run_once(kind, shape, chosen, base) for _ in range(chosen.rounds)]
        mine = result[kind] = {"drops": runs[-1][1]}
        for beside in BESIDE.values():
            trials = [trials[beside] for trials, _ in runs]
            mine[beside] = {key: statistics.median(one[key] for one in trials) for key in FIGURES}
            mine[beside] |= {key: statistics.median(one["latency_us"][key] for one in trials)
                             for key in ("p50", "p99", "p999")}
            mine[beside]["most_lost"] = max(one["loss"] for one in trials)
            mine[beside]["least_p99"] = min(one["latency_us"]["p99"] for one in trials)
        print_rows(shape if kind == "gateway" else f"{shape} {kind}", mine)
    result["goals"] = goals_of(result["gateway"], chosen)
    return result


def goals_of(mine, chosen):
    lost = max(mine["flood"]["most_lost"] if chosen.smoke else mine["flood"]["loss"], 0)
    goals = [("loss", MOST_LOST_OF_SMOKE if chosen.smoke else MOST_LOST, lost)]
    if not chosen.smoke:
        goals.append(("p99_us_added", MOST_ADDED, mine["flood"]["least_p99"] - mine["sink"]["least_p99"]))
    return [{"what": what, "goal": goal, "is": is_, "reached": is_ <= goal} for what, goal, is_ in goals]


def print_rows(name, mine):
    for beside in BESIDE.values():
        one = mine[beside]
        print(f"{name:26} {beside:6} {one['flood_per_second'] / 1e3:6.0f} k/s false, lost {one['loss'] * 100:6.3f} % "
              f"(most {one['most_lost'] * 100:6.3f}), us p50 {one['p50']:5.0f} p99 {one['p99']:5.0f} "
              f"(least {one['least_p99']:5.0f}) p99.9 {one['p999']:5.0f}, server {one['server_cpu_share']:4.2f} core", file=sys.stderr)
    print(f"{'':26} drops  {mine['drops']}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each of a run's three trials")
    parser.add_argument("--rate", type=int, default=20_000, help="packets a second of the pair")
    parser.add_argument("--flood-rate", type=int, default=200_000, help="false handshakes a second")
    parser.add_argument("--only", metavar="SHAPE", action="append", default=[],
                        help="only this shape, or all of a kind; may be given more than once")
    parser.add_argument("--other", metavar="NAME=BUILD", action="append", default=[], help="another gateway's build folder")
    parser.add_argument("--smoke", action="store_true", help="a part of a second of some shapes")
    chosen = parser.parse_args()
    chosen.others = dict(other.split("=", 1) for other in chosen.other)
    shapes = [shape for shape in SHAPES
              if not chosen.only or shape in chosen.only or any(shape.startswith(kind) for kind in chosen.only if kind in KINDS)]
    if chosen.smoke and not chosen.only:
        shapes = SMOKE
    if not shapes:
        parser.error(f"the shapes are {', '.join(SHAPES)}")
    reason = missing()
    if reason is None and not (BUILD / "plugins" / "geneve-relay.so").exists():
        reason = "geneve-relay is not built"
    if reason:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    private_network()
    if chosen.smoke:
        chosen.rounds, chosen.seconds = 1, 0.5
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as base:
        results = {shape: shape_result(shape, chosen, base) for shape in shapes}
    print(json.dumps({"benchmark": "geneve-relay flood", "rounds": chosen.rounds, "seconds": chosen.seconds,
                      "cores": {"server": SERVER_CPU, "load": LOAD_CPU}, "shapes": results}, indent=1))
    missed = [shape for shape, result in results.items() if not all(goal["reached"] for goal in result["goals"])]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed and chosen.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
