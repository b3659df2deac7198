# SPDX-License-Identifier: GPL-2.0-only
# The user-space half of the build: the core and kapi/sim as a library, unit tests, the simulator, the tools.
#
#   make unit [FILTER=Gate*] [ROOMS="kapi lnet"]   build and run the unit tests (of these rooms only)
#   make sim-build                                 build/user/sim
#   make sim SEEDS=N [FIRST=S]                     the simulation, VARIANT=fast unless told otherwise
#   make VARIANT=fast build/user-fast/posix        the differential exerciser of tests/posix
#   make scale [CLIENTS="N …"]                    what a controlled shutdown costs with 1000, 10000 (or N) clients, as a table
#   make mutants                                   does the simulation notice when a rule of the protocol is taken out?
#   make tidy                                      clang-tidy over the core (.clang-tidy says which checks)
#   make format                                    clang-format over all C++ (.clang-format), in place
#   make utils                                     build/utils/{lctl,mkfs.lull,mount.lull,lull}
#   make build/user/obj/ldlm/lock.o                one file
#   VARIANT=fast                                   -O2 and no sanitizers, in build/user-fast
#
# Every output is written beside its place and then renamed, so several makes may run in the same tree.

rooms_all := kapi lnet ptlrpc ldlm target osd mgs mdt ofd mdc osc llite
ROOMS ?= $(rooms_all)
VARIANT ?= san
CXX ?= g++
HOSTCXX ?= $(CXX)

ifneq ($(VARIANT),$(filter $(VARIANT),san fast))
$(error VARIANT is san or fast, not '$(VARIANT)')
endif

user := build/user$(if $(filter fast,$(VARIANT)),-fast)
obj := $(user)/obj
# A subset of the rooms gets a library and a test program of its own.
subset := $(if $(filter-out $(ROOMS),$(rooms_all)),_$(subst $(eval) ,_,$(strip $(ROOMS))))
user_lib := $(user)/liblull$(subset).a
unit_bin := $(user)/unit_tests$(subset)
sim_bin := $(user)/sim
scale_bin := $(user)/scale

no_tests = $(filter-out %_test.cc,$(wildcard $(1)))
core_src := $(foreach r,$(ROOMS),$(call no_tests,$(r)/*.cc))
port_src := $(call no_tests,kapi/sim/*.cc) $(if $(filter osd,$(ROOMS)),$(call no_tests,osd/sim/*.cc))
sim_src := $(filter-out tests/sim/main.cc tests/sim/scale_main.cc,$(call no_tests,tests/sim/*.cc))
posix_src := $(filter-out tests/posix/main.cc,$(call no_tests,tests/posix/*.cc))
test_src := $(wildcard $(foreach r,$(ROOMS),$(r)/*_test.cc $(r)/sim/*_test.cc))
# The codec has its tests beside it, in include/.
test_src += $(wildcard include/lull/*_test.cc)
ifeq ($(subset),)
test_src += $(wildcard tests/sim/*_test.cc tests/posix/*_test.cc)
endif

warn_flags := -Wall -Wextra -Werror
inc_flags := -I. -Iinclude
comma := ,
san_opts := -O1 -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined
san_flags := $(if $(filter san,$(VARIANT)),$(san_opts),-O2)
common_flags := -std=gnu++20 -g -DLULL_COUNT_WALKS $(san_flags) $(warn_flags) $(inc_flags) $(EXTRA_CXXFLAGS)
core_flags := -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-omit-frame-pointer
# What the core may not know that it runs in user space, the simulator and the tests may.
# They may derive from classes of the core, which have no type information: no RTTI either.
hosted_flags := -fno-rtti -fno-omit-frame-pointer
unit_libs := -lgtest -lgtest_main -lboost_context -pthread

# Compiled once for all checkouts; what an object is made of decides, not where.
ccache := $(shell command -v ccache 2>/dev/null)
export CCACHE_DIR ?= $(or $(LULL_CACHE),$(HOME)/.cache/lull)/ccache
export CCACHE_NOHASHDIR = 1
export CCACHE_MAXSIZE = 2G
compile = @mkdir -p $(@D); \
	printf '  CXX     %s\n' $<; \
	t=$(@D)/.$(@F).$$$$; \
	$(ccache) $(CXX) $(common_flags) $(1) -MMD -MP -MT $@ -MF $$t.d -c $< -o $$t.o \
	&& mv $$t.d $(@:.o=.d) && mv $$t.o $@ || { rm -f $$t.o $$t.d; exit 1; }
link = @mkdir -p $(@D); \
	printf '  LINK    %s\n' $@; \
	t=$(@D)/.$(@F).$$$$; \
	$(CXX) $(common_flags) -o $$t $(1) && mv $$t $@ || { rm -f $$t; exit 1; }

objects = $(patsubst %.cc,$(obj)/%.o,$(1))
core_obj := $(call objects,$(core_src))
hosted_obj := $(call objects,$(port_src))
test_obj := $(call objects,$(test_src))
sim_obj := $(call objects,$(sim_src))
posix_obj := $(call objects,$(posix_src))

.PHONY: unit unit-build sim sim-run sim-build scale scale-run mutants tidy format utils
unit: $(unit_bin)
	$(unit_bin) --gtest_brief=1 $(if $(FILTER),--gtest_filter='$(FILTER)')
unit-build: $(unit_bin)
sim-build: $(sim_bin)
sim:
	+@$(MAKE) --no-print-directory VARIANT=$(if $(filter command environment,$(firstword $(origin VARIANT))),$(VARIANT),fast) sim-run
sim-run: $(sim_bin)
	$(sim_bin) --seeds=$(or $(SEEDS),200) $(if $(FIRST),--first=$(FIRST))
scale:
	+@$(MAKE) --no-print-directory VARIANT=$(if $(filter command environment,$(firstword $(origin VARIANT))),$(VARIANT),fast) scale-run
scale-run: $(scale_bin)
	$(scale_bin) $(CLIENTS)
mutants:
	tests/sim/mutants.sh
tidy:
	@printf '%s\n' $(core_src) | xargs -P $(or $(JOBS),2) -I{} sh -c \
		'clang-tidy --quiet {} -- -std=gnu++20 $(filter-out -fno-omit-frame-pointer,$(core_flags)) $(inc_flags) 2>/dev/null'
format:
	@find include $(rooms_all) utils tests \( -name linux -o -name kunit \) -prune -o \
		\( -name '*.cc' -o -name '*.h' \) -print0 | xargs -0 clang-format -i

# The most specific pattern wins: the shortest stem.
$(obj)/%_test.o: %_test.cc
	$(call compile,$(hosted_flags))
$(obj)/kapi/sim/%.o: kapi/sim/%.cc
	$(call compile,$(hosted_flags))
$(obj)/osd/sim/%.o: osd/sim/%.cc
	$(call compile,$(hosted_flags))
$(obj)/tests/posix/%.o: tests/posix/%.cc
	$(call compile,$(hosted_flags) -DFMT_HEADER_ONLY)
$(obj)/tests/%.o: tests/%.cc
	$(call compile,$(hosted_flags))
$(obj)/%.o: %.cc
	$(call compile,$(core_flags))

$(user_lib): $(core_obj) $(hosted_obj)
	@printf '  AR      %s\n' $@; t=$(@D)/.$(@F).$$$$; rm -f $$t; ar qcs $$t $^ && mv $$t $@
$(unit_bin): $(test_obj) $(if $(subset),,$(sim_obj) $(posix_obj)) $(user_lib)
	$(call link,$(test_obj) $(if $(subset),,$(sim_obj) $(posix_obj)) $(user_lib) $(unit_libs))
$(user)/tests/posix/%_test: $(obj)/tests/posix/%_test.o $(posix_obj)
	$(call link,$< $(posix_obj) $(unit_libs))
# One file of tests as a program: build/user/mdt/versions_test.
$(user)/%_test: $(obj)/%_test.o $(sim_obj) $(user_lib)
	$(call link,$< $(sim_obj) $(user_lib) $(unit_libs))
$(sim_bin): $(obj)/tests/sim/main.o $(sim_obj) $(user_lib)
	$(call link,$(obj)/tests/sim/main.o $(sim_obj) $(user_lib) -lgtest -lboost_context -pthread)

$(scale_bin): $(obj)/tests/sim/scale_main.o $(sim_obj) $(user_lib)
	$(call link,$(obj)/tests/sim/scale_main.o $(sim_obj) $(user_lib) -lgtest -lboost_context -pthread)

# The differential exerciser (tests/posix).
$(user)/posix: $(obj)/tests/posix/main.o $(posix_obj)
	$(call link,$^ -static)

# The tools: utils/{lctl,mkfs_lull,mount_lull,lull}.cc hold the mains; utils/upgrade is lull's, the rest is shared.
util_mains := lctl mkfs_lull mount_lull lull
util_common := $(filter-out $(util_mains:%=utils/%.cc),$(call no_tests,utils/*.cc))
util_obj = $(patsubst utils/%.cc,build/utils/obj/%.o,$(1))
util_flags := -std=gnu++20 -g -O2 $(warn_flags) $(inc_flags)
utils: build/utils/lctl build/utils/mkfs.lull build/utils/mount.lull build/utils/lull
build/utils/obj/%.o: utils/%.cc
	@mkdir -p $(@D); printf '  CXX     %s\n' $<; $(ccache) $(CXX) $(util_flags) -MMD -MP -c $< -o $@
build/utils/lctl: build/utils/obj/lctl.o
build/utils/mkfs.lull: build/utils/obj/mkfs_lull.o
build/utils/mount.lull: build/utils/obj/mount_lull.o
build/utils/lull: build/utils/obj/lull.o $(call util_obj,$(wildcard utils/upgrade/*.cc))
build/utils/lctl build/utils/mkfs.lull build/utils/mount.lull build/utils/lull: $(call util_obj,$(util_common))
	@printf '  LINK    %s\n' $@; $(CXX) $(util_flags) -o $@ $^ -lfmt -lblkid

-include $(shell find $(obj) build/utils/obj -name '*.d' -not -name '.*' 2>/dev/null)
