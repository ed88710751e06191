#!/usr/bin/env python3
"""socks5 beside microsocks and dante, where these are installed: throughput and connections, on loopback.

    tests/bench/socks5_bench.py                          five rounds; JSON on stdout, progress on stderr
    tests/bench/socks5_bench.py --only down_1 --rounds 9 --seconds 2
    tests/bench/socks5_bench.py --no-splice              and socks5 without splice(2) beside them
    tests/bench/socks5_bench.py --smoke                  a second of each, to see that everything runs

The same load on all in turn, another one first in each round; servers on one core, clients and far end on the other.
Figures, medians of the rounds: Gbit/s and CPU seconds of the server per GB; for `connect` connections a second, each with
a byte there and back, and microseconds of the server's CPU for one. Of servers of several processes all count.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import udpgw_bench as plain

PORT, METRICS = 7396, 7397
SHAPES = {
    "down_1": ["--mode", "down", "--streams", "1"],
    "up_1": ["--mode", "up", "--streams", "1"],
    "down_64": ["--mode", "down", "--streams", "64"],
    "up_64": ["--mode", "up", "--streams", "64"],
    "connect_1": ["--mode", "connect", "--streams", "1"],
    "connect_32": ["--mode", "connect", "--streams", "32"],
}
CONFIGURATION = plain.CONFIGURATION.replace("[plugin.udpgw]", "[plugin.socks5]") + "[plugin.socks5.options]\nsplice = {splice}\n"
DANTE = """
logoutput: /dev/null
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect }}
"""


class Gateway(plain.Server):
    configuration = CONFIGURATION


def command_of(kind, base):
    """How a server that is not ours is started; None: it is not installed."""
    if kind == "microsocks":
        program = shutil.which("microsocks")
        return program and f"sh -c 'exec {program} -i 127.0.0.1 -p {{port}} 2>/dev/null'"  # a line a connection
    program = shutil.which("danted") or shutil.which("danted", path="/usr/sbin")
    config = pathlib.Path(base) / "danted.conf"
    config.write_text(DANTE.format(port=PORT))
    return program and f"{program} -f {config}"


def tree_seconds(root):
    """Processor time of a process and of its descendants, those that have ended included."""
    children, times = {}, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, fields = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(pid)
        times[pid] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, left = 0.0, [root]
    while left:
        pid = left.pop()
        total += times.get(pid, 0.0)
        left += children.get(pid, [])
    return total


class Servers:
    def __init__(self, kinds, base):
        self.base, self.kinds = base, kinds

    def measure(self, kind, shape, seconds):
        """One figure of one server, freshly started."""
        folder = self.base / kind
        folder.mkdir(exist_ok=True)
        if kind.startswith("socks5"):
            text = CONFIGURATION.replace("{splice}", "false" if kind == "socks5-copying" else "true")
            server = type("Ours", (Gateway,), {"configuration": text})("gateway", folder, PORT, METRICS)
        else:
            server = Gateway(kind, folder, PORT, METRICS, command=command_of(kind, folder))
        try:
            before = tree_seconds(server.process.pid)
            load = json.loads(subprocess.run(
                [plain.BIN / "socks5_load", "--port", str(PORT), "--cpu", str(plain.LOAD_CPU), "--seconds", str(seconds),
                 *SHAPES[shape]], check=True, capture_output=True, text=True).stdout)
            used = tree_seconds(server.process.pid) - before
        finally:
            server.stop()
        if shape.startswith("connect"):
            return {"connections_per_second": load["connections_per_second"], "failed": load["failed"],
                    "server_us": round(used * 1e6 / max(load["all_connections"], 1), 1)}
        return {"gbit_per_second": load["gbit_per_second"],
                "server_s_per_gb": round(used * 1e9 / max(load["all_bytes"], 1), 3)}


def median_of(figures):
    return {key: round(statistics.median(figure[key] for figure in figures), 3) for key in figures[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--no-splice", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    rounds, seconds = (1, 0.3) if options.smoke else (options.rounds, options.seconds)
    with tempfile.TemporaryDirectory() as base:
        base = pathlib.Path(base)
        kinds = ["socks5", *(["socks5-copying"] if options.no_splice else []),
                 *(kind for kind in ("microsocks", "dante") if command_of(kind, base))]
        servers = Servers(kinds, base)
        results = {}
        for shape in options.only or SHAPES:
            figures = {kind: [] for kind in kinds}
            for number in range(rounds):
                turned = kinds[number % len(kinds):] + kinds[:number % len(kinds)]
                for kind in turned:
                    figures[kind].append(servers.measure(kind, shape, seconds))
                    print(shape, kind, figures[kind][-1], file=sys.stderr, flush=True)
            results[shape] = {kind: median_of(all) for kind, all in figures.items()}
    json.dump({"benchmark": "socks5", "rounds": rounds, "seconds": seconds, "results": results}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
