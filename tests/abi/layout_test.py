#!/usr/bin/env python3
"""abi.h has the same layout for every compiler and machine that is here: gcc, clang, C++, and aarch64 under qemu."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests/abi/layout.c"
BUILDS = {
    "gcc, C11": ["gcc", "-std=c11"],
    "g++, C++20": ["g++", "-std=c++20", "-xc++"],
    "clang, C11": ["clang", "-std=c11"],
    "aarch64, C11": ["aarch64-linux-gnu-gcc", "-std=c11", "-static"],
}


def sizes(name, command, folder):
    """The lines that the program prints, or None where this machine lacks what it needs."""
    emulator = ["qemu-aarch64"] if name.startswith("aarch64") else []
    if any(shutil.which(program) is None for program in [command[0], *emulator]):
        print(f"SKIPPED {name}: {command[0]} or its emulator is not installed; scripts/deps.sh installs them")
        return None
    program = pathlib.Path(folder) / name.replace(", ", "_")
    subprocess.run([*command, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/sdk/include", str(SOURCE), "-o", str(program)],
                   check=True)
    return subprocess.run([*emulator, str(program)], check=True, capture_output=True, text=True).stdout


def main():
    if "#define GH_ABI_MINOR 0\n" in (ROOT / "sdk/include/gatehouse/abi.h").read_text():
        kept = (ROOT / "tests/abi/1.0/abi.h").read_text()
        if kept != (ROOT / "sdk/include/gatehouse/abi.h").read_text():
            print("tests/abi/1.0/abi.h differs from sdk/include/gatehouse/abi.h, which is still 1.0: copy it")
            return 1
    with tempfile.TemporaryDirectory() as folder:
        found = {name: sizes(name, command, folder) for name, command in BUILDS.items()}
    printed = {name: text for name, text in found.items() if text is not None}
    first = next(iter(printed.values()))
    differing = [name for name, text in printed.items() if text != first]
    for name in differing:
        print(f"{name} lays abi.h out otherwise than {next(iter(printed))}:\n{printed[name]}")
    print(f"{len(first.splitlines())} structs, the same for: {'; '.join(printed)}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
