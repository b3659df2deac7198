#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Installs what packages.txt lists and is not there yet. Quiet and quick when nothing is missing.
# Usage: install.sh [--list]     --list prints the missing packages and installs nothing
set -eu

here=$(dirname "$(readlink -f "$0")")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

die() {
    echo "install.sh: $*" >&2
    exit 1
}

command -v dpkg-query >/dev/null || die "needs Debian (no dpkg-query found)"

wanted=$(sed 's/#.*//' "$here/packages.txt" | tr -s ' \t\n' '\n' | sort -u | sed '/^$/d')
# shellcheck disable=SC2086
present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    sed -n 's/^installed //p' | sort -u)
missing=$(printf '%s\n' "$wanted" | grep -vxF -e "$present" || true)

if [ "${1:-}" = --list ]; then
    printf '%s\n' $missing
    exit 0
fi
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || die "must be root to install:" $missing

echo "install.sh: installing" $missing
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120"

if ! $apt update >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get update failed: is the network reachable?"
fi
# shellcheck disable=SC2086
if ! $apt install --no-install-recommends $missing >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get install failed (see above)"
fi
