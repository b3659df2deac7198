# SPDX-License-Identifier: GPL-2.0-only
# Fuzzing with libFuzzer (clang):
#
#   make -f tests/fuzz/fuzz.mk fuzz [SECONDS=60]    run every target for so long, on a corpus kept in build/fuzz
#   make -f tests/fuzz/fuzz.mk fuzz-build

CLANGXX ?= clang++
SECONDS ?= 60
fuzz_dir := build/fuzz
fuzz_targets := message_fuzz params_fuzz
fuzz_flags := -std=gnu++20 -g -O1 -Wall -Wextra -Werror -I. -Iinclude -fsanitize=address,undefined -fno-sanitize-recover=undefined
fuzz_core := ptlrpc/message.cc ptlrpc/params.cc lnet/nid.cc
fuzz_port := $(filter-out %_test.cc,$(wildcard kapi/sim/*.cc))
fuzz_headers := $(wildcard include/lull/*.h kapi/*.h ptlrpc/*.h lnet/*.h tests/fuzz/*.h)

fuzz_objects := $(patsubst %.cc,$(fuzz_dir)/obj/%.o,$(fuzz_core) $(fuzz_port))
$(fuzz_dir)/obj/%.o: %.cc $(fuzz_headers)
	@mkdir -p $(@D); echo '  CLANG   $<'; $(CLANGXX) $(fuzz_flags) -fsanitize=fuzzer-no-link -c $< -o $@
$(fuzz_dir)/%_fuzz: tests/fuzz/%_fuzz.cc $(fuzz_objects)
	@echo '  FUZZ    $@'; $(CLANGXX) $(fuzz_flags) -fsanitize=fuzzer $^ -o $@ -lboost_context
$(fuzz_dir)/make_corpus: tests/fuzz/make_corpus.cc $(fuzz_objects)
	@$(CLANGXX) $(fuzz_flags) -fsanitize=fuzzer-no-link $^ -o $@ -lboost_context
$(fuzz_dir)/corpus/message_fuzz/.made: $(fuzz_dir)/make_corpus
	@mkdir -p $(@D); $< $(@D) && touch $@
$(fuzz_dir)/corpus/params_fuzz/.made:
	@mkdir -p $(@D); printf 'mdt.*.[a-z]?\0mdt.x.ab' > $(@D)/glob; printf '10.0.0.1@tcp:10.0.0.2' > $(@D)/nids; touch $@

.PHONY: fuzz fuzz-build
fuzz-build: $(fuzz_targets:%=$(fuzz_dir)/%) $(fuzz_targets:%=$(fuzz_dir)/corpus/%/.made)
fuzz: fuzz-build
	@set -e; for t in $(fuzz_targets); do \
	    echo "$$t: $(SECONDS) s"; \
	    $(fuzz_dir)/$$t -max_total_time=$(SECONDS) -max_len=8192 -timeout=5 -rss_limit_mb=1024 -verbosity=0 \
	        -print_final_stats=1 -artifact_prefix=$(fuzz_dir)/ $(fuzz_dir)/corpus/$$t; \
	done
