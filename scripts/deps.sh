#!/usr/bin/env bash
# Installs what Gatehouse is built and tested with, on Debian 12, Debian 13 and Ubuntu 24.04. With the word
# `product`, only what it is built with. Does nothing, and needs neither the network nor root, when all of it is there.
set -euo pipefail

packages=(g++ cmake ninja-build ccache sqlite3
  libspdlog-dev libsqlite3-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libssl-dev libsodium-dev libidn2-dev libpsl-dev
  libnftables-dev clang libbpf-dev)  # clang: the relay's program for the kernel
[ "${1:-}" = product ] || packages+=(
  libgtest-dev libgmock-dev libbenchmark-dev libclang-rt-dev clang-format
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
  bind9-dnsutils conntrack curl doxygen ethtool iperf3 git pkgconf python3 iproute2 dnsmasq-base iptables nftables make nginx-light libnginx-mod-stream openssl procps unbound util-linux)

# Beside socks5 stands a real browser, where it is a package; Ubuntu has it as a snap only, and that test is skipped.
[ "${1:-}" = product ] || [ "$(. /etc/os-release && echo "$ID")" != debian ] || packages+=(chromium)

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Boost 1.81 or newer. Never the unversioned package: on Debian 12 it is 1.74 and would remove 1.81.
boost_names() { printf 'libboost1.%s-dev\n' $(seq 81 99); }
boost_installed() { local name; for name in $(boost_names); do installed "$name" && return 0; done; return 1; }
boost_offered() {
  local name
  for name in $(boost_names); do
    # Of a name that other packages only mention, apt-cache shows nothing, and is content.
    if apt-cache show "$name" 2>/dev/null | grep "^Package: $name\$" >/dev/null; then echo "$name"; return 0; fi
  done
  echo "scripts/deps.sh: this system's packages have no Boost 1.81 or newer; Debian 12, Debian 13 and Ubuntu 24.04 do." >&2
  return 1
}

if ! command -v dpkg-query >/dev/null; then
  echo "scripts/deps.sh: this is not a Debian or Ubuntu system; install the packages named in this file by hand." >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
boost_installed || missing+=(boost)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "scripts/deps.sh: run it as root, or install sudo: it has to install ${missing[*]}." >&2
    exit 1
  fi
  as_root=(sudo)
fi

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }

echo "scripts/deps.sh: installing ${missing[*]}"
apt update
for index in "${!missing[@]}"; do
  [ "${missing[index]}" != boost ] || missing[index]=$(boost_offered)
done
# Tests run nginx and unbound by themselves, in namespaces; the services that their packages would start are none of
# ours. dnsmasq-base has none.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
apt install -y --no-install-recommends "${missing[@]}" >/dev/null
for service in nginx-light:nginx unbound:unbound; do
  case " ${missing[*]} " in *" ${service%:*} "*) "${as_root[@]}" systemctl disable "${service#*:}" >/dev/null 2>&1 || true ;; esac
done
