#!/usr/bin/env python3
"""geneve-relay against a bare loop: the same load on both, in turn, one lane on one core, both clients of every pair on
the other.

    tests/bench/relay_bench.py                     five rounds of each shape; JSON on stdout, tables on stderr
    tests/bench/relay_bench.py --only coalesced --rounds 10 --seconds 1
    tests/bench/relay_bench.py --other 'before=/elsewhere/build/release'     a gateway of another build beside it
    tests/bench/relay_bench.py --smoke             a part of a second of some, to see that everything runs

Shapes: `single_N` N pairs, bursts of 16 packets by sendmmsg; `coalesced_N` bursts of 32 by UDP_SEGMENT, clients with
UDP_GRO; `form1_*` the same by the first wire form. 1280 B of UDP payload, as fast as it goes. Where coturn is installed
(Debian package coturn: turnserver, turnutils_uclient) a run of it stands beside: clients to clients over channels, 1200 B,
each message relayed twice. Loopback of a private network namespace where that is possible, of the host otherwise.

Delivered is what comes while there is sending; CPU is of the server, for each delivered packet, and what is compared: its
ratio to the bare loop's (`relay_floor`) of the same round. On loopback the kernel delivers within the sender's call: that
time holds the way to the client, and not the arrival at the server. `limit` is who had no time left: the server or the
load; with `load` a server could carry more than was delivered, as `per_core_second` says.

Each run notes the cores' distance before and after it, what a cache line takes to the other and back
(core_distance.cpp). Where a host moves virtual processors about, that jumps between some 50 and some 340 ns, and all that
carries large data takes twice as long at the larger one. So figures stand apart for runs that were `near` and `far` all the
time, each ratio being that of such medians.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from paired_runs import FLOOR, in_turn, medians, print_runs, ratios
from udpgw_bench import (BIN, BUILD, LOAD_CPU, SERVER_CPU, SKIPPED, Server, listens, missing, private_network,
                         processor_seconds)

PORT, METRICS, TURN_PORT = 7595, 7596, 7597
PAIRS = (1, 64, 1000)
SINGLE = ("--burst", "16")
COALESCED = ("--burst", "32", "--gso", "1")
SHAPES = {
    **{f"single_{pairs}": ["--pairs", str(pairs), *SINGLE] for pairs in PAIRS},
    **{f"coalesced_{pairs}": ["--pairs", str(pairs), *COALESCED] for pairs in PAIRS},
    **{f"form1_single_{pairs}": ["--form", "1", "--pairs", str(pairs), *SINGLE] for pairs in PAIRS},
    **{f"form1_coalesced_{pairs}": ["--form", "1", "--pairs", str(pairs), *COALESCED] for pairs in PAIRS},
}
SMOKE = ("single_1", "coalesced_64", "form1_single_64", "coalesced_1000")
# Packets a second that a shape is to deliver on the machine where the protocol's figures were measured.
GOALS = {"single_1": 300_000, "single_64": 280_000, "coalesced_1": 2_200_000, "coalesced_64": 1_600_000}
FIGURES = ("delivered_per_second", "gbit_per_second", "server_cpu_ns_each", "server_cpu_share", "load_cpu_share", "loss",
           "latency_p99_us")
COST = "server_cpu_ns_each"
FAR = 150  # nanoseconds of a cache line: the cores do not share a last-level cache
NO_TIME_LEFT, LOSES = 0.93, 0.005  # of a core; of what was sent
COTURN_CLIENTS, COTURN_SIZE = 60, 1200

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
lanes = 1
listen = ["udp:127.0.0.1:{port}"]
listen_api = ["unix:{base}/run/relay.sock"]
[plugin.geneve-relay.options]
handshakes_per_second_of_a_source = 0
"""
# One user has all pairs: more than the starter policy lets an identity have.
POLICY = """
UPDATE traffic_rules SET concurrent_sessions = 0 WHERE group_id = 0 AND scope = 'identity';
"""


class Relay(Server):
    """A gateway with the relay alone, or the bare loop, pinned."""

    configuration, policy = CONFIGURATION, POLICY
    floor, transport = "relay_floor", "udp"


def run_once(kind, shape, chosen, base):
    folder = pathlib.Path(base) / kind
    server = Relay(kind, folder, PORT, METRICS, command=chosen.others.get(kind))
    where = ["--api", f"unix:{folder}/run/relay.sock"] if server.is_gateway else ["--bare", f"127.0.0.1:{PORT}"]
    try:
        distances = [distance_of_cores()]
        done = subprocess.run([BIN / "relay_load", *where, *SHAPES[shape], "--server-pid", str(server.process.pid), "--cpu",
                               str(LOAD_CPU), "--seconds", str(chosen.seconds), "--warmup", "0.1" if chosen.smoke else "0.3"],
                              capture_output=True, text=True, timeout=120)
        distances.append(distance_of_cores())
    finally:
        server.stop()
    if done.returncode != 0:
        raise RuntimeError(f"{shape} on the {kind}: {done.stdout}{done.stderr}")
    figures = json.loads(done.stdout)
    return figures | {"latency_p99_us": figures["latency_us"]["p99"], "core_distance_ns": distances,
                      "cores": where_cores(distances)}


def distance_of_cores():
    """Nanoseconds that a cache line takes from one core to the other and back."""
    done = subprocess.run([BIN / "core_distance", str(SERVER_CPU), str(LOAD_CPU)], capture_output=True, text=True, check=True,
                          timeout=60)
    return int(done.stdout)


def where_cores(distances):
    far = [distance > FAR for distance in distances]
    return "far" if all(far) else "mixed" if any(far) else "near"


def shape_result(shape, chosen, base):
    """All kinds in turn; medians, all runs, and the ratios to the bare loop."""
    runs = in_turn(("gateway", FLOOR, *chosen.others), chosen.rounds, lambda kind: run_once(kind, shape, chosen, base))
    result = {}
    for kind, mine in runs.items():
        result[kind] = summary(mine)
        print_row(shape if kind == "gateway" else f"{shape} {kind}", result[kind])
    for kind, mine in ratios(runs, COST).items():
        if mine:
            result[kind]["ratio"] = round(statistics.median(mine), 3)
    for cores in ("near", "far"):
        result[cores] = result_of_cores(f"{shape}, cores {cores}", cores, runs)
    told = (*FIGURES, "core_distance_ns", "cores")
    result["runs"] = {kind: [{key: one[key] for key in told} for one in mine] for kind, mine in runs.items()}
    result["goals"] = list(goals_of(shape, result))
    return result


def goals_of(shape, result):
    """What was delivered, and what the server's time would do for, as the load tires first where packets come singly."""
    if shape not in GOALS:
        return
    for cores in ("near", "far"):
        for what in ("delivered_per_second", "per_core_second"):
            if "gateway" in result[cores]:
                reached = result[cores]["gateway"][what]
                yield {"what": what, "cores": cores, "goal": GOALS[shape], "reached": reached >= GOALS[shape]}


def summary(runs):
    out = medians(runs, FIGURES)
    return out | {"per_core_second": per_core(out), "limit": limit(out)}


def result_of_cores(title, cores, runs):
    """{kind: medians of its runs that had the cores so, and by them its ratio to the bare loop}."""
    runs = {kind: [one for one in mine if one["cores"] == cores] for kind, mine in runs.items()}
    runs = {kind: mine for kind, mine in runs.items() if mine}
    for key in (COST, "delivered_per_second"):
        if runs:
            print_runs(title, key, runs)
    result = {kind: {"runs": len(mine), **summary(mine)} for kind, mine in runs.items()}
    for mine in result.values():
        if FLOOR in result and result[FLOOR][COST] > 0:
            mine["ratio"] = round(mine[COST] / result[FLOOR][COST], 3)
    return result


def per_core(figures):
    """Packets a second of a core's whole time: what a machine that others use tells, too."""
    return round(1e9 / figures[COST]) if figures[COST] > 0 else 0


def limit(figures):
    """Who had no time left, if anybody. A server that loses nothing has some: of more it does more at once."""
    if figures["server_cpu_share"] >= NO_TIME_LEFT and figures["loss"] >= LOSES:
        return "server"
    return "load" if figures["load_cpu_share"] >= NO_TIME_LEFT else "neither"


def print_row(name, figures):
    print(f"{name:24} {figures['delivered_per_second'] / 1e3:9.1f} kpps {figures['gbit_per_second']:7.2f} Gbit/s "
          f"{figures['server_cpu_ns_each']:7.0f} ns CPU/packet {figures['server_cpu_share']:5.2f} core, "
          f"{per_core(figures) / 1e3:7.0f} kpps a core, {figures['loss'] * 100:4.1f} % lost"
          + (f", limit: {figures['limit']}" if "limit" in figures else ""), file=sys.stderr)


# ---- coturn
def coturn_result(chosen, base):
    """What a coturn of one relay thread needs for a packet, or why there is no figure."""
    if shutil.which("turnserver") is None or shutil.which("turnutils_uclient") is None:
        return {"skipped": "coturn is not installed (Debian package coturn: turnserver, turnutils_uclient)"}
    folder = pathlib.Path(base) / "coturn"
    folder.mkdir()
    server = subprocess.Popen(
        ["taskset", "--cpu-list", str(SERVER_CPU), "turnserver", "-n", "--listening-ip=127.0.0.1",
         "--relay-ip=127.0.0.1", f"--listening-port={TURN_PORT}", "--relay-threads=1", "--no-tls", "--no-dtls", "--no-cli",
         "--lt-cred-mech", "--user=bench:bench", "--realm=bench", "--allow-loopback-peers", "--no-tcp", "--no-tcp-relay",
         f"--pidfile={folder}/pid", f"--db={folder}/db", "--log-file=stdout", "--simple-log"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return load_coturn(server, chosen)
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        return {"skipped": f"coturn did not run: {failure}"}
    finally:
        server.terminate()
        server.wait(10)


def load_coturn(server, chosen):
    wait_for_port(TURN_PORT, server)
    messages = max(100, int(chosen.seconds * 1000))
    before = processor_seconds(server.pid)
    done = subprocess.run(
        ["taskset", "--cpu-list", str(LOAD_CPU), "turnutils_uclient", "-y", "-u", "bench", "-w", "bench", "-c", "-p",
         str(TURN_PORT), "-l", str(COTURN_SIZE), "-m", str(COTURN_CLIENTS), "-n", str(messages), "-z", "1", "127.0.0.1"],
        capture_output=True, text=True, timeout=30 + chosen.seconds * 10)
    used = processor_seconds(server.pid) - before
    totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", done.stdout)
    times = re.findall(r"Total transmit time is (\d+)", done.stdout)
    if not totals or not times or int(totals[-1][1]) == 0:
        raise RuntimeError((done.stdout + done.stderr)[-300:] or "turnutils_uclient said nothing")
    sent, received = (int(number) for number in totals[-1])
    relayed, seconds = 2 * received, max(int(times[-1]), 1)
    result = {"delivered_per_second": relayed / seconds, "gbit_per_second": relayed * COTURN_SIZE * 8 / seconds / 1e9,
              "server_cpu_ns_each": used / relayed * 1e9, "server_cpu_share": used / seconds,
              "loss": 1 - received / max(sent, 1)}
    print_row(f"coturn, {COTURN_CLIENTS} clients", result)
    return result


def wait_for_port(port, process):
    deadline = time.monotonic() + 10
    while not listens(port, "udp"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("turnserver does not listen")
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", metavar="SHAPE", action="append", default=[],
                        help="only this shape, or all of `single`, `coalesced` or `form1`; may be given more than once")
    parser.add_argument("--other", metavar="NAME=BUILD", action="append", default=[], help="another gateway's build folder")
    parser.add_argument("--no-coturn", action="store_true", help="only the relay and the bare loop")
    parser.add_argument("--smoke", action="store_true", help="a part of a second of some shapes")
    chosen = parser.parse_args()
    chosen.others = dict(other.split("=", 1) for other in chosen.other)
    shapes = [shape for shape in SHAPES
              if not chosen.only or shape in chosen.only or shape.split("_")[0] in chosen.only]
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
        chosen.rounds, chosen.seconds = 1, 0.3
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as base:
        results = {shape: shape_result(shape, chosen, base) for shape in shapes}
        coturn = {"skipped": "not asked for"} if chosen.no_coturn else coturn_result(chosen, base)
    if "skipped" in coturn:
        print(f"coturn: {coturn['skipped']}", file=sys.stderr)
    print(json.dumps({"benchmark": "geneve-relay", "rounds": chosen.rounds, "seconds": chosen.seconds, "shapes": results,
                      "coturn": coturn}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
