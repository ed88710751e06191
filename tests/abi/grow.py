#!/usr/bin/env python3
"""Writes abi.h as a later minor may have it: each struct that may grow has two more fields.

grow.py FROM TO
"""

import re
import sys


def grown(text):
    sized = re.findall(r"^  (gh_\w+)_size_1_0 = \d+", text, re.MULTILINE)
    assert len(sized) > 20, "abi.h has lost its list of sizes"
    for name in sized + ["gh_session_cells"]:
        text, count = re.subn(rf"^\}} {name};$", f"  uint64_t grown_first, grown_second;\n}} {name};", text, flags=re.MULTILINE)
        assert count == 1, name
    text, count = re.subn(r"^#define GH_ABI_MINOR \d+$", "#define GH_ABI_MINOR 7", text, flags=re.MULTILINE)
    assert count == 1
    return text


def main():
    with open(sys.argv[1], encoding="utf-8") as source:
        text = grown(source.read())
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write(text)


if __name__ == "__main__":
    main()
