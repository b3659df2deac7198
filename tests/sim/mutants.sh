#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Tests of the tests: each patch in mutants/ takes one rule out of the protocol, and a seed of the simulation has to notice.
#
#   tests/sim/mutants.sh [NAME…]     all of them, or these
#   SEEDS=N JOBS=N LIMIT=S KEEP=1    most seeds for each (200, or what its patch says: Seeds: N), mutants at a time (2), real seconds for a seed (60), keep the copies
#
# A copy of the tree takes its objects over as hard links: only what the patch touches is compiled again.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/lull-mutants.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
export SEEDS=${SEEDS:-200} work top

make -s -C "$top" VARIANT=fast sim-build >"$work/base.log" 2>&1 || { cat "$work/base.log"; exit 1; }
# One base for all: the tree may change while we work.
mkdir -p "$work/base/build"
(cd "$top" && find . \( -name build -o -name .git \) -prune -o -type f \( -name '*.cc' -o -name '*.h' -o -name '*.mk' -o -name Makefile \) -print0 |
	tar -c --null -T - | tar -x -C "$work/base" && cp -al build/user-fast "$work/base/build/") || exit 1

one()
{
	local name=$1 tree=$work/$1 log=$work/$1.log status options seeds
	options=$(sed -n "s/^Run: sim //p" "$top/tests/sim/mutants/$name.patch")
	seeds=$(sed -n "s/^Seeds: //p" "$top/tests/sim/mutants/$name.patch")
	seeds=${seeds:-$SEEDS}
	cp -al "$work/base" "$tree" || return 1
	if ! patch -s -F0 -p1 -d "$tree" <"$top/tests/sim/mutants/$name.patch" >"$log" 2>&1; then
		echo "STALE $name: the patch does not apply"
	elif ! make -s -C "$tree" VARIANT=fast sim-build >>"$log" 2>&1; then
		echo "BROKEN $name: it does not compile"
	else
		"$tree/build/user-fast/sim" --seeds="$seeds" --jobs=1 --stop --limit="${LIMIT:-60}" $options >"$log" 2>&1
		status=$?
		if [ $status -eq 0 ]; then
			echo "SURVIVED $name ($seeds seeds)"
		else
			echo "caught $name after $(sed -n 's/^\([0-9]*\) seeds, .*/\1/p' "$log") seeds: $(
				sed -n '/^FAILURE/{n;p;q};/^kapi\/sim: FAILED/{n;p;q};/ FAILED (signal\| FAILED (no end/{p;q}' "$log" | cut -c1-110)"
		fi
	fi
	[ -n "${KEEP:-}" ] || rm -rf "$tree"
}
export -f one

if [ $# -gt 0 ]; then names=("$@"); else
	names=()
	for p in "$top"/tests/sim/mutants/*.patch; do names+=("$(basename "$p" .patch)"); done
fi
printf '%s\n' "${names[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'one {}' | tee "$work/result"
caught=$(grep -c '^caught ' "$work/result")
echo "$caught passed, $((${#names[@]} - caught)) failed"
[ "$caught" -eq "${#names[@]}" ]
