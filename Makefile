# SPDX-License-Identifier: GPL-2.0-only
# Lull. "make" builds the kernel modules and the tools; see README.md.
#
#   make modules [KDIR=…]   build/KVER/{lull,lull_client,lull_server}.ko; KDIR: a kernel's build directory (default: the newest
#                           installed headers, else the newest in the cache of tests/setup/kernels.sh)
#   make kunit KDIR=…       build/kunit-KVER/lull_kunit.ko, for a kernel with KUnit
#   make unit sim-build utils   see tests/unit.mk
#   make test [STAGES=…]    everything that must pass (tests/run.py lists the stages)
#   make demo               servers upgraded under load on virtual machines; make shell: a prompt on a client of such a cluster
#   make bench [BENCH_ARGS=…]   how long a program waits for a restarting MDT: upgraded, with a dead client, crashed (tests/bench)
#   make clean

all: modules utils
.PHONY: all modules kunit test demo bench clean

include tests/unit.mk

LULL_CACHE ?= $(HOME)/.cache/lull
cached_kdir = $(shell . $(LULL_CACHE)/kernels/$(1)/env 2>/dev/null && echo $$KDIR)
installed_kdir = $(shell for d in /lib/modules/*/build /usr/src/linux-headers-*-amd64; do \
	[ -f $$d/include/generated/utsrelease.h ] && \
	echo "$$(cut -d'"' -f2 $$d/include/generated/utsrelease.h) $$d"; done | sort -V | tail -n 1 | cut -d' ' -f2)
KDIR ?= $(firstword $(installed_kdir) $(call cached_kdir,6.12) $(call cached_kdir,6.1))

modules:
	+@kapi/linux/kbuild/modules.sh '$(KDIR)' $(if $(V),V=$(V)) $(KBUILD_ARGS)
kunit:
	+@kapi/linux/kbuild/modules.sh '$(KDIR)' LULL_KUNIT=1 $(if $(V),V=$(V)) $(KBUILD_ARGS)

-include tests/vm/Makefile.inc

# The two commands: everything they need they install or unpack themselves.
test:
	+@tests/setup/install.sh && tests/run.py $(STAGES)
demo:
	+@tests/setup/install.sh && tests/setup/kernels.sh 6.1 >/dev/null && /usr/bin/python3 tests/demo/demo.py $(DEMO_ARGS)

bench:
	+@tests/setup/install.sh && tests/setup/kernels.sh 6.1 >/dev/null && /usr/bin/python3 tests/bench/pace.py $(BENCH_ARGS)

clean:
	rm -rf build
