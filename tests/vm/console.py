# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's console says when its kernel is in trouble."""

import re

# What no console may show. Each is searched for in every line.
TROUBLE = re.compile("|".join([
    r"Kernel panic", r"\bOops\b", r"\bBUG: ", r"kernel BUG at", r"\bWARNING: ",
    r"general protection fault", r"\bKASAN: ", r"\bUBSAN: ", r"\bKCSAN: ",
    r"kmemleak: \d+ new suspected", r"unreferenced object 0x", r"refcount_t: ",
    r"INFO: task .* blocked for more than", r"INFO: possible ", r"INFO: trying to register",
    r"INFO: suspicious", r"suspicious RCU usage", r"DEBUG_LOCKS_WARN_ON",
    r"lock held when returning to user", r"self-detected stall", r"detected stalls on CPUs",
    r"list_(add|del) corruption", r"Bad page state", r"scheduling while atomic", r"double fault",
    r"stack-protector", r"EXT4-fs error", r"JBD2: .*[Ee]rror", r"Unable to handle",
    r"unable to handle", r"invalid opcode", r"Out of memory: ", r"invoked oom-killer",
    r"LAB-GUEST-FAILED", r"slab-out-of-bounds", r"use-after-free", r"assertion failed",
]))
TROUBLE_CONTEXT_LINES = 40
