#!/usr/bin/env python3
"""Does a packet wait for the store? udpgw's echo latency with a store that is stalled against one without a file.

    tests/bench/store_stall_bench.py               30 s of load on each; JSON on stdout, progress on stderr
    tests/bench/store_stall_bench.py --smoke       a second of each, to see that everything runs

Three gateways stand on one core: two have `[store] url = "memory:"`, one a state.db on which another program holds a
write transaction from before the first slice of load to after the last. They get the same load from the other core in
turn, one slice after the other, each with 16 new clients, so that what the machine does to one it does to all. The
figure is the ratio of p99 latencies, stalled to memory, the median over all rounds of slices; the same ratio of the two
that are equal (`again`) says how far to trust it.
"""

import argparse
import contextlib
import json
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import udpgw_bench
from udpgw_bench import BIN, LOAD_CPU, Server

GOAL = 1.05
SLICE = 1.0  # seconds
NAMES = ("memory", "again", "stalled")
WARM_UP = 0.2
LOADS = {
    "full": ["--mode", "echo", "--streams", "16", "--forwards", "64", "--size", "512"],
    "light": ["--mode", "echo", "--streams", "16", "--forwards", "1", "--size", "512"],
}


def metric(server, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=5).read().decode()
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")))


def run_slice(server, load, seconds):
    done = subprocess.run([BIN / "udpgw_load", *LOADS[load], "--port", str(server.port), "--server-pid",
                           str(server.process.pid), "--cpu", str(LOAD_CPU), "--seconds", str(seconds), "--warmup",
                           str(WARM_UP)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"the load on {server.kind}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def compare(servers, state_db, load, rounds, seconds):
    """Slices in turn, each round begun by the next server; the file is locked all the while."""
    stalled = servers["stalled"]
    other = sqlite3.connect(state_db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    start = time.monotonic()
    runs = {name: [] for name in NAMES}
    try:
        run_slice(stalled, load, 0.2)
        wait_for(lambda: metric(stalled, "gatehouse_store_failing") == 1, "the store is seen to fail")
        for number in range(rounds):
            first = number % len(NAMES)
            for name in NAMES[first:] + NAMES[:first]:
                runs[name].append(run_slice(servers[name], load, seconds))
            if metric(stalled, "gatehouse_store_failing") != 1:
                raise RuntimeError("the store was not stalled all the time")
            print(f"{load} {number + 1}/{rounds}: p99 in us:", *(f"{name} {runs[name][-1]['latency_us']['p99']}"
                                                                  for name in NAMES), file=sys.stderr)
        dirty_rows = metric(stalled, "gatehouse_store_dirty_rows")
        held = time.monotonic() - start
    finally:
        other.close()
    wait_for(lambda: metric(stalled, "gatehouse_store_failing") == 0, "the store recovers", 90)
    result = {"seconds_stalled": round(held, 1), "dirty_rows_at_the_end": dirty_rows}
    for quantile in ("p50", "p99", "p999"):
        values = {name: [run["latency_us"][quantile] for run in all_runs] for name, all_runs in runs.items()}
        result[quantile] = {name: statistics.median(all_values) for name, all_values in values.items()}
        for name in NAMES[1:]:
            result[quantile][f"{name}_ratio"] = round(statistics.median(
                mine / base for mine, base in zip(values[name], values["memory"])), 3)
    result["per_second"] = {name: statistics.median(run["per_second"] for run in all_runs)
                            for name, all_runs in runs.items()}
    result["goal"], result["reached"] = GOAL, result["p99"]["stalled_ratio"] <= GOAL
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="of slices of a second")
    parser.add_argument("--smoke", action="store_true", help="one round of half a second")
    chosen = parser.parse_args()
    if reason := udpgw_bench.missing():
        print(f"SKIPPED: {reason}")
        return udpgw_bench.SKIPPED
    udpgw_bench.private_network()
    rounds, seconds = (1, 0.5) if chosen.smoke else (chosen.rounds, SLICE)
    results = {}
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as base, contextlib.ExitStack() as ends:
        servers = {}
        for number, name in enumerate(NAMES):
            folder = pathlib.Path(base) / name
            folder.mkdir()
            extra = "" if name == "stalled" else '[store]\nurl = "memory:"\n'
            servers[name] = Server("gateway", folder, 7400 + 2 * number, 7401 + 2 * number, extra)
            ends.callback(servers[name].stop)
        for load in LOADS:
            results[load] = compare(servers, pathlib.Path(base) / "stalled" / "state" / "state.db", load, rounds, seconds)
    print(json.dumps({"benchmark": "store_stall", "rounds": rounds, "seconds": seconds, "loads": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
