#!/usr/bin/env bash
# Installs, builds and runs every test; arguments go to ctest: scripts/test.sh -L unit, scripts/test.sh -R udpgw
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh
cmake --preset release >/dev/null
cmake --build --preset release
ctest --preset release "$@"
