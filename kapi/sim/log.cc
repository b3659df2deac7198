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
        if (*t == kBegin || *t == kEnd) inside = *t == kBegin;
        else if (!inside) stable += *t;
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

void kapi_trace_state(kapi_machine machine, const char* device, const char* from, const char* to)
{
    constexpr const char* kNames[] = {"controlled_shutdown", "active_lock", "import", "recovery"};
    kapi_log(KAPI_DEBUG, "lull:%s: %s: %s -> %s", kNames[machine], device, from, to);
}

void kapi_trace_phases(const char* device, const kapi_phases* p)
{
    using ull = unsigned long long;
    kapi_log(KAPI_DEBUG,
             "lull:upgrade_phases: %s: warm=%llu notify=%llu drain=%llu commit=%llu halt=%llu "
             "away=%llu start=%llu reconnect=%llu ns",
             device, static_cast<ull>(p->warm_ns), static_cast<ull>(p->notify_ns),
             static_cast<ull>(p->drain_ns), static_cast<ull>(p->commit_ns),
             static_cast<ull>(p->halt_ns), static_cast<ull>(p->away_ns),
             static_cast<ull>(p->start_ns), static_cast<ull>(p->reconnect_ns));
}

void kapi_trace_request(const char* device, const char* operation, uint64_t xid, uint64_t transno,
                        int status, uint64_t took_ns)
{
    using ull = unsigned long long;
    kapi_log(KAPI_DEBUG, "lull:request_done: %s: %s xid=%llu transno=%llu status=%d took=%llu ns",
             device, operation, static_cast<ull>(xid), static_cast<ull>(transno), status,
             static_cast<ull>(took_ns));
}

void kapi_trace_evict(const char* device, const char* client, const char* why)
{
    kapi_log(KAPI_DEBUG, "lull:evict: %s: %s: %s", device, client, why);
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
