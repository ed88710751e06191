#!/usr/bin/env bash
# The tests of TLS in the kernel, in a kernel that has it: ktls_guest.sh [PROGRAM [FILTER]], where PROGRAM is a build's
# unit_sdk (build/release/bin/unit_sdk) and FILTER what --gtest_filter takes (all that have to do with TLS).
#
# Debian's cloud kernel, with its tls module, is booted by qemu with the program, its libraries and a busybox as all of
# its system; what it prints comes out here, and its status is this script's. Needs qemu-system-x86, busybox-static,
# cpio, kmod, and the network for the kernel's package, which stays in build/fresh/ktls. x86-64; a minute, since it is
# emulated: GATEHOUSE_GUEST=kvm is faster where /dev/kvm works.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "ktls_guest.sh: $*" >&2; exit 1; }

program=${1:-build/release/bin/unit_sdk}
filter=${2:-'*Tls*:Tickets*:*StreamListeners*:*ClientStream*-*TooManyHandshakes'}  # an emulated machine is too slow for that
[ -x "$program" ] || fail "$program is no program; build the target unit_sdk, or name another build's"
for tool in qemu-system-x86_64 cpio depmod dpkg-deb ldd; do
  command -v "$tool" >/dev/null || fail "install $tool (qemu-system-x86, cpio, kmod)"
done
[ -x /bin/busybox ] || fail "install busybox-static"
case ${GATEHOUSE_GUEST:-tcg} in
  kvm) machine=(-accel kvm -cpu host) ;;
  tcg) machine=(-accel tcg -cpu max) ;;
  *) fail "GATEHOUSE_GUEST is kvm or tcg" ;;
esac

folder=build/fresh/ktls
kernel=$folder/kernel
mkdir -p "$folder"
if [ ! -d "$kernel" ]; then
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" {print $2}')
  [ -n "$package" ] || fail "apt knows no linux-image-cloud-amd64: this is not Debian, or apt-get update is wanting"
  (cd "$folder" && rm -f ./*.deb && apt-get download "$package")
  rm -rf "$kernel.part"
  dpkg-deb -x "$folder"/*.deb "$kernel.part"
  mv "$kernel.part" "$kernel"
fi
version=$(basename "$(echo "$kernel"/lib/modules/*)")

# All of the guest's system.
root=$folder/root
rm -rf "$root"
mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc} "$root/lib/modules/$version/kernel/net"
cp /bin/busybox "$root/bin/"
modules=$kernel/lib/modules/$version
cp -r "$modules"/kernel/{arch,crypto,lib} "$root/lib/modules/$version/kernel/"
cp -r "$modules/kernel/net/tls" "$root/lib/modules/$version/kernel/net/"
cp "$modules"/modules.builtin* "$root/lib/modules/$version/"
depmod -b "$root" "$version" 2>/dev/null
cp "$program" "$root/bin/tests"
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" "$root/"; done
cat >"$root/init" <<'INSIDE'
#!/bin/busybox sh
/bin/busybox --install -s /bin
ln -s bin /sbin  # where the kernel looks for modprobe, to load ciphers
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ifconfig lo 127.0.0.1 up
echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
modprobe tls
echo "Linux $(uname -r), modules: $(lsmod | awk 'NR > 1 {print $1}' | xargs)"
export HOME=/ TMPDIR=/tmp GATEHOUSE_NEEDS_KTLS=1
tests --gtest_color=no --gtest_brief=BRIEF --gtest_filter='FILTER'
echo "the tests have ended with $?"
poweroff -f
INSIDE
sed -i "s/FILTER/$filter/; s/BRIEF/${GATEHOUSE_BRIEF:-0}/" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$folder/system.gz"

timeout "${GATEHOUSE_SECONDS:-900}" qemu-system-x86_64 "${machine[@]}" -m 1024 -nographic -no-reboot -nic none \
  -kernel "$kernel/boot/vmlinuz-$version" -initrd "$folder/system.gz" \
  -append 'console=ttyS0 quiet panic=-1' </dev/null | tr -d '\r' | tee "$folder/said"
grep -q '^the tests have ended with 0$' "$folder/said" || fail "the tests have failed, or the guest has not come to them"
