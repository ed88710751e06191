"""Servers under the same load, in turn, each round's figures held against a bare loop's of the same round: what
relay_bench.py and udpgw_bench.py have in common.

A virtual machine is fast at one minute and slow at another, for everybody: a figure by itself says little, its ratio to a
bare loop that ran in the same seconds says what the server's own code costs.
"""

import statistics
import sys

FLOOR = "floor"  # the bare loop's name among the kinds


def in_turn(kinds, rounds, run, after_round=None):
    """Runs each kind once a round, another one first in each, since some percent hang on what ran before.

    @param run          run(kind): figures by name
    @param after_round  after_round(number, {kind: its figures}), if any
    @return {kind: [figures of each round]}
    """
    kinds = list(kinds)
    runs = {kind: [] for kind in kinds}
    for number in range(rounds):
        first = number % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            runs[kind].append(run(kind))
        if after_round:
            after_round(number, {kind: mine[-1] for kind, mine in runs.items()})
    return runs


def ratios(runs, key):
    """{kind: the figure of each round, in times the bare loop's of that round}, without the bare loop itself."""
    return {kind: [round(one[key] / other[key], 3) for one, other in zip(mine, runs[FLOOR]) if other[key] > 0]
            for kind, mine in runs.items() if kind != FLOOR}


def medians(runs, keys):
    """Of the figures of one kind, those that all runs have."""
    return {key: statistics.median(one[key] for one in runs) for key in keys if all(key in one for one in runs)}


def print_runs(title, key, runs, file=sys.stderr):
    """A row for each kind: the median, in times the bare loop's, and all runs."""
    middle = {kind: statistics.median(one[key] for one in mine) for kind, mine in runs.items()}
    print(f"{title}: {key}", file=file)
    for kind, mine in runs.items():
        ratio = f"{middle[kind] / middle[FLOOR]:.3f}" if middle.get(FLOOR) else ""
        print(f"  {kind:12} {middle[kind]:10.4g} {ratio:>6}   {listed(one[key] for one in mine)}", file=file, flush=True)


def listed(figures):
    return "[" + " ".join(f"{figure:.4g}" for figure in figures) + "]"

