"""systemd-resolved in a namespace, with a message bus of its own: as on a host, without systemd as the first process.

GATEHOUSE_RESOLVED names a folder with Debian's packages unpacked (dpkg -x: systemd-resolved, libsystemd-shared,
dbus-daemon and what they need), for a machine whose resolver is not to be replaced by an installation.
"""

import os
import pathlib
import shutil
import subprocess

from .case import eventually

FOLDER = pathlib.Path(os.environ.get("GATEHOUSE_RESOLVED", "/"))
DAEMON = FOLDER / "lib/systemd/systemd-resolved"
USERS = ("messagebus", "systemd-resolve")
BUS = pathlib.Path("/run/dbus/system_bus_socket")
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><auth>EXTERNAL</auth><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>
"""


def why_missing():
    """None, or why it cannot run here."""
    missing = [path for path in (DAEMON, FOLDER / "usr/bin/resolvectl", FOLDER / "usr/bin/dbus-daemon") if not path.exists()]
    return f"{missing[0]} is not installed" if missing else None


def environment():
    """With this programs find resolvectl."""
    folders = [FOLDER / "usr/lib/x86_64-linux-gnu/systemd", FOLDER / "usr/lib/x86_64-linux-gnu", FOLDER / "lib/x86_64-linux-gnu"]
    more = {} if FOLDER == pathlib.Path("/") else {"LD_LIBRARY_PATH": ":".join(map(str, folders))}
    return dict(os.environ, PATH=f"{FOLDER / 'usr/bin'}:{os.environ['PATH']}", **more)


class Resolved:
    """The constructor returns when it answers. Its files are under /run, which is the test's own tmpfs."""

    def __init__(self, net, namespace):
        self._make_users()
        BUS.parent.mkdir(exist_ok=True)
        config = pathlib.Path("/run/dbus/bus.conf")
        config.write_text(BUS_CONFIG)
        self._net, self._namespace = net, namespace
        quiet = {"env": environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._bus = net.popen(namespace, [str(FOLDER / "usr/bin/dbus-daemon"), f"--config-file={config}", "--nofork"], **quiet)
        if not eventually(BUS.exists):
            raise RuntimeError("dbus-daemon does not start")
        state = pathlib.Path("/run/systemd/resolve")
        state.mkdir(parents=True)
        shutil.chown(state, "systemd-resolve", "systemd-resolve")
        self._daemon = net.popen(namespace, [str(DAEMON)], **quiet)
        if not eventually(lambda: self.ctl("dns", check=False).returncode == 0):
            raise RuntimeError("systemd-resolved does not start")

    @staticmethod
    def _make_users():
        for file, line in (("passwd", "{0}:x:{1}:{1}::/:/bin/false\n"), ("group", "{0}:x:{1}:\n")):
            text, own = pathlib.Path("/etc", file).read_text(), pathlib.Path("/run", file)
            for number, name in enumerate(USERS, 64990):
                if f"\n{name}:" not in text:
                    text += line.format(name, number)
            own.write_text(text)
            subprocess.run(["mount", "--bind", own, f"/etc/{file}"], check=True)

    def ctl(self, *words, check=True):
        return self._net.run(self._namespace, [str(FOLDER / "usr/bin/resolvectl"), "--no-pager", *words], check=check,
                             env=environment())

    def stop(self):
        for process in (self._daemon, self._bus):
            process.terminate()
            process.wait(10)
        for file in ("passwd", "group"):
            subprocess.run(["umount", f"/etc/{file}"], check=True)
        shutil.rmtree("/run/systemd")
        BUS.unlink(missing_ok=True)
