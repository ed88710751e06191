#!/usr/bin/env python3
"""kill -9 in mid-write: what was acknowledged is there afterwards, and nothing else than what was asked for.

300 times; by hand GATEHOUSE_CRASHES=1000 python3 -B test_store_crash.py
"""

import os
import random
import sqlite3
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("GATEHOUSE_BUILD", Path(__file__).parents[2] / "build/release"))
DRIVER = BUILD / "bin/store_driver"
CRASHES = int(os.environ.get("GATEHOUSE_CRASHES", "300"))
LEASES = 100_000


class Expected:
    """What may be found of each thing: the state of its last durable operation, or of any later one."""

    def __init__(self):
        self.states = {}  # thing -> [[operation, state, durable]], the oldest first
        self.numbers = {}  # name -> the lowest number that the next block may begin with
        self.acknowledged = 0

    def begin_life(self, found):
        """The process is another one: what it found is what is."""
        self.states = {thing: [[None, state, True]] for thing, state in found.items()}

    def tried(self, operation, thing, state):
        self.states.setdefault(thing, [[None, None, True]]).append([operation, state, False])

    def refused(self, operation):
        for states in self.states.values():
            states[:] = [entry for entry in states if entry[0] != operation]

    def durable(self, operation):
        self.acknowledged += 1
        for states in self.states.values():
            for i, entry in enumerate(states):
                if entry[0] == operation:
                    del states[:i]  # nothing older may come back
                    break

    def allowed(self, thing):
        return [state for _, state, _ in self.states.get(thing, [[None, None, True]])]


class Life:
    """One process of the driver, from its start to its death."""

    def __init__(self, folder, seed):
        self.process = subprocess.Popen([DRIVER, folder, str(seed)], stdout=subprocess.PIPE, text=True)
        self.found, self.numbers, self.alarm = {}, {}, False
        for line in self.process.stdout:
            word, *rest = line.split()
            if word == "session":
                self.found["session " + rest[0]] = rest[2]
            elif word == "lease":
                self.found["lease " + rest[0]] = rest[1]
            elif word == "value":
                self.numbers[rest[0]] = int(rest[1])
            elif word == "alarm":
                self.alarm = True
            elif word == "loaded":
                self.microseconds, self.cpu_microseconds = map(int, rest)
                return
        raise AssertionError(f"the driver ended with {self.process.wait()}")

    def kill(self):
        self.process.kill()
        lines = self.process.stdout.read().splitlines(keepends=True)
        self.process.wait()
        self.process.stdout.close()
        return [line.split() for line in lines if line.endswith("\n")]


def follow(expected, lines):
    """Takes over what a life said that it did."""
    reserved, holders = {}, {}
    for thing, states in expected.states.items():
        if thing.startswith("lease ") and states[-1][1] is not None:
            holders[thing] = states[-1][1]
    for word, lane, number, *rest in lines:
        operation = (lane, number)
        if word == "try":
            verb, name, value = rest
            if verb in ("open", "blob"):
                expected.tried(operation, "session " + name, value)
            elif verb == "end":
                expected.tried(operation, "session " + name, None)
                for thing in [thing for thing, holder in holders.items() if holder == name]:
                    expected.tried(operation, thing, None)
                    del holders[thing]
            elif verb == "take":
                expected.tried(operation, "lease " + name, value)
                holders["lease " + name] = value
            elif verb == "release":
                expected.tried(operation, "lease " + name, None)
                holders.pop("lease " + name, None)
            elif verb == "reserve":
                reserved[operation] = (name, int(value))
        elif word == "no":
            expected.refused(operation)
            for thing in [t for t, s in expected.states.items() if t.startswith("lease ")]:
                last = expected.states[thing][-1][1]
                if last is None:
                    holders.pop(thing, None)
                else:
                    holders[thing] = last
        elif word == "durable":
            assert rest == ["0"], f"operation {operation} failed: {rest}"
            expected.durable(operation)
            if operation in reserved:
                name, count = reserved[operation]
                expected.numbers[name] = expected.numbers.get(name, 1) + count


class StoreCrash(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="gatehouse-crash-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_nothing_acknowledged_is_lost(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        chance = random.Random(seed)
        expected, acknowledged, alarms = Expected(), 0, 0
        for crash in range(CRASHES):
            life = Life(self.folder, seed + crash)
            self.check(expected, life, crash)
            alarms += life.alarm
            expected.begin_life(life.found)
            expected.numbers = dict(life.numbers)
            time.sleep(chance.uniform(0.0, 0.06))
            follow(expected, life.kill())
        self.assertEqual(alarms, 0, "an ordinary kill -9 must not look like a loss")
        self.assertGreater(expected.acknowledged, CRASHES, "too little was going on")
        self.whole()
        print(f"{CRASHES} crashes, {expected.acknowledged} operations acknowledged")

    def check(self, expected, life, crash):
        for thing in expected.states.keys() | life.found.keys():
            self.assertIn(life.found.get(thing), expected.allowed(thing), f"{thing} after crash {crash}")
        for name, lowest in expected.numbers.items():
            self.assertGreaterEqual(life.numbers.get(name, 1), lowest, f"{name} after crash {crash}")

    def whole(self):
        with sqlite3.connect(Path(self.folder) / "state.db") as state:
            self.assertEqual(state.execute("PRAGMA integrity_check").fetchall(), [("ok",)])

    def test_a_hundred_thousand_leases_are_back_at_once(self):
        made = subprocess.run([DRIVER, self.folder, "1", str(LEASES)], capture_output=True, text=True, timeout=120)
        self.assertIn("\nmade", made.stdout, made.stderr)
        times, cpu_times = [], []
        for seed in range(3):
            life = Life(self.folder, seed)
            life.kill()
            self.assertEqual(sum(1 for thing in life.found if thing.startswith("lease 10.")), LEASES)
            times.append(life.microseconds / 1000)
            cpu_times.append(life.cpu_microseconds / 1000)
        print(f"{LEASES} sessions with a lease each: loaded in {min(times):.0f} ms (goal 1000), at most {max(times):.0f}; "
              f"{min(cpu_times):.0f} ms of a core")
        self.assertLess(min(cpu_times), 1000)  # others may have the cores meanwhile, so not by the clock


if __name__ == "__main__":
    unittest.main(verbosity=2)
