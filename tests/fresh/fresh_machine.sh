#!/usr/bin/env bash
# The README's two commands on a machine that has nothing: fresh_machine.sh SUITE [RUN], as root, where SUITE is
# bookworm or trixie and RUN is `run` or `test` for only one of them, or `newcomer`: run, then the SDK installed to an
# empty prefix, the tree taken away, and three plugins of `gatehouse plugin new` whose READMEs are followed word by word.
# Needs debootstrap, the network and 6 GB.
#
# debootstrap's system stands in build/fresh/SUITE.base, so that a second run does not ask for it again; each run copies
# it to build/fresh/SUITE, which is left there to look at, and clones the last commit into it. What is not committed is
# not tested. The system is entered with mounts, process ids and IPC of its own (a bare chroot has no user namespaces,
# so that integration tests would be skipped), but with this machine's kernel and network: 127.0.0.1:7300 is to be free.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "fresh_machine.sh: $*" >&2; exit 1; }

suite=${1:-}
commands=${2:-run test}
case $suite in bookworm | trixie) ;; *) fail "name a suite: bookworm or trixie" ;; esac
case $commands in
  run | test | 'run test') ;;
  newcomer) commands='run newcomer' ;;
  *) fail "after the suite, only 'run', 'test' or 'newcomer' may stand" ;;
esac
[ "$(id -u)" = 0 ] || fail "only root can make a system; run it by sudo"
command -v debootstrap >/dev/null || fail "install debootstrap"

umask 022
base=$PWD/build/fresh/$suite.base
root=$PWD/build/fresh/$suite
mkdir -p build/fresh

if [ ! -d "$base" ]; then
  rm -rf "$base.part"
  debootstrap "$suite" "$base.part" http://deb.debian.org/debian >"build/fresh/$suite.debootstrap.log" ||
    fail "debootstrap failed: see build/fresh/$suite.debootstrap.log"
  mv "$base.part" "$base"
fi
rm -rf "$root"
cp -a --reflink=auto "$base" "$root"
git clone -q --no-hardlinks . "$root/srv/gatehouse"

# What happens inside: process 1 of the new system. All its mounts and processes end with it.
cat >"$root/srv/both_commands.sh" <<'INSIDE'
set -euo pipefail
cd /srv/gatehouse

took() { printf '%s: %s in %d:%02d\n' "$1" "$2" $((SECONDS / 60)) $((SECONDS % 60)) | tee -a /srv/results; }

one_run() {
  SECONDS=0
  scripts/run.sh &
  local gateway=$!
  until build/release/bin/gatehouse status --config build/run/gatehouse.toml >/dev/null 2>&1; do
    kill -0 $gateway 2>/dev/null || { took scripts/run.sh "ended before the gateway was up,"; return 1; }
    sleep 0.2
  done
  took scripts/run.sh "the gateway answers"
  build/release/bin/gatehouse status --config build/run/gatehouse.toml
  kill -INT $gateway
  wait $gateway || { took scripts/run.sh "ended with $?"; return 1; }
}

one_test() {
  SECONDS=0
  local status=0
  scripts/test.sh 2>&1 | tee /srv/test.log || status=$?
  took scripts/test.sh "ended with $status"
  # ctest counts a skipped test among those that passed, and names it after that.
  grep -E 'tests passed|^\s+[0-9]+ - .* \(|SKIPPED:' /srv/test.log >>/srv/results || true
  return $status
}

# What bash is told in a README, and what it is told will be seen.
blocks() { awk -v from="\`\`\`$1" '/^```/ { on = $0 == from; next } on' README.md; }

# Every step of the tutorial in this folder; what it promises has to be seen.
follow_tutorial() {
  blocks sh >/srv/steps.sh
  bash -euo pipefail /srv/steps.sh 2>&1 | tee /srv/tutorial.log || return
  while IFS= read -r line; do
    grep -qxF -- "$line" /srv/tutorial.log || { echo "it does not print: $line"; return 1; }
  done < <(blocks text)
}

# Stands on what one_run has built, and on nothing of the tree afterwards.
one_newcomer() {
  local kind status=0
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends make libgtest-dev python3 >/dev/null
  cmake --install build/release --prefix /srv/prefix >/dev/null
  mv /srv/gatehouse /srv/taken-away
  export PATH=/srv/prefix/bin:$PATH CCACHE_DISABLE=1
  for kind in stream datagram packet; do
    mkdir "/srv/$kind"
    cd "/srv/$kind"
    gatehouse plugin new my-protocol --kind "$kind"
    cd my-protocol
    SECONDS=0
    follow_tutorial || status=1
    took "a newcomer's $kind plugin" "ended with $status"
  done
  return $status
}

status=0
for name in $COMMANDS; do "one_$name" || status=1; done
exit $status
INSIDE

export root
status=0
# Ends with this script, however that ends, and takes all processes of the new system along.
setpriv --pdeathsig KILL unshare --mount --pid --ipc --fork --kill-child --propagation private \
  env COMMANDS="$commands" bash -euc '
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount --rbind /sys sys
    mount --bind /dev dev
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs tmpfs tmp
    mkdir old
    pivot_root . old
    cd /
    umount -l old
    rmdir old
    exec env -i COMMANDS="$COMMANDS" HOME=/srv TERM="${TERM:-dumb}" LANG=C.UTF-8 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash /srv/both_commands.sh' || status=$?

echo
echo "=== $suite, $(git rev-parse --short HEAD)"
cat "$root/srv/results" 2>/dev/null || true
exit $status
