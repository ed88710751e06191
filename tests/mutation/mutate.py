#!/usr/bin/env python3
"""Which small faults do the unit tests notice?

    tests/mutation/mutate.py policy/order.hpp gateway/store         every mutant of a file and of a folder's .cpp files
    tests/mutation/mutate.py --most 60 gateway/store db             a sample of 60 of each
    tests/mutation/mutate.py --again gateway/store                  those that survived the last run, under today's tests
    tests/mutation/mutate.py --list policy/order.hpp                names them, builds nothing

One fault at a time is put into a copy of the tree; the programs of the layer's tests are built and run: a file's own tests
first, then all that are quick, with --thorough the others, too. The sources themselves are never touched; whatever ends a
run, the next one makes the copy anew where it differs. Ends with 1 where less than nine of ten are noticed.

Headers are tried by name only: each mutant of one builds all that include it.

A mutant that does not compile is not counted, nor one that leaves the optimised object file as it was (`equivalent`). What
hangs is noticed. A test that fails once and not again has noticed nothing.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys

from mutants import Mutant, find

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "lint"))
from sources import files as project_files
PROGRAMS = {  # which tests are to notice; the front of a path decides
    "sdk": ["unit_sdk"],
    "policy": ["unit_policy", "unit_db"],  # the cases in tests/unit/db/policy/cases are the policy's
    "db": ["unit_db"],
    "gateway": ["unit_gateway"],
    "plugins/udpgw": ["unit_udpgw"],
    "plugins/geneve-relay": ["unit_geneve-relay"],
    "plugins/packet-tunnel/client": ["unit_packet-tunnel-client"],
    "plugins/packet-tunnel/common": ["unit_packet-tunnel", "unit_packet-tunnel-client"],
    "plugins/packet-tunnel/server": ["unit_packet-tunnel"],
}
FLAGS = "-O0 -w"
WANTED = 0.9
QUICK = 0.5  # seconds
AT_ONCE = 4  # processes of tests
MEMORY, FILE_SIZE = 8 << 30, 1 << 30  # bytes; a mutant may ask for anything


def programs_of(path: str) -> list[str]:
    return next((programs for front, programs in PROGRAMS.items() if f"{path}/".startswith(f"{front}/")), [])


RUNNING: set[subprocess.Popen] = set()


def run(command, timeout=None, **more):
    """(exit status, what it said); the status is None when the time was up."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               start_new_session=True, **more)
    RUNNING.add(process)
    try:
        said = process.communicate(timeout=timeout)[0]
        return process.returncode, said
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        RUNNING.discard(process)


def end(*_) -> None:
    """What runs on other threads would be waited for."""
    for process in list(RUNNING):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    sys.exit("ended")


class Copy:
    """The tree and its build, where faults are put in."""

    def __init__(self, work: pathlib.Path):
        self.tree, self.build, self.scratch = work / "tree", work / "build", work / "tmp"
        self.known = work / "seconds.json"
        self.seconds: dict[str, dict[str, float]] = {}  # of each program's tests, without a fault
        self.sound: dict[str, str] = {}  # digests of the programs
        work.mkdir(parents=True, exist_ok=True)
        self.lock = open(work / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"{work}: another run works there; give this one its own --work")

    def refresh(self) -> None:
        wanted = set(project_files())
        for name in wanted:
            to, content = self.tree / name, (ROOT / name).read_bytes()
            if not to.is_file() or to.read_bytes() != content:
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, to)
        for path in [path for path in self.tree.rglob("*") if path.is_file()]:
            if path.relative_to(self.tree) not in wanted:
                path.unlink()

    def configure(self) -> None:
        if (self.build / "build.ninja").exists():
            return
        linker = next((name for name in ("mold", "lld") if shutil.which(name)), None)
        subprocess.run(["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                        f"-DCMAKE_CXX_FLAGS_DEBUG={FLAGS}", f"-DCMAKE_C_FLAGS_DEBUG={FLAGS}", "-DGATEHOUSE_WERROR=OFF",
                        "-DCMAKE_CXX_ARCHIVE_CREATE=<CMAKE_AR> qcT <TARGET> <LINK_FLAGS> <OBJECTS>",
                        "-DCMAKE_GTEST_DISCOVER_TESTS_DISCOVERY_MODE=PRE_TEST",
                        *([f"-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld={linker}"] if linker else [])],
                       check=True, stdout=subprocess.DEVNULL)

    def prepare(self, files: set[str]) -> None:
        """Builds what these files' tests need and sees that they pass."""
        self.refresh()
        self.configure()
        programs = sorted({program for file in files for program in programs_of(file)})
        status, said = self.make(programs, env=os.environ)
        if status != 0:
            sys.exit(said)
        known = json.loads(self.known.read_text()) if self.known.exists() else {}
        for program in programs:
            self.sound[program] = self.digest(program)
            if self.sound[program] not in known:
                known[self.sound[program]] = self.measure(program)
            self.seconds[program] = known[self.sound[program]]
        self.known.write_text(json.dumps({digest: known[digest] for digest in self.sound.values()}))

    def measure(self, program: str) -> dict[str, float]:
        """How long each of its tests takes."""
        report = self.scratch.with_suffix(".json").absolute()
        status, said = self.test(program, ["*"], None, f"--gtest_output=json:{report}")
        if status != 0:
            sys.exit(f"{said}\n{program} fails without a fault")
        return {f"{suite['name']}.{test['name']}": float(test["time"].rstrip("s"))
                for suite in json.loads(report.read_text())["testsuites"] for test in suite["testsuite"]}

    def make(self, programs, **more):
        return run(["ninja", "-C", self.build, "-j1", *programs], **more)

    def digest(self, program: str) -> str:
        return hashlib.sha256((self.build / "bin" / program).read_bytes()).hexdigest()

    def test(self, program: str, names, timeout=None, *more, scratch="0"):
        """(status, said) of some of a program's tests."""
        folder = self.scratch / scratch
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder.chmod(0o1777)  # some tests become another user

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        return run([self.build / "bin" / program, "--gtest_brief=1", "--gtest_fail_fast", *more,
                    "--gtest_filter=" + ":".join(names)],
                   timeout, cwd=folder, preexec_fn=limit,
                   env={**os.environ, "TMPDIR": str(folder), "TEST_TMPDIR": f"{folder}/"})

    def failures(self, program: str, names: list[str], patience: float) -> list[str]:
        """What failed of these tests, a quarter each at a time: they wait more than they work."""
        parts = [part for part in (names[i::AT_ONCE] for i in range(AT_ONCE)) if part]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            ends = [pool.submit(self.test, program, part, patience, scratch=str(i)) for i, part in enumerate(parts)]
        out = []
        for status, said in [end.result() for end in ends]:
            if status != 0:
                failed = re.search(r"\[  FAILED  \] ([\w/.]+)", said)
                out.append("it hangs" if status is None else failed[1] if failed else f"it ends with {status}")
        return out

    def noticed_by(self, program: str, names: list[str]) -> str:
        """Which of these tests fails; empty: none does. One that fails only once is not counted."""
        while names:
            patience = 10 + 5 * sum(self.seconds[program][name] for name in names)
            failed = self.failures(program, names, patience)
            for by in failed:
                if by not in names or self.test(program, [by], patience)[0] != 0:
                    return by
            if not failed:
                break
            names = [name for name in names if name not in failed]
        return ""


def own_suites(file: str) -> tuple:
    """Of the test file that mirrors a source."""
    stem = pathlib.Path(file).stem
    found = [path for path in (ROOT / "tests/unit").rglob(f"{stem}*_test.cpp")
             if path.stem.removesuffix("_test").removeprefix(stem)[:1] in ("", "_")]
    text = "".join(path.read_text() for path in found)
    return tuple(sorted(set(re.findall(r"^TEST(?:_[FP])?\((\w+),", text, re.M))))


def stages(copy: Copy, file: str, thorough: bool):
    """(program, names of tests): its own tests, the layer's quick ones, and the others."""
    own = own_suites(file)
    for program in programs_of(file):
        rest = dict(copy.seconds[program])
        mine = [name for name in rest if any(suite in re.split(r"[/.]", name)[:2] for suite in own)]
        yield program, mine
        quick = [name for name, seconds in rest.items() if name not in mine and seconds < QUICK]
        yield program, quick
        if thorough:
            yield program, [name for name in rest if name not in mine and name not in quick]


def optimised_object(copy: Copy, file: str) -> bytes:
    """Of a .cpp file as it stands in the copy; empty where it is none."""
    for entry in json.loads((copy.build / "compile_commands.json").read_text()):
        if entry["file"] == str(copy.tree / file):
            command = [part for part in shlex.split(entry["command"]) if not part.endswith("ccache")]
            out = copy.scratch.with_suffix(".o")
            command[command.index("-o") + 1] = str(out)
            if run([*command, "-O2"], cwd=copy.build)[0] == 0:
                return out.read_bytes()
    return b""


def judge(copy: Copy, mutant: Mutant, thorough: bool = False) -> tuple[str, str]:
    """(noticed, survived, equivalent or not built; by which test) of one mutant."""
    path = copy.tree / mutant.file
    sound = path.read_text()
    programs = programs_of(mutant.file)
    path.write_text(mutant.apply(sound))
    try:
        if copy.make(programs, env={**os.environ, "CCACHE_DISABLE": "1"})[0] != 0:
            return "not built", ""
        if all(copy.digest(program) == copy.sound[program] for program in programs):
            return "equivalent", ""
        for program, names in stages(copy, mutant.file, thorough):
            if by := copy.noticed_by(program, names):
                return "noticed", by
        mutated = optimised_object(copy, mutant.file)
        path.write_text(sound)
        return "equivalent" if mutated and mutated == optimised_object(copy, mutant.file) else "survived", ""
    finally:
        path.write_text(sound)


def mutants_of(argument: str, most: int | None, seed: int) -> list[Mutant]:
    path = ROOT / argument
    files = [path] if path.is_file() else sorted(path.rglob("*.cpp"))
    if not programs_of(argument):
        sys.exit(f"{argument}: no unit tests are meant to notice faults there")
    found = [mutant for file in files for mutant in find(str(file.relative_to(ROOT)), file.read_text())]
    if not found:
        sys.exit(f"{argument}: nothing to change there")
    if most is not None and most < len(found):
        found = random.Random(f"{seed}:{argument}").sample(found, most)
    return sorted(found, key=lambda mutant: (mutant.file, mutant.at))


def table(rows: dict[str, collections.Counter]) -> str:
    out = ["| where | mutants | noticed | survived | share | equivalent |", "|---|---|---|---|---|---|"]
    for where, counts in rows.items():
        noticed, survived = counts["noticed"], counts["survived"]
        share = f"{100 * noticed / (noticed + survived):.0f} %" if noticed + survived else "-"
        out.append(f"| {where} | {noticed + survived} | {noticed} | {survived} | {share} | {counts['equivalent']} |")
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", nargs="+", metavar="FILE", help="or folder, from the top of the tree")
    parser.add_argument("--most", type=int, help="a sample of so many mutants of each FILE")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--again", action="store_true", help="only those that survived when they were tried last")
    parser.add_argument("--thorough", action="store_true", help=f"run tests that take more than {QUICK} s, too")
    parser.add_argument("--list", action="store_true", help="name them, try none")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "mutation", help="where the copy is")
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)

    tried = arguments.work / "results.json"
    known = json.loads(tried.read_text()) if tried.exists() else {}
    todo = {}
    for where in [where.rstrip("/") for where in arguments.where]:
        if arguments.again:
            last = {Mutant(**row["mutant"]) for row in known.get(where, []) if row["result"] == "survived"}
            todo[where] = [mutant for mutant in mutants_of(where, None, 0) if mutant in last]
        else:
            todo[where] = mutants_of(where, arguments.most, arguments.seed)
    if arguments.list:
        print(*[mutant for mutants in todo.values() for mutant in mutants], sep="\n")
        return 0

    copy = Copy(arguments.work)
    copy.prepare({mutant.file for mutants in todo.values() for mutant in mutants})
    for where, mutants in todo.items():
        again = {Mutant(**row["mutant"]): row for row in known.get(where, [])} if arguments.again else {}
        rows = {mutant: row for mutant, row in again.items() if row["result"] != "survived" or mutant in mutants}
        for mutant in mutants:
            result, by = judge(copy, mutant, arguments.thorough)
            rows[mutant] = {"result": result, "by": by, "mutant": dataclasses.asdict(mutant)}
            known[where] = list(rows.values())
            tried.write_text(json.dumps(known, indent=1))
            print(f"{result:10} {mutant}{'  by ' + by if by else ''}", file=sys.stderr, flush=True)
        known[where] = list(rows.values())
    counts = {where: collections.Counter(row["result"] for row in known[where]) for where in todo}
    print(table(counts))
    return 1 if any(count["noticed"] < WANTED * (count["noticed"] + count["survived"]) for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
