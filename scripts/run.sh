#!/usr/bin/env bash
# Installs, builds and starts Gatehouse in the foreground with every frontend but the example in C, `echo-c`; all it
# writes is under build/run/. Arguments go to `gatehouse run`:
#   scripts/run.sh --set 'plugin.udpgw.options.dns_resolvers=["9.9.9.9"]'
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh product
tests=()  # are built by scripts/test.sh, which needs more packages
[ -e build/release/CMakeCache.txt ] || tests=(-DGATEHOUSE_TESTS=OFF)
cmake --preset release "${tests[@]}" >/dev/null
cmake --build --preset release --target product

run=$PWD/build/run
plugins=$PWD/build/release/plugins
umask 022
mkdir -p "$run/state" "$run/runtime"

# A frontend gets its addresses here, once; what is not built is left out.
frontend() {
  [ -f "$plugins/$1.so" ] || return 0
  printf '\n[plugin.%s]\nenabled = true\n' "$1"
  printf '%s\n' "${@:2}"
}

tunnel=
{
  echo "# Written by scripts/run.sh at each start; change it with --set, or copy it."
  printf '[gateway]\nstate_dir = "%s"\nruntime_dir = "%s"\nplugin_dirs = ["%s"]\n' "$run/state" "$run/runtime" "$plugins"
  frontend udpgw "listen = [\"127.0.0.1:7300\", \"unix:$run/runtime/udpgw.sock\"]"
  # It makes a device and NAT rules of its own, with addresses that the host has no route for, where that is possible.
  if [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ] && ip tuntap add dev gatehouse-try mode tun 2>/dev/null; then
    ip tuntap del dev gatehouse-try mode tun
    frontend packet-tunnel "listen = [\"127.0.0.1:7400\", \"unix:$run/runtime/packet-tunnel.sock\"]"
    tunnel="
  build/release/bin/gatehouse probe packet-tunnel 127.0.0.1:7400 --dns example.com   # the tunnel's device is gatehouse0"
  fi
  frontend geneve-relay 'listen = ["udp:127.0.0.1:7500", "udp:[::1]:7500"]'
  frontend socks5 'listen = ["127.0.0.1:1080"]'
  frontend echo 'listen = ["127.0.0.1:7007", "udp:127.0.0.1:7007"]'
} >"$run/gatehouse.toml"

cat <<TEXT

Gatehouse starts in the foreground (Ctrl-C stops it). In a second shell, from $PWD:

  build/release/bin/gatehouse probe udpgw 127.0.0.1:7300 --dns example.com$tunnel
  build/release/bin/gatehouse probe geneve-relay unix:$run/runtime/geneve-relay-api.sock
  curl --socks5-hostname 127.0.0.1:1080 https://example.com/
  build/release/bin/gatehouse status --config build/run/gatehouse.toml
  sqlite3 build/run/state/policy.db "INSERT INTO domain_rules (domain) VALUES ('example.com')"
  build/release/bin/gatehouse policy explain --config build/run/gatehouse.toml --plugin udpgw udp 9.9.9.9:53 --domain example.com

TEXT
exec build/release/bin/gatehouse run --config "$run/gatehouse.toml" "$@"
