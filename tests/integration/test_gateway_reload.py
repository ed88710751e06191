#!/usr/bin/env python3
"""A plugin's file that is cut short while the gateway runs is refused with a sentence, and clients are served on."""

import pathlib
import shutil
import struct

from harness import BUILD, INTERNET, GatewayTest, UdpEcho, main

PAGE = 4096
PT_LOAD, PT_DYNAMIC = 1, 2


def segments(data):
    """(type, offset, bytes in the file) of each program header of a 64-bit ELF file."""
    (table,), (count,) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<H", data, 56)
    for at in range(table, table + 56 * count, 56):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, at)
        yield kind, offset, size


class CutPlugin(GatewayTest):
    def setUp(self):
        self.echo = UdpEcho(self.net, "internet", INTERNET[:1])
        self.addCleanup(self.echo.stop)
        self.there = (INTERNET[0], self.echo.port)
        folder = pathlib.Path("/run") / self._testMethodName
        folder.mkdir(mode=0o755)
        self.file = pathlib.Path(shutil.copy(BUILD / "plugins" / "udpgw.so", folder))
        self.whole = self.file.read_bytes()
        self.loaded_end = max(at + size for kind, at, size in segments(self.whole) if kind == PT_LOAD)

    def added(self):
        """A plugin with that file, beside the one that runs."""
        return f'[plugin.second]\npath = "{self.file}"\nlisten = ["127.0.0.1:7301"]\n'

    def fatal_cuts(self):
        """Sizes that lack something which is mapped or read when the file is loaded."""
        headers = struct.unpack_from("<Q", self.whole, 32)[0]
        cuts = {0, 1, 15, 16, 63, 64, headers + 55, headers + 56 * 4, PAGE - 1, PAGE, 3 * PAGE, 16 * PAGE}
        for kind, at, size in segments(self.whole):
            if size and kind in (PT_LOAD, PT_DYNAMIC):
                cuts |= {at, at + 1, at + size // 2 // PAGE * PAGE, at + size - 1}
        return sorted(cut for cut in cuts if cut < self.loaded_end)

    def cut(self, size):
        """The file itself, as a copy that is broken off leaves it: whoever has it mapped sees that."""
        self.mend()
        with self.file.open("r+b") as file:
            file.truncate(size)

    def mend(self):
        self.file.write_bytes(self.whole)

    def test_reload_that_adds_it_is_refused_and_clients_go_on(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        gateway.drop_in(self.added())
        cuts = self.fatal_cuts()
        self.assertGreater(len(cuts), 20)
        for size in cuts:
            self.cut(size)
            done = gateway.cli("reload")
            self.assertEqual(done.returncode, 2, f"cut to {size} bytes: {done.stdout}{done.stderr}")
            self.assertIn(str(self.file), done.stderr)
            self.assertIsNotNone(stream.ask(1, self.there, b"%08d" % size), f"cut to {size} bytes")
        self.mend()
        done = gateway.cli("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIsNotNone(self.client(gateway, port=7301).ask(1, self.there, b"mended.."))
        self.assertEqual(gateway.json("status")["state"], "ok")

    def test_cut_under_a_running_plugin_harms_nobody(self):
        gateway = self.gateway(path=str(self.file))
        for size in (self.loaded_end - 1, PAGE, 0):
            self.cut(size)
            self.assertEqual(gateway.cli("reload").returncode, 0, "what runs is a copy")
            self.assertIsNotNone(self.client(gateway).ask(1, self.there, b"%08d" % size))

    def test_cut_behind_what_is_loaded_harms_nobody(self):
        gateway = self.gateway()
        stream = self.client(gateway)
        gateway.drop_in(self.added())
        for size in (self.loaded_end, (self.loaded_end // PAGE + 1) * PAGE, len(self.whole) - 1):
            self.cut(size)
            self.assertIn(gateway.cli("reload").returncode, (0, 2))
            self.assertIsNotNone(stream.ask(1, self.there, b"%08d" % size))
            gateway.drop_in("")
            self.assertEqual(gateway.cli("reload").returncode, 0)
            gateway.drop_in(self.added())

    def test_check_ends_with_a_sentence(self):
        gateway = self.gateway(start=False)
        gateway.drop_in(self.added())
        for size in self.fatal_cuts():
            self.cut(size)
            done = gateway.cli("check")
            self.assertEqual(done.returncode, 2, f"cut to {size} bytes: {done.stdout}{done.stderr}")
            self.assertIn(str(self.file), done.stderr)
            self.assertLess(len(done.stderr.strip().splitlines()), 4, done.stderr)
        self.mend()
        self.assertEqual(gateway.cli("check").returncode, 0)


if __name__ == "__main__":
    main()
