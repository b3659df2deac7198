#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Builds the debug kernel from Debian's linux-source-6.1 into the cache: KUnit, lockdep, KASAN,
# kmemleak, fault injection, and everything a laboratory guest and Lull need built in. Ten minutes the
# first time, nothing after that. Writes $cache/kernels/debug/env (KVER, VMLINUZ, MODDIR, KDIR), as
# kernels.sh does.
# Usage: debug-kernel.sh [--refresh]     --refresh looks for newer sources
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${LULL_CACHE:-$HOME/.cache/lull}
jobs=${LULL_JOBS:-$(nproc)}
config=$here/debug-kernel.config

die() {
    echo "debug-kernel.sh: $*" >&2
    exit 1
}

[ "$#" = 0 ] || [ "$*" = --refresh ] || die "usage: debug-kernel.sh [--refresh]"
mkdir -p "$cache/kernels/debug"
cache=$(readlink -f "$cache")
top=$cache/kernels/debug
exec 9>"$top/build.lock"
flock 9

# The key: source version and configuration. An env that carries it is up to date.
hash=$(sed 's/#.*//;/^$/d' "$config" | sha256sum | cut -c 1-12)
if [ "$#" = 0 ] && grep -q "^KEY=.*-$hash\$" "$top/env" 2>/dev/null; then
    cat "$top/env"
    exit 0
fi

newest() {
    apt-cache show --no-all-versions linux-source-6.1 2>/dev/null | sed -n 's/^Version: //p'
}

version=$(newest)
if [ -z "$version" ] || [ "$#" != 0 ]; then
    [ "$(id -u)" = 0 ] || die "package lists are missing or stale; run as root, or apt-get update"
    apt-get -q update >/dev/null 2>&1 || die "apt-get update failed: is the network reachable?"
    version=$(newest)
fi
[ -n "$version" ] || die "Debian offers no linux-source-6.1"
key=$version-$hash
if grep -q "^KEY=$key\$" "$top/env" 2>/dev/null; then
    cat "$top/env"
    exit 0
fi

work=$top/work
src=$top/src-$version
if [ ! -e "$src/Makefile" ]; then
    echo "debug-kernel.sh: fetching linux-source-6.1 $version" >&2
    rm -rf "$work" "$top"/src-*
    mkdir -p "$work"
    (cd "$work" && apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root \
        download "linux-source-6.1=$version" >fetch.log 2>&1) ||
        die "cannot download linux-source-6.1"
    dpkg -x "$work"/linux-source-6.1_*.deb "$work/deb"
    mkdir "$work/src"
    # A large part of the tree that this build has no use for stays packed.
    tar -xJf "$work"/deb/usr/src/linux-source-6.1.tar.xz -C "$work/src" --strip-components=1 \
        --exclude='linux-source-6.1/drivers/gpu/drm/amd/include' \
        --exclude='linux-source-6.1/tools/testing/selftests'
    mv "$work/src" "$src"
    rm -rf "$work"
fi

build=$top/build
log=$top/build.log
echo "debug-kernel.sh: building in $build (log: $log)" >&2
mkdir -p "$build"
rm -f "$top/env"
run_make() {
    nice -n 15 make -s -C "$src" O="$build" "-j$jobs" LOCALVERSION= KBUILD_BUILD_USER=lull \
        KBUILD_BUILD_HOST=lab "$@" >>"$log" 2>&1 || { tail -n 30 "$log" >&2; die "make $* failed"; }
}
: >"$log"
make -s -C "$src" O="$build" KCONFIG_ALLCONFIG="$config" allnoconfig >>"$log" 2>&1 ||
    die "configuration failed, see $log"
missing=$(sed -n '/^CONFIG_.*=/p' "$config" | grep -vxF -f "$build/.config" || true)
[ -z "$missing" ] || die "options that did not survive:
$missing"
run_make bzImage modules
run_make modules_prepare

kver=$(cat "$build/include/config/kernel.release")
rm -rf "$top/root"
run_make modules_install INSTALL_MOD_PATH="$top/root" DEPMOD=true
mkdir -p "$top/root/lib/modules/$kver"
depmod -b "$top/root" "$kver" 2>>"$log"
cat >"$top/env.tmp" <<ENV
KVER=$kver
VMLINUZ=$build/arch/x86/boot/bzImage
MODDIR=$top/root/lib/modules/$kver
KDIR=$build
KEY=$key
ENV
mv "$top/env.tmp" "$top/env"
cat "$top/env"
