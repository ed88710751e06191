#!/usr/bin/env python3
"""geneve-relay under load: one lane on one core, both clients of every pair on the other.

    tests/bench/relay_bench.py                     three rounds of each shape; JSON on stdout, a table on stderr
    tests/bench/relay_bench.py --only coalesced --rounds 5 --seconds 5
    tests/bench/relay_bench.py --other 'before=/elsewhere/build/release'     a gateway of another build beside it
    tests/bench/relay_bench.py --smoke             a part of a second of some, to see that everything runs

Shapes: `single_N` N pairs, bursts of 16 packets by sendmmsg; `coalesced_N` bursts of 32 by UDP_SEGMENT, clients with
UDP_GRO; `form1_*` the same by the first wire form. 1280 B of UDP payload, as fast as it goes. Where coturn is installed
(Debian package coturn: turnserver, turnutils_uclient) a run of it stands beside: clients to clients over channels, 1200 B,
each message relayed twice. Loopback of a private network namespace where that is possible, of the host otherwise.

Delivered is what comes while there is sending; CPU is of the server, for each delivered packet. On loopback the kernel
delivers within the sender's call: that time holds the way to the client, and not the arrival at the server.
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

from udpgw_bench import BIN, BUILD, LOAD_CPU, SERVER_CPU, SKIPPED, Server, missing, private_network, processor_seconds

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
FIGURES = ("delivered_per_second", "gbit_per_second", "server_cpu_ns_each", "server_cpu_share", "loss")
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
    """A gateway with the relay alone, pinned."""

    configuration, policy = CONFIGURATION, POLICY


def run_once(kind, shape, chosen, base):
    folder = pathlib.Path(base) / kind
    server = Relay(kind, folder, PORT, METRICS, command=chosen.others.get(kind))
    try:
        done = subprocess.run([BIN / "relay_load", "--api", f"unix:{folder}/run/relay.sock", *SHAPES[shape],
                               "--server-pid", str(server.process.pid), "--cpu", str(LOAD_CPU),
                               "--seconds", str(chosen.seconds), "--warmup", "0.1" if chosen.smoke else "0.5"],
                              capture_output=True, text=True, timeout=120)
    finally:
        server.stop()
    if done.returncode != 0:
        raise RuntimeError(f"{shape} on the {kind}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def shape_result(shape, chosen, base):
    """All kinds in turn; medians."""
    runs = {kind: [] for kind in ("gateway", *chosen.others)}
    for number in range(chosen.rounds):
        kinds = list(runs)
        for kind in kinds if number % 2 == 0 else kinds[::-1]:
            runs[kind].append(run_once(kind, shape, chosen, base))
    result = {}
    for kind, mine in runs.items():
        result[kind] = {key: statistics.median(one[key] for one in mine) for key in FIGURES}
        result[kind]["per_core_second"] = per_core(result[kind])
        result[kind]["latency_p99_us"] = statistics.median(one["latency_us"]["p99"] for one in mine)
        print_row(shape if kind == "gateway" else f"{shape} {kind}", result[kind])
    if shape in GOALS:
        result["goals"] = [{"what": "delivered_per_second", "goal": GOALS[shape],
                            "reached": result["gateway"]["delivered_per_second"] >= GOALS[shape]}]
    return result


def per_core(figures):
    """Packets a second of a core's whole time: what a machine that others use tells, too."""
    return round(1e9 / figures["server_cpu_ns_each"]) if figures["server_cpu_ns_each"] > 0 else 0


def print_row(name, figures):
    print(f"{name:24} {figures['delivered_per_second'] / 1e3:9.1f} kpps {figures['gbit_per_second']:7.2f} Gbit/s "
          f"{figures['server_cpu_ns_each']:7.0f} ns CPU/packet {figures['server_cpu_share']:5.2f} core, "
          f"{per_core(figures) / 1e3:7.0f} kpps a core, "
          f"{figures['loss'] * 100:4.1f} % lost", file=sys.stderr)


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
    wanted = f"0100007F:{port:04X}"
    deadline = time.monotonic() + 10
    while wanted not in pathlib.Path("/proc/net/udp").read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("turnserver does not listen")
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", metavar="SHAPE", action="append", default=[],
                        help="only this shape, or all of `single`, `coalesced` or `form1`; may be given more than once")
    parser.add_argument("--other", metavar="NAME=BUILD", action="append", default=[], help="another gateway's build folder")
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
        coturn = coturn_result(chosen, base)
    if "skipped" in coturn:
        print(f"coturn: {coturn['skipped']}", file=sys.stderr)
    print(json.dumps({"benchmark": "geneve-relay", "rounds": chosen.rounds, "seconds": chosen.seconds, "shapes": results,
                      "coturn": coturn}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
