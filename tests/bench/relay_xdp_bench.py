#!/usr/bin/env python3
"""geneve-relay's way in the kernel: what a relayed packet costs by user space, by the program, and by a driver's frames.

    tests/bench/relay_xdp_bench.py                 three rounds of each way; JSON on stdout, a table on stderr
    tests/bench/relay_xdp_bench.py --only native --rounds 5 --rate 200000
    tests/bench/relay_xdp_bench.py --smoke         a second of each, to see that everything runs

      one ------ gateway ------ two                namespaces, joined by veth

Ways: `off` a gateway of one lane; `generic`, `native` the program, the clients' traffic from sockets (bursts of 16 single
sends, 1280 B of UDP payload); `live` native, with frames as a driver has them (BPF live frames), as many as go. The
kernel polls the interface to the sender in a thread of its own on one core, the sender is on the other, and what comes
out is dropped by the receiver's driver. CPU is of that thread, and with `off` of the gateway, for each packet that is
passed on.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from udpgw_bench import BUILD, LOAD_CPU, SERVER_CPU, SKIPPED, processor_seconds

from harness import Gateway, Net
from harness.kernel_poller import KernelPoller
from harness.net import enter
from harness.relay import RelayClient, allocate
from test_geneve_relay_fast_path import ONE, PORT, PROGRAM, TWO, VNI, Program, geneve, ipv4_frame, written

WAYS = ("off", "generic", "native", "live")
GOALS = {"live": 250}  # ns a packet
SIZE, ONE_PORT, TWO_PORT = 1280, 5001, 5002
API = "/run/relay-bench.sock"
LIVE_FRAMES = 2_000_000  # a second of them


class Way:
    """One way, in namespaces of its own."""

    def __init__(self, way, chosen):
        self.way, self.chosen = way, chosen
        self.cleanup = contextlib.ExitStack()
        self.net = Net()
        self.cleanup.callback(self.net.close)
        for name in ("one", "gateway", "two"):
            self.net.namespace(name)
        self.net.link("one", ["10.77.0.2/24"], "gateway", ["10.77.0.1/24"])
        self.net.link("gateway", ["10.78.0.1/24"], "two", ["10.78.0.2/24"])
        for name in ("one", "two"):
            self.net.run(name, ["ethtool", "-K", "to_gateway", "tx", "off", "rx", "off"])
            for namespace, device in (("gateway", f"to_{name}"), (name, "to_gateway")):
                self.net.run(namespace, ["ethtool", "-K", device, "gro", "on"])  # so that it is polled in any case

    def close(self):
        self.cleanup.close()

    def result(self):
        with contextlib.closing(self):
            vni, packets, spent = self.serve_user_space() if self.way == "off" else self.serve_kernel()
            self.drop_at("two")
            for namespace, device in (("one", "to_gateway"), ("two", "to_gateway"), ("gateway", "to_two")):
                KernelPoller(self.net, namespace, device).pin(LOAD_CPU)
            poller = KernelPoller(self.net, "gateway", "to_one")
            if not poller:
                raise RuntimeError("no thread of the kernel polls the interface")
            poller.pin(SERVER_CPU)
            packets_before, spent_before = packets(), spent() + poller.spent_ns()
            self.send(vni)
            passed = packets() - packets_before
            return {"packets": passed, "cpu_ns_each": round((spent() + poller.spent_ns() - spent_before) / max(passed, 1))}

    def serve_user_space(self):
        """(VNI, what asks for packets passed on, what asks for CPU ns)"""
        gateway = Gateway(self.net, "gateway", {"geneve-relay": {
            "listen": [f"udp:0.0.0.0:{PORT}"], "listen_api": [f"unix:{API}"], "lanes": 1}})
        gateway.before = ["taskset", "--cpu-list", str(SERVER_CPU)]
        self.cleanup.callback(gateway.stop)
        gateway.start()
        clients = [RelayClient(self.net, name, ends[4][1], PORT) for name, ends in (("one", ONE), ("two", TWO))]
        endpoint = allocate(API, *(client.keys for client in clients))
        for client in clients:
            client.of(endpoint)
            client.bind()
        self.ports = [client.socket.getsockname()[1] for client in clients]
        for client in clients:
            client.close()

        def packets():
            return int(gateway.metric("gatehouse_plugin_geneve_relay_forwarded_packets_total"))

        return endpoint["VNI"], packets, lambda: int(processor_seconds(gateway.process.pid) * 1e9)

    def serve_kernel(self):
        program = Program(self.net)
        self.cleanup.callback(program.close)
        if program.first != "ready":
            raise RuntimeError(program.first)
        mode = "generic" if self.way == "generic" else "native"
        program.ask("ports", PORT)
        for interface in ("to_one", "to_two"):
            if mode not in (said := program.ask("attach", interface, mode)):
                raise RuntimeError(said)
            self.know_neighbour(interface[3:])
        program.put((ONE[4][0], ONE_PORT, ONE[4][1]), (TWO[4][0], TWO_PORT, TWO[4][1]))
        self.ports = [ONE_PORT, TWO_PORT]
        return VNI, lambda: program.totals()["relayed"], lambda: 0

    def know_neighbour(self, name):
        link = json.loads(self.net.run(name, ["ip", "-j", "link", "show", "to_gateway"]).stdout)[0]
        host = {"one": ONE, "two": TWO}[name][4][0]
        self.net.run("gateway", ["ip", "neighbour", "replace", host, "lladdr", link["address"], "dev", f"to_{name}", "nud",
                                 "permanent"])

    def drop_at(self, name):
        keeper = self.net.popen(name, [PROGRAM, "drop", "to_gateway"], stdout=subprocess.PIPE, text=True)
        self.cleanup.callback(keeper.stdout.close)
        if keeper.stdout.readline().strip() != "ready":
            raise RuntimeError("this kernel's veth has no native XDP")

    def send(self, vni):
        if self.way == "live":
            frame = ipv4_frame(ONE[4][0], ONE_PORT, ONE[4][1], PORT, geneve(bytes(SIZE - 8)))
            words = ["live", "to_gateway", str(LIVE_FRAMES * self.chosen.seconds), frame.hex()]
        else:
            words = ["flood", written(ONE[4][0], self.ports[0]), written(ONE[4][1], PORT), str(vni), str(SIZE),
                     str(self.chosen.rate), str(self.chosen.seconds)]
        self.net.run("one", ["taskset", "--cpu-list", str(LOAD_CPU), str(PROGRAM), *words])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rate", type=int, default=100_000, help="packets a second from sockets")
    parser.add_argument("--only", metavar="WAY", action="append", default=[], choices=WAYS)
    parser.add_argument("--smoke", action="store_true", help="a second of each")
    chosen = parser.parse_args()
    if not PROGRAM.exists() or not (BUILD / "plugins" / "geneve-relay.so").exists():
        print("SKIPPED: geneve-relay or relay_fast_path is not built")
        return SKIPPED
    enter()
    if chosen.smoke:
        chosen.rounds, chosen.seconds = 1, 1
    results = {}
    for way in chosen.only or WAYS:
        try:
            runs = [Way(way, chosen).result() for _ in range(chosen.rounds)]
        except RuntimeError as failure:
            print(f"{way}: {failure}", file=sys.stderr)
            results[way] = {"skipped": str(failure)}
            continue
        each = statistics.median(one["cpu_ns_each"] for one in runs)
        results[way] = {"cpu_ns_each": each, "packets": statistics.median(one["packets"] for one in runs)}
        if GOALS.get(way):
            results[way]["goals"] = [{"what": "cpu_ns_each", "goal": GOALS[way], "reached": each <= GOALS[way]}]
        print(f"{way:8} {each:6.0f} ns CPU/packet, of {results[way]['packets']:.0f}", file=sys.stderr)
    print(json.dumps({"benchmark": "geneve-relay in the kernel", "rounds": chosen.rounds, "seconds": chosen.seconds,
                      "rate": chosen.rate, "ways": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
