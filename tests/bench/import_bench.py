#!/usr/bin/env python3
"""What `gatehouse policy import` takes for lists of ten million names, one in twenty of them an exception.

    tests/bench/import_bench.py                    ten million names in two formats; a table on stdout
    tests/bench/import_bench.py --names 1000000 --keep FOLDER      fewer; the lists stay there, for the next run
    tests/bench/import_bench.py --smoke            a few thousand, to see that everything runs

The lists are the same in every run: 45 names in 100 lie below another one, as in published lists. A response policy zone
has two lines for a name that is blocked with all below. `peak` is the most memory that the import had resident, `a name`
the bytes of the compiled list file for one of its names. Needs one free core and 1 GB of disk.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build/release"))
ENDS = (".com", ".com", ".com", ".net", ".org", ".de", ".ru", ".info", ".co.uk", ".xyz")
LETTERS = bytes(b"abcdefghijklmnopqrstuvwxyz012345"[i % 32] for i in range(256))
LINES_AT_ONCE = 20000


def names(count):
    """`count` names, 24 characters in the mean."""
    draw = random.Random(3)
    text, at, site = "", 0, "site.example.com"
    for i in range(count):
        if at + 64 > len(text):
            text, at = draw.randbytes(1 << 20).translate(LETTERS).decode(), 0
        extent = ord(text[at])
        if i % 100 < 45:
            size = 3 + extent % 15
            name = text[at + 1:at + 1 + size] + "." + site
        else:
            size = 8 + extent % 16
            name = site = text[at + 1:at + 1 + size] + ENDS[i % 7 + extent % 4]
        at += 1 + size
        yield name


def adblock(name, kind):
    return f"@@||{name}^|\n" if kind == 19 else f"||{name}^\n" if kind < 15 else f"|{name}^\n"


def rpz(name, kind):
    target = "rpz-passthru." if kind == 19 else "."
    both = kind == 19 or kind < 12
    return f"{name} CNAME {target}\n*.{name} CNAME {target}\n" if both else f"{name} CNAME {target}\n"


FORMATS = {
    "adblock": ("[Adblock Plus 2.0]\n", adblock),
    "rpz": ("$TTL 60\n@ SOA ns. root. 1 2 3 4 5\n", rpz),
}


def write_list(path, list_format, count):
    heading, line = FORMATS[list_format]
    began = time.monotonic()
    with path.open("w") as out:
        out.write(heading)
        waiting = []
        for i, name in enumerate(names(count)):
            waiting.append(line(name, i % 20))
            if len(waiting) == LINES_AT_ONCE:
                out.write("".join(waiting))
                waiting = []
        out.write("".join(waiting))
    print(f"{path.name}: written in {time.monotonic() - began:.0f} s", file=sys.stderr)


def gatehouse(base, *words):
    """One run of the program: its output, seconds and bytes resident at the most."""
    began = time.monotonic()
    process = subprocess.Popen([BUILD / "bin/gatehouse", "policy", *words, "--config", base / "gatehouse.toml"],
                               stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}: {output}")
    return output, time.monotonic() - began, usage.ru_maxrss * 1024


def measure(path, list_format):
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        (base / "gatehouse.toml").write_text(f'[gateway]\nstate_dir = "{base}"\n')
        gatehouse(base, "init")
        output, seconds, peak = gatehouse(base, "import", "big", str(path), "--format", list_format, "--json")
        body = json.loads(output)
        if body["rejected"] or body["too_wide"] or not body["exceptions"]:
            raise RuntimeError(f"{path.name} is not taken as it was written: {output}")
        total = body["entries"] + body["exceptions"]
        file = (base / "lists" / body["file"]).stat().st_size
        return (list_format, f"{body['lines']:,}", f"{total:,}", f"{body['exceptions']:,}", f"{seconds:.1f} s",
                f"{peak / 1e6:.0f} MB", f"{file / total:.1f} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=10_000_000)
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the lists, which are written once")
    parser.add_argument("--only-write", action="store_true", help="the lists, with --keep")
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    count = 5000 if arguments.smoke else arguments.names
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        paths = {name: folder / f"{name}-{count}.txt" for name in FORMATS}
        for name, path in paths.items():
            if not path.exists():
                write_list(path, name, count)
        if arguments.only_write:
            return
        rows = [("format", "lines", "names", "exceptions", "import", "peak", "a name")]
        rows += [measure(path, name) for name, path in paths.items()]
    for row in rows:
        print("| " + " | ".join(row) + " |")
        if row is rows[0]:
            print("|---" * len(row) + "|")


if __name__ == "__main__":
    main()
