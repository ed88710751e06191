#!/usr/bin/env python3
"""verb_test.py GATEHOUSE PLUGIN FAULTY ODD: what `gatehouse plugin check` prints, and how it ends.

PLUGIN has no fault, FAULTY has one (slow_stop), ODD says why in words that are not for terminals.
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

GATEHOUSE, PLUGIN, FAULTY, ODD = sys.argv[1:5]


def check(*arguments, folder=None):
    return subprocess.run([GATEHOUSE, "plugin", "check", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                          timeout=100)


class PluginCheck(unittest.TestCase):
    def test_tells_with_which_hosts_a_sound_plugin_works(self):
        done = check(PLUGIN)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("faulty 1.0.0: ", done.stdout)
        self.assertTrue(done.stdout.endswith("conforms: works with host ABI 1.0 and every later 1.x\n"), done.stdout)

    def test_takes_a_name_in_the_folder_where_one_is(self):
        done = check(Path(PLUGIN).name, folder=Path(PLUGIN).parent)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("warning", done.stdout)

    def test_names_each_fault_with_what_to_do(self):
        done = check(FAULTY)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"fault    slow_stop, load: its lanes returned \d+ ms after stop\(\)\n +run_lane\(\) ")
        self.assertTrue(done.stdout.endswith("does not conform\n"), done.stdout)

    def test_a_plugin_has_no_lines_of_its_own_in_it(self):
        done = check(ODD)
        self.assertEqual(done.returncode, 1)
        self.assertIn(r"it refuses its own defaults: \x1b[2J\x0aconforms: works with any host\x0a", done.stdout)
        self.assertFalse([line for line in done.stdout.splitlines() if line.startswith("conforms")], done.stdout)
        self.assertEqual(len(json.loads(check("--json", ODD).stdout)["findings"]), 1)

    def test_prints_one_json_object(self):
        report = json.loads(check("--json", PLUGIN).stdout)
        self.assertEqual(report["file"], str(Path(PLUGIN).resolve()))
        self.assertEqual(report["manifest"], {"id": "faulty", "version": "1.0.0", "abi_major": 1, "abi_minor": 0})
        self.assertIs(report["conforms"], True)
        self.assertEqual(report["findings"], [])
        self.assertTrue(any(name.startswith("libc.so") for name in report["needed"]), report["needed"])
        names = [step["name"] for step in report["steps"]]
        self.assertEqual(names[:6], ["handshake", "options", "dry_run", "cycles", "load", "later_host"])
        self.assertIn("without gh.identity/1", names)
        self.assertIn("failing gh.sessions/1.open", names)
        self.assertLess(sum(step["milliseconds"] for step in report["steps"]), 60_000)

    def test_reads_a_file_that_is_cut_short_without_running_it(self):
        with tempfile.TemporaryDirectory() as folder:
            cut = Path(folder) / "cut.so"
            cut.write_bytes(Path(PLUGIN).read_bytes()[:5000])
            done = check("--json", cut)
        self.assertEqual(done.returncode, 1)
        report = json.loads(done.stdout)
        self.assertEqual([one["id"] for one in report["findings"]], ["not_loadable"])
        self.assertIsNone(report["manifest"])
        self.assertEqual(report["steps"], [])

    def test_warns_where_the_gateway_would_not_load_it_from(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "open.so"
            copy.write_bytes(Path(PLUGIN).read_bytes())
            copy.chmod(0o666)
            done = check("--json", copy)
        self.assertEqual([one["id"] for one in json.loads(done.stdout)["findings"]], ["not_trusted"])
        self.assertEqual(done.returncode, 0)

    def test_passes_options_on(self):
        done = check("--json", "--options", '{"size": 0}', PLUGIN)
        self.assertIn("default_refused", [one["id"] for one in json.loads(done.stdout)["findings"]])

    def test_says_what_is_wrong_with_its_use(self):
        for arguments, words in [
            (["/no/such/file.so"], "there is no plugin file /no/such/file.so"),
            ([PLUGIN, "--options", "[1]"], "--options must be a JSON object"),
            ([], "FILE is required"),
        ]:
            done = check(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
