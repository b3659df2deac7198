/* SPDX-License-Identifier: GPL-2.0-only */
/* Assertions are for our own invariants, never for what a peer or a disk says. */
#pragma once
#include "kapi/kapi.h"

#define LULL_ASSERT(condition)                          \
    do {                                                \
        if (!(condition)) [[unlikely]]                  \
            kapi_panic(__FILE__, __LINE__, #condition); \
    } while (0)
#define LULL_UNREACHABLE() kapi_panic(__FILE__, __LINE__, "unreachable")
