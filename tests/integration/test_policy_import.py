#!/usr/bin/env python3
"""`gatehouse policy import` as a program: its words and exit codes, and what a kill in the middle leaves."""

import hashlib
import json
import pathlib
import random
import subprocess
import tempfile
import time
import unittest

from harness.case import main
from harness.gateway import PROGRAM, SLOW
from harness.policy import Policy


class Import(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = pathlib.Path(folder.name)
        self.lists = self.base / "lists"
        (self.base / "gatehouse.toml").write_text(f'[gateway]\nstate_dir = "{self.base}"\n')
        self.assertEqual(self.cli("init").returncode, 0)
        self.policy = Policy(self.base / "policy.db")

    def command(self, *words):
        return [str(PROGRAM), "policy", *words, "--config", str(self.base / "gatehouse.toml")]

    def cli(self, *words, input=""):
        return subprocess.run(self.command(*words), capture_output=True, text=True, input=input, timeout=60)

    def names(self, prefix, count):
        path = self.base / f"{prefix}.txt"
        path.write_text("".join(f"{prefix}{i:x}.{i % 977}.example.com\n" for i in range(count)))
        return str(path)

    def list_row(self):
        """(file, entries) of the row, after a look whether the file is whole."""
        file, entries = self.policy.sql("SELECT file, entries FROM domain_lists WHERE name = 'ads'").split("|")
        content = (self.lists / file).read_bytes()
        self.assertEqual(hashlib.sha256(content).hexdigest() + ".names", file)
        self.assertEqual(int.from_bytes(content[16:24], "little"), int(entries))
        return file, int(entries)

    def test_counts_and_rejects_are_told(self):
        done = self.cli("import", "ads", "-", input="0.0.0.0 a.example.com\n0.0.0.0 a.example.com b/c\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("ads: 1 names in force (hosts, match exact, action block)", done.stdout)
        self.assertIn("2 lines: 1 names, 0 exceptions, 1 duplicates, 1 rejected", done.stdout)
        self.assertIn("line 2: `b/c` has `/` in it", done.stdout)
        body = json.loads(self.cli("import", "ads", "-", "--json", "--action", "monitor", input="x.example.com").stdout)
        self.assertEqual((body["entries"], body["entries_before"], body["format"]), (1, 1, "domains"))
        self.assertEqual((body["match"], body["action"], body["rejects"]), ("exact", "monitor", []))
        self.assertEqual(self.list_row(), (body["file"], 1))

    def test_refusals_are_1_and_wrong_use_is_2(self):
        self.assertEqual(self.cli("import", "ads", self.names("a", 100)).returncode, 0)
        before = self.list_row()
        done = self.cli("import", "ads", "-", input="a.example.com\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the list stays as it was: the list shrank from 100 names to 1", done.stderr)
        done = self.cli("import", "ads", "-", "--json", "--allow-wide", input="<html>\na.example.com\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("this is a web page", json.loads(done.stdout)["refused"])
        for words in (["ads"], ["ads", "/no/such/file"], ["ads", str(self.base)], ["ads", "-", "--format", "xml"],
                      ["ads", "-", "--match", "glob"], ["ads", "-", "--group", "nobody"]):
            done = self.cli("import", *words, input="a.example.com\n")
            self.assertEqual(done.returncode, 2, done)
            self.assertNotEqual(done.stderr, "")
        self.assertEqual(self.cli("import", "ads", "-", "--allow-wide", input="a.example.com\n").returncode, 1)
        self.assertEqual(self.list_row(), before)
        self.assertEqual(self.cli("import", "ads", "-", "--force", input="a.example.com\ncom\n").returncode, 0)
        self.assertEqual(self.list_row()[1], 2)
        self.assertEqual(self.cli("import", "ads", "-", "--allow-shrink", input="# none\n").returncode, 1)

    def test_an_entry_that_is_too_wide_is_left_out_and_3(self):
        text = "a.example.com\nco.uk\nevil.duckdns.org\nlan\n"
        done = self.cli("import", "ads", "-", input=text)
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        self.assertIn("ads: 2 names in force", done.stdout)
        self.assertIn("2 too wide and left out (--allow-wide takes them)\n  line 2: `co.uk` is a public", done.stdout)
        done = self.cli("import", "ads", "-", "--json", input=text)
        self.assertEqual(done.returncode, 3)
        body = json.loads(done.stdout)
        self.assertEqual((body["entries"], body["too_wide"]), (2, 2))
        self.assertEqual([(one["line"], one["name"]) for one in body["wide"]], [(2, "co.uk"), (4, "lan")])
        self.assertIn("is a public suffix", body["wide"][0]["why"])
        self.assertEqual(self.cli("import", "ads", "-", "--allow-wide", input=text).returncode, 0)
        self.assertEqual(self.list_row()[1], 4)

    def test_exceptions_that_are_not_taken_are_said_loudly(self):
        text = "||a.example.com^\n@@||b.a.example.com^$client=kid\n@@||com^\nx.example.com##.ad\n"
        done = self.cli("import", "ads", "-", input=text)
        self.assertEqual(done.returncode, 3)
        self.assertIn("2 exceptions could not be taken, so that more is blocked than the list says; the first, line 2",
                      done.stderr)
        self.assertIn("2 exceptions not taken: what they leave alone is blocked\n  line 2: ", done.stdout)
        body = json.loads(self.cli("import", "ads", "-", "--json", input=text).stdout)
        self.assertEqual((body["entries"], body["exceptions"], body["rejected"], body["too_wide"]), (1, 0, 2, 1))
        self.assertEqual(body["rejected_exceptions"], 2)
        self.assertEqual([(one["line"], one["name"]) for one in body["lost_exceptions"]],
                         [(2, "@@||b.a.example.com^$client=kid"), (3, "com")])
        self.assertEqual([one["name"] for one in body["rejects"]],
                         ["@@||b.a.example.com^$client=kid", "x.example.com##.ad"])
        # What only a browser can do is no reason to worry.
        done = self.cli("import", "ads", "-", input="||a.example.com^\nx.example.com##.ad\n||b.example.com^$popup\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_parenthesis_in_quotes_swallows_nothing_and_one_left_open_refuses(self):
        zone = '@ SOA ns. root. 1 2 3 4 5\na.example.com CNAME .\n%s\nb.example.com CNAME .\nc.example.com CNAME .\n'
        done = self.cli("import", "ads", "-", input=zone % 'note.example.com TXT "sad :("')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("5 lines: 3 names, 0 exceptions, 0 duplicates, 1 rejected", done.stdout)
        done = self.cli("import", "ads", "-", input=zone % "note.example.com TXT (")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ends inside the parentheses of the record that begins in line 3", done.stderr)
        self.assertEqual(self.list_row()[1], 3)

    def test_match_is_for_what_a_format_leaves_open(self):
        done = self.cli("import", "ads", "-", "--match", "exact", input="||a.example.com^\n")
        self.assertIn("--match changes nothing", done.stdout)
        done = self.cli("import", "ads", "-", "--match", "exact", "--format", "domains", input="a.example.com\n")
        self.assertNotIn("--match", done.stdout)

    def test_a_kill_at_any_moment_leaves_a_whole_list(self):
        size = 200_000 // SLOW
        first, second = self.names("a", size), self.names("b", size + 1)
        self.assertEqual(self.cli("import", "ads", first).returncode, 0)
        start = time.monotonic()
        self.assertEqual(self.cli("import", "ads", first).returncode, 0)
        whole = time.monotonic() - start
        chance, killed = random.Random(), 0
        former = self.list_row()
        for round in range(12):
            process = subprocess.Popen(self.command("import", "ads", second if round % 2 == 0 else first),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # Most of them near the end, where files are renamed and the row is written.
            time.sleep(whole * (chance.uniform(0.6, 1.05) if round % 3 else chance.uniform(0, 1)))
            process.kill()
            if process.wait() != 0:
                killed += 1
            row = self.list_row()
            if row != former:
                self.assertEqual(row[1], size + 1 if round % 2 == 0 else size)
            former = row
        self.assertGreater(killed, 0, "no import was killed before its end")
        self.assertEqual(self.cli("import", "ads", second).returncode, 0)
        self.assertEqual(self.list_row()[1], size + 1)
        self.assertEqual([path.name for path in self.lists.iterdir() if path.suffix != ".names"], [])


if __name__ == "__main__":
    main()
