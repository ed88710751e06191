#!/usr/bin/env python3
"""Every C and C++ file stands as clang-format would leave it."""

import re
import shutil
import subprocess
import sys

from sources import ROOT, code

HAND_SET = {"sdk/include/gatehouse/abi.h", "tests/abi/1.0/abi.h"}  # a table for readers; clang-format 14 breaks its comments
VERSION = 14  # its releases do not agree with one another; this is Debian 12's


def main():
    program = next((name for name in (f"clang-format-{VERSION}", "clang-format") if shutil.which(name)), None)
    if program is None:
        print("SKIPPED: clang-format is not installed; scripts/deps.sh installs it")
        return 77
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)", said)
    if not found or int(found[1]) != VERSION:
        print(f"SKIPPED: the house formats with clang-format {VERSION}, here is {said.strip()}")
        return 77
    checked = [path for path in code() if str(path) not in HAND_SET]
    changed = [path for path in checked
               if subprocess.run([program, "--dry-run", "--Werror", ROOT / path], capture_output=True).returncode != 0]
    for path in changed:
        print(f"{path}: clang-format would change it; run: clang-format -i {path}")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
