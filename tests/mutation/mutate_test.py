#!/usr/bin/env python3
"""What mutate.py finds in a source, and that it puts it back."""

import pathlib
import tempfile
import unittest

import mutate
import mutants

SAMPLE = """\
#include "a.hpp"
#if 1 < 2
// if (a < b) c();
namespace gatehouse {
template <class T>
int Table::first(const T& at) {
  static_assert(kMost > 7);
  if (!at.empty() && at.size() >= 2) return std::min(at[1], 0x1'0);
  log_.warn("no entry: " + at.name() + " < 3");
  Entry found = find(at);
  ++misses_;
  forget(at,
         [&] { return true; });
  const std::string_view text = "x == 1";
  return total - found.size;
}
"""
WANTED = """\
8:7 condition: !at.empty() && at.size() >= 2 -> false
8:7 condition: !at.empty() && at.size() >= 2 -> true
8:7 logic: ! -> (nothing)
8:19 logic: && -> ||
8:32 relation: >= -> <
8:32 relation: >= -> >
8:35 constant: 2 -> 3
8:50 arithmetic: min -> max
8:57 constant: 1 -> 2
8:61 constant: 0x1'0 -> 17
11:3 arithmetic: ++ -> --
11:3 statement: ++misses_; -> ;
12:3 statement: forget(at, [&] { return true; }); -> ;
13:23 constant: true -> false
15:16 arithmetic: - -> +
""".splitlines()


class MutantsTest(unittest.TestCase):
    maxDiff = None

    def test_are_these(self):
        found = mutants.find("a.cpp", SAMPLE)
        self.assertEqual([str(one).removeprefix("a.cpp:") for one in found], WANTED)

    def test_change_one_place_each(self):
        for one in mutants.find("a.cpp", SAMPLE):
            changed = one.apply(SAMPLE)
            self.assertNotEqual(changed, SAMPLE)
            self.assertTrue(changed.startswith(SAMPLE[:one.at]) and changed.endswith(SAMPLE[one.at + len(one.old):]))


class Broken:
    """A build that ends in the middle."""

    def __init__(self, tree):
        self.tree = tree
        self.seen = None

    def make(self, programs, **_):
        self.seen = (self.tree / "sdk/a.cpp").read_text()
        raise KeyboardInterrupt


class MutateTest(unittest.TestCase):
    def test_restores_the_file_whatever_happens(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "sdk" / "a.cpp"
            file.parent.mkdir()
            file.write_text(SAMPLE)
            copy = Broken(pathlib.Path(folder))
            one = mutants.find("sdk/a.cpp", SAMPLE)[0]
            with self.assertRaises(KeyboardInterrupt):
                mutate.judge(copy, one)
            self.assertEqual(copy.seen, one.apply(SAMPLE))
            self.assertEqual(file.read_text(), SAMPLE)

    def test_knows_a_files_own_tests(self):
        self.assertIn("Lru", mutate.own_suites("sdk/include/gatehouse/table/lru.hpp"))


if __name__ == "__main__":
    unittest.main()
