#!/usr/bin/env python3
"""A newcomer's afternoon: the SDK is installed to an empty prefix, `plugin new` makes a project, and its README is followed
word by word: build, test, check, a gateway of its own, traffic, a changed line, that plugin restarted alone, traffic again.
And plugins of the tree, built outside of it, which pass the check and serve.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

from harness import BUILD, GATEWAY, INTERNET, GatewayTest, main
from harness.gateway import ROOT, SLOW
from harness.socks5 import WebServer

HOME = pathlib.Path("/run/newcomer")  # the test's own; always the same, so that a compiler's cache knows it
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "--- end of block"
# Configuring, building, testing and checking a new project. It is held to processor time, since what else a machine does is
# not the project's fault; on one with nothing else to do it takes no longer than that and what the check waits for, 5 s.
PROJECT_SECONDS = 55
# A build of a plugin out of the tree, whose files say "plugins/NAME/..." as they do within.
AROUND = """cmake_minimum_required(VERSION 3.25...3.30)
project(around LANGUAGES C CXX)
find_package(Gatehouse 1 REQUIRED CONFIG)
add_subdirectory(plugins/NAME)
"""


def blocks(text):
    """(language, text) of each code block of a README."""
    return [(found[1], found[2]) for found in BLOCK.finditer(text)]


def seconds_of_children(file):
    """Processor time until the first `times` of a shell, of all that it has run."""
    found = re.findall(r"(\d+)m([\d.,]+)s", file.read_text().splitlines()[1])
    return sum(60 * int(minutes) + float(seconds.replace(",", ".")) for minutes, seconds in found)


class Installed(GatewayTest):
    """Has the package, and what a shell finds of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if "asan" in BUILD.name or "tsan" in BUILD.name:
            raise unittest.SkipTest("a library with a sanitizer in it is nothing to install")
        cls.prefix = HOME / "moved"
        for component in ("sdk", "gateway"):
            subprocess.run(["cmake", "--install", BUILD, "--prefix", HOME / "prefix", "--component", component],
                           check=True, stdout=subprocess.DEVNULL)
        shutil.move(HOME / "prefix", cls.prefix)  # it holds no path of its own
        cls.environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE")}
        cls.environment |= {"PATH": f"{cls.prefix}/bin:{os.environ['PATH']}", "CXXFLAGS": "-Werror",
                            "PKG_CONFIG_PATH": f"{cls.prefix}/lib/pkgconfig"}

    def shell(self, script, folder, timeout=240):
        """What a shell prints, which ends at the first command that fails; the test fails then."""
        log = folder / "shell.log"
        with log.open("w") as out:  # no pipe, which what runs in the background would hold open
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.STDOUT, env=self.environment, timeout=timeout * SLOW)
        self.assertEqual(done.returncode, 0, log.read_text())
        return log.read_text()

    def exports_one_symbol(self, file):
        table = subprocess.run(["readelf", "-W", "--dyn-syms", file], check=True, capture_output=True, text=True).stdout
        defined = [line.split() for line in table.splitlines() if re.match(r"^ *\d+:", line) and " UND " not in line]
        self.assertEqual([row[7].split("@")[0] for row in defined], ["gatehouse_plugin"], table)
        dynamic = subprocess.run(["readelf", "-W", "-d", "-l", file], check=True, capture_output=True, text=True).stdout
        for word in ("NOW", "NODELETE", "GNU_RELRO"):
            self.assertIn(word, dynamic)
        self.assertNotRegex(dynamic, "RPATH|RUNPATH|TEXTREL|GNU_STACK.*RWE")


class Newcomer(Installed):
    def new(self, name, kind):
        self.shell(f"gatehouse plugin new {name} --kind {kind}", HOME)
        return HOME / name

    def follow(self, readme, folder):
        """Runs every block; what each prints has to hold what the README says below it."""
        steps = blocks(readme)
        self.assertGreater(len([text for language, text in steps if language == "sh"]), 7)
        script = "".join(f"{text}times >>times\necho '{END}'\n" for language, text in steps if language == "sh")
        said = self.shell(f"trap 'kill $(jobs -p) 2>/dev/null; cat run/log >&2' ERR\n{script}", folder).split(END + "\n")
        at = -1
        for language, text in steps:
            if language == "sh":
                at += 1
            else:
                self.assertIn(text, said[at], readme)
        return said

    def tutorial(self, kind):
        folder = self.new("my-protocol", kind)
        said = self.follow((folder / "README.md").read_text(), folder)
        text = "".join(said)
        self.assertIn("100% tests passed", text)
        if self.shell("gatehouse plugin --help | grep '^ *check ' || true", HOME):
            self.assertIn("plugin_check", text)
        self.assertEqual(text.count("Building CXX object"), 4, "two files twice: the plugin and its test\n" + text)
        self.assertLess(seconds_of_children(folder / "times"), PROJECT_SECONDS * SLOW, "a new project takes a minute")

    def test_tutorial_of_a_stream_plugin(self):
        self.tutorial("stream")

    def test_tutorial_of_a_datagram_plugin(self):
        self.tutorial("datagram")

    def test_tutorial_of_a_packet_plugin(self):
        self.tutorial("packet")

    def test_a_package_of_another_border_is_not_taken(self):
        folder = HOME / "versions"
        folder.mkdir(parents=True)
        (folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25...3.30)\nproject(versions LANGUAGES CXX)\n"
            "foreach(version 1 1.0 1.99 2)\n  find_package(Gatehouse ${version} QUIET CONFIG)\n"
            "  message(STATUS \"${version}: ${Gatehouse_FOUND}\")\n  unset(Gatehouse_DIR CACHE)\nendforeach()\n")
        said = self.shell("cmake -B build", folder)
        self.assertEqual(re.findall(r"^-- ([\d.]+): (\d)$", said, re.MULTILINE),
                         [("1", "1"), ("1.0", "1"), ("1.99", "0"), ("2", "0")], said)

    def test_other_build_systems_have_their_flags_of_pkg_config(self):
        if not shutil.which("pkg-config"):
            self.skipTest("pkg-config is not installed")
        folder = self.new("by-hand", "datagram")
        self.shell("g++ -O1 -shared $(pkg-config --cflags gatehouse-sdk) by_hand.cpp $(pkg-config --libs gatehouse-sdk) "
                   "-o by-hand.so", folder)
        self.exports_one_symbol(folder / "by-hand.so")

    def test_a_name_that_is_none_and_a_folder_that_is_there_are_refused(self):
        folder = self.new("taken", "stream")
        mine = (folder / "taken.cpp").read_text()
        for words, why in (("taken --kind stream", "nothing is overwritten"), ("Taken --kind stream", "no plugin's name"),
                           ("other --kind tape", "tape not in")):
            done = subprocess.run(["gatehouse", "plugin", "new", *words.split()], cwd=HOME, env=self.environment,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(why, done.stderr)
        self.assertEqual((folder / "taken.cpp").read_text(), mine)

class OutOfTheTree(Installed):
    """A plugin of the tree, built against the installed package alone, is as good as the tree's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if shutil.which("ccache"):
            cls.environment |= {"CMAKE_CXX_COMPILER_LAUNCHER": "ccache", "CMAKE_C_COMPILER_LAUNCHER": "ccache"}

    def build(self, name):
        folder = HOME / f"around-{name}"
        shutil.copytree(ROOT / "plugins" / name, folder / "plugins" / name)
        (folder / "CMakeLists.txt").write_text(AROUND.replace("NAME", name))
        self.shell("cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build\n"
                   f"cmake --install build --prefix {folder}/installed", folder)
        file = folder / "installed/lib/gatehouse/plugins" / f"{name}.so"
        self.exports_one_symbol(file)
        self.assertRegex(self.shell(f"gatehouse plugin check {file}", folder), r"\nconforms: works with host ABI 1\.")
        return file

    def serve(self, name, port):
        """A gateway that has loaded that very file."""
        file = self.build(name)
        listen = [{"address": f"0.0.0.0:{port}", "auth": "none"}]
        gateway = self.gateway(plugins={name: {"path": str(file), "listen": listen}})
        loaded = next(one for one in gateway.json("plugin", "list")["plugins"] if one["name"] == name)
        self.assertEqual((loaded["file"], loaded["running"], loaded["file_differs"]), (str(file), "running", False))
        return gateway

    def echoes(self, port):
        with self.net.connect("client", GATEWAY[0], port) as stream:
            stream.sendall(b"hello")
            self.assertEqual(stream.recv(100), b"hello")

    def test_echo(self):
        self.serve("echo", 7007)
        self.echoes(7007)

    def test_echo_in_c(self):
        self.serve("echo-c", 7008)
        self.echoes(7008)

    def test_socks5(self):
        web = WebServer(self.net, "internet", "0.0.0.0", 8080, {"/hello": "hello"})
        self.addCleanup(web.stop)
        self.serve("socks5", 1080)
        done = self.net.run("client", ["curl", "-sS", "--max-time", "20", "--socks5", f"{GATEWAY[0]}:1080",
                                       f"http://{INTERNET[0]}:8080/hello"], check=False)
        self.assertEqual((done.stdout, done.returncode), ("hello", 0), done.stderr)
        self.assertEqual(len(web.asked), 1)


if __name__ == "__main__":
    main(at_once=2)
