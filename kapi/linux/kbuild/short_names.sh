#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# short_names.sh NM OBJCOPY OBJECT: with module versions an exported name may have 55 characters, and many of C++ have more.
# Long ones get a readable beginning and a hash, the same in every object. Also undoes COMDAT groups: objtool's tables
# are not part of them and would point into those the linker throws away; without groups they are plain weak symbols.
set -eu
nm=$1 objcopy=$2 object=$3
map=$object.names
trap 'rm -f "$map"' EXIT
"$nm" "$object" | LC_ALL=C awk '
    function short(name,    i, c, a, b) {
        a = b = 7
        for (i = 1; i <= length(name); i++) {
            c = ord[substr(name, i, 1)]
            a = (a * 31 + c) % 2147483647
            b = (b * 131 + c) % 2147483629
        }
        return sprintf("%s_%08x%08x", substr(name, 1, 38), a, b)
    }
    BEGIN { for (i = 32; i < 127; i++) ord[sprintf("%c", i)] = i }
    # objtool finds the cold part of a function by its name.
    { name = $NF; kind = $(NF - 1); base = name; sub(/\.cold$/, "", base) }
    name != base { cold[base] = name; next }
    length(name) > 55 && kind ~ /^[A-ZuUvVwW]$/ { long[name] = 1 }
    END {
        for (name in long) {
            print name, short(name)
            if (name in cold) print cold[name], short(name) ".cold"
        }
    }' >"$map"
"$objcopy" --remove-section=.group --redefine-syms="$map" "$object"
