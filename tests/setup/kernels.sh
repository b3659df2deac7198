#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Unpacks Debian's kernels and their headers into the cache; nothing is installed on this machine.
# Usage: kernels.sh [--refresh] [6.1] [6.12]        default: both
# The cache is ${LULL_CACHE:-~/.cache/lull}. Writes $cache/kernels/SERIES/env, to be sourced, with
#   KVER     what uname -r will say
#   VMLINUZ  the image to boot
#   MODDIR   the tree that belongs at /lib/modules/$KVER
#   KDIR     where "make -C $KDIR M=..." builds external modules
# A series that is there stays as it is, whatever Debian has meanwhile, until --refresh.
set -eu

cache=${LULL_CACHE:-$HOME/.cache/lull}
refresh=
series=

die() {
    echo "kernels.sh: $*" >&2
    exit 1
}

for arg in "$@"; do
    case $arg in
    --refresh) refresh=1 ;;
    6.1 | 6.12) series="$series $arg" ;;
    *) die "unknown argument '$arg' (usage: kernels.sh [--refresh] [6.1] [6.12])" ;;
    esac
done
[ -n "$series" ] || series="6.1 6.12"

# The package a meta package stands for, such as linux-image-6.1.0-56-amd64 for linux-image-amd64.
resolve() {
    apt-cache depends --no-recommends --no-suggests "$1" 2>/dev/null |
        sed -n "s/^ *|\{0,1\}Depends: \(linux-$2-[0-9].*\)/\1/p" | head -n 1
}

updated=
update_lists() {
    [ -z "$updated" ] || return 0
    updated=1
    [ "$(id -u)" = 0 ] || die "package lists are missing or stale; run as root, or apt-get update"
    apt-get -q update >/dev/null 2>&1 || die "apt-get update failed: is the network reachable?"
}

# Debian's header packages name each other by absolute path; here they live below $1.
relocate_headers() {
    root=$1
    sed -i "s#^include /usr/#include $final/usr/#" "$root"/usr/src/linux-headers-*/Makefile
    find "$root/usr/src" "$root/lib/modules" -type l | while read -r link; do
        target=$(readlink "$link")
        case $target in
        /usr/*) ln -sfn "$final$target" "$link" ;;
        /lib/modules/*) ln -sfn "$final$target" "$link" ;;
        esac
    done
}

verify_headers() {
    mkdir -p "$1/probe"
    printf 'obj-m := probe.o\n' >"$1/probe/Makefile"
    cat >"$1/probe/probe.c" <<'PROBE'
#include <linux/module.h>
MODULE_LICENSE("GPL");
PROBE
    make -s -C "$2" M="$1/probe" modules >"$1/probe.log" 2>&1 && [ -s "$1/probe/probe.ko" ] ||
        { cat "$1/probe.log" >&2; die "a module does not build against $2"; }
    modinfo -F vermagic "$1/probe/probe.ko" | grep -q "^$KVER " || die "wrong vermagic from $2"
    rm -rf "$1/probe" "$1/probe.log"
}

write_env() {
    cat <<ENV
KVER=$KVER
VMLINUZ=$final/boot/vmlinuz-$KVER
MODDIR=$final/lib/modules/$KVER
KDIR=$final/usr/src/linux-headers-$KVER
ENV
}

# Finds out what the series' packages are called today and downloads them to $work/debs.
download() {
    image=$(resolve "$image_meta" image)
    headers=$(resolve "$headers_meta" headers)
    [ -n "$image" ] && [ -n "$headers" ] || return 1
    parts=$(apt-cache depends "$headers" |
        sed -n 's/^ *Depends: \(linux-headers-.*-common\|linux-kbuild-.*\)/\1/p')
    KVER=${image#linux-image-}
    echo "kernels.sh: unpacking $KVER" >&2
    # shellcheck disable=SC2086
    (cd "$work/debs" && apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root \
        download "$image" "$headers" $parts >fetch.log 2>&1)
}

unpack() {
    name=$1
    case $name in
    6.1) image_meta=linux-image-amd64 headers_meta=linux-headers-amd64 ;;
    *) image_meta=linux-image-$name-amd64 headers_meta=linux-headers-$name-amd64 ;;
    esac
    work=$cache/kernels/$name.tmp.$$
    rm -rf "$cache/kernels/$name".tmp.*
    mkdir -p "$work/debs" "$work/root"
    if ! download; then
        # The package lists may be older than the archive.
        update_lists
        download || die "cannot download $image_meta and its headers: $(tail -n 3 "$work/debs/fetch.log" 2>/dev/null)"
    fi
    final=$cache/kernels/$name/$KVER
    for deb in "$work"/debs/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
    relocate_headers "$work/root"
    depmod -b "$work/root" "$KVER"
    rm -rf "${final:?}"
    mkdir -p "$cache/kernels/$name"
    mv "$work/root" "$final"
    verify_headers "$work" "$final/usr/src/linux-headers-$KVER"
    write_env >"$cache/kernels/$name/env.tmp"
    mv "$cache/kernels/$name/env.tmp" "$cache/kernels/$name/env"
    rm -rf "$work"
}

mkdir -p "$cache/kernels"
cache=$(readlink -f "$cache")
exec 9>"$cache/kernels/lock"
flock 9
[ -z "$refresh" ] || update_lists
for name in $series; do
    env=$cache/kernels/$name/env
    if [ -s "$env" ] && [ -z "$refresh" ]; then
        (. "$env" && [ -s "$VMLINUZ" ] && [ -d "$KDIR" ] && [ -d "$MODDIR" ]) || rm -f "$env"
    fi
    if [ ! -s "$env" ] || [ -n "$refresh" ]; then
        unpack "$name"
    fi
    echo "# $name"
    cat "$env"
done
