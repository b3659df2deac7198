#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# check_includes.sh BUILD ROOT: fails if a C++ object was compiled from a kernel header, or if a file of the core names a
# header outside the freestanding ones. kapi.h, which C files of the kernel include too, asks who includes it.
set -eu
build=$1 root=$2
allowed='atomic|type_traits|concepts|span|bit|optional|utility|cstdint|cstddef|new|limits|compare|initializer_list|stddef\.h|stdint\.h|stdarg\.h|boost/intrusive/[a-z_/]*\.hpp'

deps=$(find "$build" -name '.*.o.cmd' | while read -r cmd; do
    source=$(sed -n 's/^source_.* := //p' "$cmd")
    case $source in
    *.cc)
        echo "$source"
        sed -n 's/^  \(\/[^ ]*\).*/\1/p' "$cmd"
        ;;
    esac
done | sort -u)
bad=$(printf '%s\n' "$deps" | grep -vE "^($root|$build|/usr/include/c\+\+|/usr/include/[^/]*/c\+\+|/usr/lib/gcc)/" || true)
bad=$bad$(printf '%s\n' "$deps" | grep -E "^$root/([a-z]+/)*(linux|sim)/" || true)
if [ -n "$bad" ]; then
    printf 'compiled into the core: %s\n' $bad >&2
    exit 1
fi
# shellcheck disable=SC2046
files=$(printf '%s\n' "$deps" | sed -n "s#^$build/\([a-z].*\)#$root/\1#p; \#^$root/#p" | grep -v "^$build/" | grep -vx "$root/kapi/kapi.h" | sort -u)
[ -n "$files" ] || exit 0
# shellcheck disable=SC2086
if grep -HnE '^ *# *include *<' $files | grep -vE "#[ ]*include *<($allowed)>"; then
    echo "these headers are not for the core" >&2
    exit 1
fi
