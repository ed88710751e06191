#!/usr/bin/env python3
"""Every header of the SDK compiles alone, twice over, as an author's compiler has it: GNU's C++20, where `unix` and `linux`
are macros, with warnings as errors; abi.h as C11, too."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from sources import ROOT

INCLUDE = ROOT / "sdk/include"
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-O0", f"-I{INCLUDE}"]
COMPILERS = {"cpp": [os.environ.get("CXX", "g++"), "-std=gnu++20", "-DBOOST_ASIO_NO_DEPRECATED",
                     "-DBOOST_ASIO_DISABLE_BOOST_DATE_TIME"],
             "c": [os.environ.get("CC", "gcc"), "-std=c11"]}


def complaint(header, language, folder):
    """What the compiler says of a file that includes nothing else; "" = nothing."""
    source = folder / f"{str(header).replace('/', '_')}.{language}"
    source.write_text(f"#include <{header}>\n" * 2)
    # An object file, for the compiler's cache: from the second run on this costs next to nothing.
    cache = ["ccache"] if shutil.which("ccache") else []
    done = subprocess.run([*cache, *COMPILERS[language], *FLAGS, "-c", source.name, "-o", source.name + ".o"], cwd=folder,
                          capture_output=True, text=True)
    return f"{header} does not compile alone:\n{done.stderr}" if done.returncode != 0 else ""


def main():
    headers = sorted(path.relative_to(INCLUDE) for path in INCLUDE.rglob("*.h*"))
    jobs = [(header, "cpp") for header in headers] + [(header, "c") for header in headers if header.suffix == ".h"]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [one for one in pool.map(lambda job: complaint(*job, pathlib.Path(folder)), jobs) if one]
    print("\n".join(found))
    print(f"{len(headers)} headers")
    return 1 if found or len(headers) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
