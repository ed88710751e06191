#!/usr/bin/env bash
# Installs, builds and runs every test; arguments go to ctest: scripts/test.sh -L unit, scripts/test.sh -R udpgw
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh
cmake --preset release -DGATEHOUSE_TESTS=ON >/dev/null
cmake --build --preset release
status=0
ctest --preset release "$@" || status=$?
grep -h '^SKIPPED' build/release/Testing/Temporary/LastTest.log | sort | uniq -c >&2 || true  # why, where ctest only counts
exit $status
