#!/usr/bin/env python3
"""udpgw over TLS 1.3 against both other ways: no TLS at all, and nginx's stream module before the plain listener.

    tests/bench/udpgw_tls_bench.py                      five rounds of each shape; JSON on stdout, progress on stderr
    tests/bench/udpgw_tls_bench.py --only echo_16x64 --rounds 3 --seconds 2
    tests/bench/udpgw_tls_bench.py --handshakes         whole handshakes a second of one core, beside `openssl speed`
    tests/bench/udpgw_tls_bench.py --smoke              a second of each, to see that everything runs

The same load on all in turn, another one first in each round; servers on one core, the load with its TLS on the other.
Of nginx the processor time is that of both processes. Certificates are P-256; ciphers what client and server agree on.
"""

import argparse
import contextlib
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import udpgw_bench as plain

TLS_PORT, NGINX_PORT = 7392, 7394
SHAPES = ("echo_1x1", "echo_16x64", "down_50k", "down_200k", "down_flood", "up")
GOAL = 1.25  # times the processor time of the better of the other way with TLS
MODULES = pathlib.Path("/usr/lib/nginx/modules")

LISTENERS = """
[tls]
certificate = "{base}/server.pem"
key = "{base}/server.key"
"""
NGINX = """
daemon off;
master_process off;
pid {base}/nginx.pid;
error_log {base}/nginx.log;
load_module {modules}/ngx_stream_module.so;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
stream {{
  ssl_protocols TLSv1.3;
  ssl_certificate {base}/server.pem;
  ssl_certificate_key {base}/server.key;
  proxy_buffer_size 64k;
  tcp_nodelay on;
  server {{ listen 127.0.0.1:{port} ssl; proxy_pass 127.0.0.1:{plain}; }}
}}
"""


def make_certificate(base):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-keyout", base / "server.key", "-out", base / "server.pem"],
                   check=True, capture_output=True)
    (base / "server.key").chmod(0o600)


class Servers(contextlib.ExitStack):
    """A gateway with both listeners, and nginx before it where `kind` is that."""

    def __init__(self, kind, base):
        super().__init__()
        if not (base / "server.pem").exists():
            make_certificate(base)
        self.gateway = plain.Server("gateway", base, extra=LISTENERS.format(base=base),
                                    listen=[f"127.0.0.1:{plain.PORT}", f"tls:127.0.0.1:{TLS_PORT}"])
        self.callback(self.gateway.stop)
        self.pids = [self.gateway.process.pid]
        self.port = TLS_PORT if kind == "tls" else plain.PORT
        if kind == "nginx":
            self.port = NGINX_PORT
            config = base / "nginx.conf"
            config.write_text(NGINX.format(base=base, modules=MODULES, port=NGINX_PORT, plain=plain.PORT))
            proxy = subprocess.Popen(["taskset", "--cpu-list", str(plain.SERVER_CPU), "nginx", "-p", base, "-c", config],
                                     stderr=subprocess.DEVNULL)
            self.callback(lambda: (proxy.terminate(), proxy.wait()))
            self.pids.append(proxy.pid)
            while proxy.poll() is None and not plain.listens(NGINX_PORT):
                time.sleep(0.02)


def run_once(kind, shape, chosen, base):
    with Servers(kind, base) as servers:
        pids = [word for pid in servers.pids for word in ("--server-pid", str(pid))]
        done = subprocess.run([plain.BIN / "udpgw_load", *plain.SHAPES[shape], "--port", str(servers.port), *pids, "--cpu",
                               str(plain.LOAD_CPU), "--seconds", str(chosen.seconds), "--warmup", "0.5", "--tls",
                               "0" if kind == "plain" else "1"], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{shape} by {kind}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def shape_result(shape, chosen, base):
    kinds = ["tls", "plain"] + (["nginx"] if chosen.nginx else [])
    runs = {kind: [] for kind in kinds}
    for number in range(chosen.rounds):
        first = number % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            runs[kind].append(run_once(kind, shape, chosen, base))
        said = " ".join(f"{kind} {mine[-1]['server_cpu_us_each']}" for kind, mine in runs.items())
        print(f"{shape} {number + 1}/{chosen.rounds}: {said}", file=sys.stderr)
    result = {kind: {key: statistics.median(run[key] for run in mine) for key in ("server_cpu_us_each", "per_second")}
              for kind, mine in runs.items()}
    if chosen.nginx:
        ratio = statistics.median(a["server_cpu_us_each"] / b["server_cpu_us_each"]
                                  for a, b in zip(runs["tls"], runs["nginx"]))
        result["ratio_to_nginx"], result["reached"] = round(ratio, 3), ratio <= GOAL
    return result


def handshakes(chosen, base):
    """Whole handshakes of one core: `openssl s_time` on the other, and what its signatures alone would allow."""
    with Servers("tls", base) as servers:
        seconds = max(int(chosen.seconds), 2)
        pid = servers.pids[0]
        before = plain.processor_seconds(pid)
        begin = time.monotonic()
        done = subprocess.run(["taskset", "--cpu-list", str(plain.LOAD_CPU), "openssl", "s_time", "-connect",
                               f"127.0.0.1:{servers.port}", "-new", "-time", str(seconds)], capture_output=True, text=True)
        used, took = plain.processor_seconds(pid) - before, time.monotonic() - begin
    count = int(re.search(r"(\d+) connections in", done.stdout)[1])
    speed = subprocess.run(["taskset", "--cpu-list", str(plain.SERVER_CPU), "openssl", "speed", "-seconds", "1",
                            "ecdsap256"], capture_output=True, text=True).stdout
    return {"handshakes": count, "per_second": round(count / took), "server_cpu_us_each": round(used / count * 1e6, 1),
            "openssl_speed_sign_per_second": float(speed.split()[-2])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", action="append", choices=SHAPES)
    parser.add_argument("--handshakes", action="store_true", help="these alone")
    parser.add_argument("--smoke", action="store_true")
    chosen = parser.parse_args()
    if chosen.smoke:
        chosen.rounds, chosen.seconds = 1, 1
    if why := plain.missing():
        print(f"SKIPPED: {why}")
        return plain.SKIPPED
    plain.private_network()
    chosen.nginx = shutil.which("nginx") is not None and (MODULES / "ngx_stream_module.so").exists()
    if not chosen.nginx:
        print("without nginx: scripts/deps.sh installs it", file=sys.stderr)
    result = {"benchmark": "udpgw_tls", "rounds": chosen.rounds, "seconds": chosen.seconds, "shapes": {}}
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        base = pathlib.Path(folder)
        if not chosen.handshakes:
            for shape in chosen.only or (SHAPES[1:2] if chosen.smoke else SHAPES):
                result["shapes"][shape] = shape_result(shape, chosen, base)
        result["handshakes"] = handshakes(chosen, base)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
