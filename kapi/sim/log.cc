// SPDX-License-Identifier: GPL-2.0-only
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kapi/sim/world.h"

using namespace lull::sim;

namespace {

constexpr size_t kLineBytes = 1024;

// Addresses differ from run to run: %p prints no number, so that traces stay the same.
int format_stable(char* out, size_t bytes, const char* format, va_list args)
{
    if (!std::strstr(format, "%p")) return std::vsnprintf(out, bytes, format, args);
    constexpr char kBegin = 1, kEnd = 2;
    std::string marked;
    for (const char* f = format; *f; f++) {
        if (f[0] == '%' && f[1] == 'p') {
            ((marked += kBegin) += "%p") += kEnd;
            f++;
        } else {
            marked += *f;
        }
    }
    char text[4 * kLineBytes];
    std::vsnprintf(text, sizeof text, marked.c_str(), args);
    std::string stable;
    bool inside = false;
    for (const char* t = text; *t; t++) {
        if (*t == kBegin) stable += "(ptr)";
        if (*t == kBegin || *t == kEnd)
            inside = *t == kBegin;
        else if (!inside)
            stable += *t;
    }
    return std::snprintf(out, bytes, "%s", stable.c_str());
}

}  // namespace

extern "C" {

void kapi_log(kapi_log_level level, const char* format, ...)
{
    World& w = world();
    if (level == KAPI_DEBUG && !w.options().debug_log && !w.tracing()) return;
    char text[kLineBytes];
    va_list args;
    va_start(args, format);
    format_stable(text, sizeof text, format, args);
    va_end(args);
    w.log_line(level, text);
}

int kapi_snprintf(char* out, size_t bytes, const char* format, ...)
{
    va_list args;
    va_start(args, format);
    int n = format_stable(out, bytes, format, args);
    va_end(args);
    return n;
}

void kapi_panic(const char* file, int line, const char* what)
{
    world().fail(std::string(file) + ":" + std::to_string(line) + ": " + what);
    std::fprintf(stderr, "kapi_panic: %s:%d: %s\n", file, line, what);
    std::abort();
}

}  // extern "C"
