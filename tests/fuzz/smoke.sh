#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Each fuzz target for a short while, on the corpus made from every message. Ends with "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
make -s -j2 -f tests/fuzz/fuzz.mk fuzz-build || exit 1
passed=0 failed=0
for target in message_fuzz params_fuzz; do
    if "build/fuzz/$target" -max_total_time="${SECONDS_EACH:-20}" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
        -artifact_prefix=build/fuzz/ "build/fuzz/corpus/$target"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
