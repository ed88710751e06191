#!/usr/bin/env python3
"""The SDK's pages are made without a warning, and of every header each type is documented, and each function that does more
than give back or compare what its name says; of those that plugins are written with, each field, too.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from sources import ROOT

DOCS = ROOT / "sdk/docs"
UNDOCUMENTED = re.compile(r"(Member|Compound) (.*) is not documented\.")
# What a name says: what C++ asks for; an accessor without arguments.
PLAIN = re.compile(r"\(friend\) of|operator|=default|&&other\)|&& other\)|"
                   r"\w+\(\) const(?: noexcept)?(?: override|=0)? \(function\)")
# And, in headers of parts: fields, and types of a field.
FIELD = re.compile(r"\((variable|typedef|enumeration)\) of")
FOR_AUTHORS = re.compile(r"gatehouse/(abi\.h|plugin/|async/)")
# Of each struct of abi.h; its head says what they are.
OF_ALL_STRUCTS = re.compile(r"(struct_size|context|reserved)(\[\d+\])? \(variable\) of struct gh_")


def warnings(folder, *settings):
    """What Doxygen says when it makes the pages below `folder`."""
    text = (DOCS / "Doxyfile.in").read_text()
    for name, value in (("GATEHOUSE_SDK_VERSION", "test"), ("DOCS_FOLDER", folder), ("CMAKE_CURRENT_SOURCE_DIR", DOCS)):
        text = text.replace(f"@{name}@", str(value))
    done = subprocess.run(["doxygen", "-"], input="\n".join([text, *settings]), capture_output=True, text=True, cwd=folder)
    return done.returncode, [line for line in done.stderr.splitlines() if line.strip()]


def missing(lines):
    """Those of the lines that name something which is to be documented."""
    for line in lines:
        found = UNDOCUMENTED.search(line)
        if not found or PLAIN.search(found[2]) or OF_ALL_STRUCTS.match(found[2]):
            continue
        if FOR_AUTHORS.search(line) or not FIELD.search(found[2]):
            yield line


def main():
    if shutil.which("doxygen") is None:
        print("SKIPPED: doxygen is not installed, which only these pages need")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        code, found = warnings(folder)
        if code == 0 and not (pathlib.Path(folder) / "html/index.html").is_file():
            found.append("no html/index.html was made")
        found += missing(warnings(folder, "WARN_IF_UNDOCUMENTED = YES", "GENERATE_HTML = NO", "GENERATE_XML = YES")[1])
    print("\n".join(sorted(set(found))))
    print(f"{len(set(found))} warnings")
    return 1 if found or code != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
