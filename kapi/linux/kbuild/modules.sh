#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# modules.sh KDIR [LULL_KUNIT=1] [make arguments]: builds the modules for one kernel in build/KVER (build/kunit-KVER).
# Fails on any warning, on static constructors, and when the core includes what it may not.
set -eu

kdir=${1:-}
shift
root=$(dirname "$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")")

die() {
    echo "modules.sh: $*" >&2
    exit 1
}
[ -n "$kdir" ] || die "no kernel headers found: install linux-headers-amd64, run tests/setup/kernels.sh, or give KDIR="
[ -f "$kdir/Makefile" ] || die "KDIR=$kdir is not a kernel's build directory"
kdir=$(readlink -f "$kdir")
config=$kdir/include/config/auto.conf
[ -f "$config" ] && [ -f "$kdir/include/generated/utsrelease.h" ] || die "$kdir is not prepared (make modules_prepare)"
kver=$(sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$kdir/include/generated/utsrelease.h")
[ -n "$kver" ] || die "$kdir does not say which kernel it is for"

prefix= sources="kapi kapi/linux lnet ptlrpc ldlm mdc osc llite llite/linux osd osd/linux target mgs mdt ofd"
case " $* " in
*" LULL_KUNIT=1 "*)
    grep -q '^CONFIG_KUNIT=[ym]' "$config" || die "$kdir has no KUnit"
    prefix=kunit- sources="kapi/linux osd/linux llite/linux tests/kunit"
    ;;
esac
build=$root/build/$prefix$kver
mkdir -p "$build"
exec 8>"$build/.lock"
flock 8

# The links. A source that is gone takes its object with it.
for room in $sources; do
    mkdir -p "$build/$room"
    for file in "$root/$room"/*.c "$root/$room"/*.cc; do
        case $file in *_test.cc | *'*'*) continue ;; esac
        link=$build/$room/${file##*/}
        [ -L "$link" ] || ln -s "$file" "$link"
    done
done
find "$build" -xtype l -name '*.c*' | while read -r link; do
    name=${link##*/}
    rm -f "$link" "${link%.c*}.o" "${link%/*}/.${name%.c*}.o.cmd"
done

# Writes standard input to $1, unless it is there already.
install_text() {
    cat >"$build/.tmp"
    cmp -s "$build/.tmp" "$1" || cp "$build/.tmp" "$1"
    rm -f "$build/.tmp"
}

# All that the core sees outside the checkout: Boost and libstdc++, with as little of a C library as these need.
shim=$build/cxx_include
mkdir -p "$shim/bits"
ln -sfn /usr/include/boost "$shim/boost"
install_text "$shim/features.h" <<'SHIM'
#define __GLIBC_PREREQ(major, minor) 0
SHIM
install_text "$shim/limits.h" <<'SHIM'
#pragma once
#define CHAR_BIT 8
#define SCHAR_MAX 127
#define UCHAR_MAX 255
#define SHRT_MAX 32767
#define USHRT_MAX 65535
#define INT_MAX __INT_MAX__
#define UINT_MAX (2U * INT_MAX + 1U)
#define LONG_MAX __LONG_MAX__
#define ULONG_MAX (2UL * LONG_MAX + 1UL)
#define LLONG_MAX __LONG_LONG_MAX__
#define ULLONG_MAX (2ULL * LLONG_MAX + 1ULL)
SHIM
install_text "$shim/cstring" <<'SHIM'
#pragma once
#include <cstddef>
namespace std {
extern "C" void *memcpy(void *, const void *, size_t);
extern "C" void *memmove(void *, const void *, size_t);
extern "C" void *memset(void *, int, size_t);
extern "C" int memcmp(const void *, const void *, size_t);
}
SHIM
install_text "$shim/bits/c++config.h" <<'SHIM'
#include_next <bits/c++config.h>
#undef _GLIBCXX_HAS_GTHREADS
#undef _GLIBCXX_HAVE_LINUX_FUTEX
SHIM
install_text "$shim/bits/atomic_wait.h" <<'SHIM'
/* std::atomic without wait() and notify(). */
SHIM
install_text "$build/Kbuild" <<KBUILD
LULL_ROOT := $root
LULL_BUILD := $build
include $root/Kbuild
KBUILD

touch "$build/.started"
# Whatever this run built is built again by the next, so that a warning cannot be missed by asking twice.
forget() {
    find "$build" \( -name '*.o' -o -name '*.ko' \) -newer "$build/.started" -delete
    die "$*"
}

modpost=
[ -f "$kdir/Module.symvers" ] || modpost=KBUILD_MODPOST_WARN=1
log=$build/build.log
status=$build/.status
rm -f "$status"
# A make above us shares its job slots; without one, use the machine.
case ${MAKEFLAGS:-} in *-j*) jobs= ;; *) jobs=-j$(nproc) ;; esac
# No vmlinux here: no BTF.
# shellcheck disable=SC2086
{ make $jobs -C "$kdir" M="$build" CONFIG_DEBUG_INFO_BTF_MODULES= $modpost "$@" modules 2>&1 || echo $? >"$status"; } |
    grep --line-buffered -v 'make\[[0-9]*\]: \(Entering\|Leaving\) directory\|compiler differs\|^  \(The kernel was built by\|You are using\)' |
    tee "$log"
# Without Module.symvers every symbol of the kernel is unknown; only other warnings count.
harmless='^$'
[ -z "$modpost" ] || harmless='undefined!|Module.symvers|unresolved symbol'
if grep -iE 'warning[: ]|objtool:' "$log" | grep -vE "$harmless" >"$build/.warnings"; then
    cat "$build/.warnings" >&2
    forget "warnings (above)"
fi
[ ! -s "$status" ] || exit "$(cat "$status")"

if ! grep -q '^CONFIG_KASAN=y' "$config"; then
    for ko in "$build"/*.ko; do
        if readelf -SW "$ko" | grep -E '\.(pre)?(init_array|ctors|fini_array|dtors)'; then
            forget "${ko##*/} has static constructors"
        fi
    done
fi
"$root/kapi/linux/kbuild/check_includes.sh" "$build" "$root" || forget "the core includes what it may not"
