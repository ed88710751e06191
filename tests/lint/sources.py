"""The files of the project, as git knows them, or as they lie there where git does not."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = {".h", ".hpp", ".cpp", ".c"}


def files():
    """Paths below ROOT that belong to the project, new ones included, ignored ones not."""
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
                          capture_output=True, text=True)
    if done.returncode == 0:
        names = [pathlib.Path(name) for name in done.stdout.splitlines()]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if "build" not in path.relative_to(ROOT).parts[:1]]
    return sorted(name for name in names if (ROOT / name).is_file())


def code():
    return [name for name in files() if name.suffix in CODE]
