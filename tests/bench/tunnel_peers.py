"""Other tunnels in the topology of tunnel_bench.py, as their packages' users set them up: wireguard-go, and OpenVPN over
TCP with AES-GCM. Each start_*(bench) returns the server's and the client's process once the client has a route."""

import shutil
import subprocess
import time

from harness import net as namespaces
from harness.tls import Authority

SERVER_DEVICE = "peer0"
SERVER_ADDRESS, CLIENT_ADDRESS = "172.16.0.2", "172.16.0.1"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def start_wireguard(bench):
    folder, net = fresh_folder(bench, ("wireguard-go", "wg")), bench.net
    public = {}
    for end in ("server", "client"):
        private = subprocess.run(["wg", "genkey"], capture_output=True, check=True, text=True).stdout
        (folder / end).write_text(private)
        public[end] = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, check=True,
                                     text=True).stdout.strip()
    server = net.popen("server", ["wireguard-go", "-f", SERVER_DEVICE], **QUIET)
    client = net.popen("client", ["wireguard-go", "-f", bench.device], **QUIET)
    bench.wait_for("server", SERVER_DEVICE, server, is_up=False)
    bench.wait_for("client", bench.device, client, is_up=False)
    net.run("server", ["wg", "set", SERVER_DEVICE, "listen-port", str(bench.port), "private-key",
                       str(folder / "server"), "peer", public["client"], "allowed-ips", f"{CLIENT_ADDRESS}/32"])
    net.run("client", ["wg", "set", bench.device, "private-key", str(folder / "client"), "peer", public["server"],
                       "endpoint", f"{bench.server}:{bench.port}", "allowed-ips", "0.0.0.0/0"])
    for end, device in (("server", SERVER_DEVICE), ("client", bench.device)):
        net.run(end, ["ip", "link", "set", device, "mtu", "1420"])  # what a wire of 1500 bytes leaves
    set_up_devices(bench)
    return server, client


def start_openvpn(bench):
    folder, net = fresh_folder(bench, ("openvpn",)), bench.net
    authority = Authority(folder)
    common = ["openvpn", "--dev-type", "tun", "--persist-tun", "--disable-dco", "--data-ciphers", "AES-256-GCM",
              "--ca", str(authority.certificate), "--verb", "1"]
    processes = []
    for end, device, own, other, role in (
            ("server", SERVER_DEVICE, SERVER_ADDRESS, CLIENT_ADDRESS, ["--proto", "tcp-server", "--tls-server", "--dh",
                                                                       "none", "--lport", str(bench.port)]),
            ("client", bench.device, CLIENT_ADDRESS, SERVER_ADDRESS, ["--proto", "tcp-client", "--tls-client",
                                                                      "--remote", bench.server, str(bench.port)])):
        certificate, key = authority.issue(end, f"IP:{bench.server}")
        processes.append(net.popen(end, [*common, *role, "--dev", device, "--ifconfig", own, other, "--cert",
                                         str(certificate), "--key", str(key)], **QUIET))
        time.sleep(0.5)
    for end, device, process in zip(("server", "client"), (SERVER_DEVICE, bench.device), processes):
        bench.wait_for(end, device, process)
    bench.masquerade()
    net.run("client", ["ip", "route", "replace", "198.18.0.0/24", "dev", bench.device])
    return tuple(processes)


def set_up_devices(bench):
    bench.net.run("server", ["ip", "address", "add", f"{SERVER_ADDRESS}/24", "dev", SERVER_DEVICE])
    bench.net.run("server", ["ip", "link", "set", SERVER_DEVICE, "up"])
    bench.masquerade()
    bench.set_up_client_device()


def fresh_folder(bench, tools):
    for tool in tools:
        if shutil.which(tool) is None:
            namespaces.skip(f"{tool} is not installed: apt-get install wireguard-go wireguard-tools openvpn")
    folder = bench.folder / "peer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


PEERS = {"wireguard-go": start_wireguard, "openvpn": start_openvpn}
