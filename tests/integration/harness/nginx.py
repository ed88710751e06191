"""A real nginx in a namespace of the test, or the reason why there is none."""

import pathlib
import shutil
import socket
import subprocess
import time

from .net import family_of

STREAM_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def why_missing():
    """None, or why nginx with its stream module cannot run here."""
    if shutil.which("nginx") is None or not STREAM_MODULE.exists():
        return "nginx with its stream module is not installed; scripts/deps.sh installs it"
    return None


class Nginx:
    """`servers` are blocks of http {} and stream {}; it listens on `address` when the constructor returns."""

    def __init__(self, net, namespace, folder, address, http="", stream=""):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "nginx.conf"
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(f"""
daemon off; master_process off; user root;
pid {folder}/nginx.pid; error_log {folder}/error.log;
load_module {STREAM_MODULE};
events {{ worker_connections 512; }}
http {{ access_log off; {temporary} {http} }}
stream {{ {stream} }}
""")
        self.log = folder / "error.log"
        self.process = net.popen(namespace, ["nginx", "-p", str(folder), "-c", str(config)],
                                 stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"nginx ended: {self.process.stderr.read()}")
            with net.socket(namespace, family_of(address[0]), socket.SOCK_STREAM) as trial:
                if trial.connect_ex(address) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("nginx does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()
