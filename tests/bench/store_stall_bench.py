#!/usr/bin/env python3
"""Does a packet wait for the store? udpgw's echo latency with a store that is stalled against one without a file.

    tests/bench/store_stall_bench.py               30 s of load on each; JSON on stdout, progress on stderr
    tests/bench/store_stall_bench.py --smoke       a second of each, to see that everything runs

Three gateways stand on one core: two have `[store] url = "memory:"`, one a state.db on which another program holds a
write transaction from before the first slice of load to after the last. They get the same load from the other core in
turn, one slice after the other, each with 16 new clients, so that what the machine does to one it does to all; the two
that have no load are stopped meanwhile, so that none takes the core from another. The figure is the ratio of p99
latencies, stalled to memory, the median over all rounds of slices; the same ratio of the two that are equal (`again`)
says how far to trust it. Slices that began more than 30 s after the stall are reported apart too (`late`), and the CPU
time that the stalled gateway's store thread has used up.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
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
LATE = 30.0  # seconds after the stall began
SLICE = 1.0  # seconds
NAMES = ("memory", "again", "stalled")
WARM_UP = 0.2
SETTLE = 0.1  # for a server to see that its clients have gone, before it is stopped
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


@contextlib.contextmanager
def alone(servers, name):
    """The other servers are stopped meanwhile."""
    others = [server.process for other, server in servers.items() if other != name]
    for process in others:
        process.send_signal(signal.SIGSTOP)
    try:
        yield servers[name]
        time.sleep(SETTLE)
    finally:
        for process in others:
            process.send_signal(signal.SIGCONT)


def store_cpu_seconds(server):
    """What the thread that writes the store has used so far."""
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        if (task / "comm").read_text() == "gh-store\n":
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise RuntimeError("the gateway has no thread gh-store")


def figures(rounds):
    """Medians over rounds of slices, each a dict of name -> what the load has measured."""
    out = {"rounds": len(rounds)}
    for quantile in ("p50", "p99", "p999"):
        values = {name: [slices[name]["latency_us"][quantile] for slices in rounds] for name in NAMES}
        out[quantile] = {name: statistics.median(all_values) for name, all_values in values.items()}
        for name in NAMES[1:]:
            out[quantile][f"{name}_ratio"] = round(statistics.median(
                mine / base for mine, base in zip(values[name], values["memory"])), 3)
    out["per_second"] = {name: statistics.median(slices[name]["per_second"] for slices in rounds) for name in NAMES}
    return out


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
    start, store_cpu = time.monotonic(), store_cpu_seconds(stalled)
    early, late = [], []
    try:
        run_slice(stalled, load, 0.2)
        wait_for(lambda: metric(stalled, "gatehouse_store_failing") == 1, "the store is seen to fail")
        for number in range(rounds):
            first = number % len(NAMES)
            slices = {}
            (late if time.monotonic() - start > LATE else early).append(slices)
            for name in NAMES[first:] + NAMES[:first]:
                with alone(servers, name) as server:
                    slices[name] = run_slice(server, load, seconds)
            if metric(stalled, "gatehouse_store_failing") != 1:
                raise RuntimeError("the store was not stalled all the time")
            print(f"{load} {number + 1}/{rounds}: p99 in us:", *(f"{name} {slices[name]['latency_us']['p99']}"
                                                                  for name in NAMES), file=sys.stderr)
        dirty_rows = metric(stalled, "gatehouse_store_dirty_rows")
        held, store_cpu = time.monotonic() - start, store_cpu_seconds(stalled) - store_cpu
    finally:
        other.close()
    wait_for(lambda: metric(stalled, "gatehouse_store_failing") == 0, "the store recovers", 90)
    result = {"seconds_stalled": round(held, 1), "store_thread_cpu_seconds": round(store_cpu, 2),
              "dirty_rows_at_the_end": dirty_rows, **figures(early + late)}
    if late:
        result["late"] = figures(late)
    judged = result.get("late", result)
    result["goal"], result["reached"] = GOAL, judged["p99"]["stalled_ratio"] <= GOAL
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
