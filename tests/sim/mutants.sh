#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Tests of the tests: each patch in mutants/ takes one rule out of the protocol, and a seed of the simulation has to notice.
# Its line "Run: sim OPTIONS" says what looks for it. Where seeds come by a rule too seldom, a simulated story of its own
# does: "Run: mdt/versions_test [FILTER]", a file of tests.
#
#   tests/sim/mutants.sh [NAME…]     all of them, or these
#   PATCHES=DIR                      those of another directory
#   SEEDS=N JOBS=N LIMIT=S KEEP=1    most seeds for each (600, or what its patch says: Seeds: N), mutants at a time (2), real seconds for a seed (60), keep the copies
#
# A copy of the tree takes its objects over as hard links: only what the patch touches is compiled again.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/lull-mutants.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
export SEEDS=${SEEDS:-600} work top
export PATCHES=${PATCHES:-$top/tests/sim/mutants}

stories=$(sed -n 's,^Run: \([a-z_/]*_test\).*,build/user-fast/\1,p' "$PATCHES"/*.patch | sort -u)
make -s -j2 -C "$top" VARIANT=fast sim-build $stories >"$work/base.log" 2>&1 || { cat "$work/base.log"; exit 1; }
# One base for all: the tree may change while we work.
mkdir -p "$work/base/build"
(cd "$top" && find . \( -name build -o -name .git \) -prune -o -type f \( -name '*.cc' -o -name '*.h' -o -name '*.mk' -o -name Makefile \) -print0 |
	tar -c --null -T - | tar -x -C "$work/base" && cp -al build/user-fast "$work/base/build/") || exit 1

seeds()  # tree, patch, log, options
{
	local seeds
	seeds=$(sed -n "s/^Seeds: //p" "$2")
	seeds=${seeds:-$SEEDS}
	"$1/build/user-fast/sim" --seeds="$seeds" --jobs=1 --stop --limit="${LIMIT:-60}" $4 >"$3" 2>&1 && { echo "SURVIVED ($seeds seeds)"; return; }
	echo "caught after $(sed -n 's/^\([0-9]*\) seeds, .*/\1/p' "$3") seeds: $(
		sed -n '/^FAILURE/{n;p;q};/^kapi\/sim: FAILED/{n;p;q};/ FAILED (signal\| FAILED (no end/{p;q}' "$3" | cut -c1-110)"
}

story()  # tree, log, program, filter
{
	timeout "${LIMIT:-60}" "$1/build/user-fast/$3" --gtest_brief=1 --gtest_filter="${4:-*}" >"$2" 2>&1
	case $? in
	0) echo "SURVIVED ($3 $4)" ;;
	124) echo "caught by $3 $4: no end" ;;
	126 | 127) echo "BROKEN: $3 does not run" ;;
	*) echo "caught by $3: $(grep -m1 -oE 'FAILED  \] [A-Za-z]+\.[A-Za-z0-9]+|assertion.*' "$2" | cut -c1-110)" ;;
	esac
}

one()
{
	local name=$1 tree=$work/$1 log=$work/$1.log patch=$PATCHES/$1.patch run said
	run=$(sed -n "s/^Run: //p" "$patch")
	cp -al "$work/base" "$tree" || return 1
	if ! patch -s -F0 -p1 -d "$tree" <"$patch" >"$log" 2>&1; then
		said="STALE: the patch does not apply"
	elif [ "${run%% *}" = sim ]; then
		make -s -C "$tree" VARIANT=fast sim-build >>"$log" 2>&1 && said=$(seeds "$tree" "$patch" "$log" "${run#sim}")
	else
		set -- $run
		make -s -C "$tree" VARIANT=fast "build/user-fast/$1" >>"$log" 2>&1 && said=$(story "$tree" "$log" "$1" "${2:-}")
	fi
	said=${said:-BROKEN: it does not compile}
	echo "${said%%[ :]*} $name${said#"${said%%[ :]*}"}"
	[ -n "${KEEP:-}" ] || rm -rf "$tree"
}
export -f seeds story one

if [ $# -gt 0 ]; then names=("$@"); else
	names=()
	for p in "$PATCHES"/*.patch; do names+=("$(basename "$p" .patch)"); done
fi
printf '%s\n' "${names[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'one {}' | tee "$work/result"
caught=$(grep -c '^caught ' "$work/result")
echo "$caught passed, $((${#names[@]} - caught)) failed"
[ "$caught" -eq "${#names[@]}" ]
