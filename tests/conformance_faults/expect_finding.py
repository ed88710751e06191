#!/usr/bin/env python3
"""expect_finding.py GATEHOUSE FILE ID: `gatehouse plugin check FILE` finds ID, or, where ID is empty, nothing.

Ends with 77, and the reason, where the plugin does not start here and nothing else is to be said.
"""

import json
import os
import subprocess
import sys


def main():
    gatehouse, file, expected = sys.argv[1:]
    if expected == "start_refused" and os.geteuid() != 0:
        expected = "not_started"  # it might start as root
    done = subprocess.run([gatehouse, "plugin", "check", "--json", file], capture_output=True, text=True, timeout=110)
    if done.returncode not in (0, 1):
        sys.exit(f"exit code {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    found = report["findings"]
    if not expected and [one["id"] for one in found] in ([], ["not_started"]):
        print(*(one["seen"] for one in found))
        sys.exit(77 if found else 0)
    print(json.dumps(report, indent=1))
    if expected not in [one["id"] for one in found]:
        sys.exit(f"not found: {expected or 'nothing at all'}")
    severity = next(one["severity"] for one in found if one["id"] == expected)
    if (severity == "fault") != (done.returncode == 1) and severity == "fault":
        sys.exit(f"{expected} is a fault, but the exit code is {done.returncode}")


if __name__ == "__main__":
    main()
