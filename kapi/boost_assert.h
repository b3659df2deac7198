/* SPDX-License-Identifier: GPL-2.0-only */
/* Boost.Intrusive's assertions end in kapi_panic. */
#pragma once
#include "kapi/kapi.h"
namespace boost {
inline void assertion_failed(const char* what, const char*, const char* file, long line)
{
    kapi_panic(file, static_cast<int>(line), what);
}
inline void assertion_failed_msg(const char* what, const char*, const char*, const char* file,
                                 long line)
{
    kapi_panic(file, static_cast<int>(line), what);
}
}  // namespace boost
