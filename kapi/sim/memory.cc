// SPDX-License-Identifier: GPL-2.0-only
// kapi memory: malloc with a header that says which host pays, so that a crash can free it and a
// leak can be named.
#include "kapi/sim/memory.h"

#include <execinfo.h>

#include <cstdlib>
#include <cstring>

#include "kapi/sim/world.h"

extern "C" void __sanitizer_symbolize_pc(void* pc, const char* fmt, char* out, size_t bytes)
    __attribute__((weak));

namespace lull::sim {

struct AllocHeader {
    AllocHeader* prev;
    AllocHeader* next;
    Arena* arena;  // null: the main context's
    size_t bytes;
    uint64_t number;
    void* caller;
    void** frames;  // with LULL_SIM_ALLOC_TRACE
    uint64_t magic;
};
static_assert(sizeof(AllocHeader) % 16 == 0);

namespace {

constexpr uint64_t kMagic = 0x6c756c6c616c6f63;
constexpr size_t kGarbageBytes = 1024;
constexpr int kFrames = 16;

bool trace_allocations()
{
    static const bool on = std::getenv("LULL_SIM_ALLOC_TRACE") != nullptr;
    return on;
}

std::string symbol(void* pc)
{
    char text[512] = "";
    if (__sanitizer_symbolize_pc) {
        __sanitizer_symbolize_pc(pc, "%f %s:%l", text, sizeof text);
        return text;
    }
    std::snprintf(text, sizeof text, "%p", pc);
    return text;
}

void enlist(AllocHeader* h, Arena* arena)
{
    h->arena = arena;
    h->prev = h->next = nullptr;
    if (!arena) return;
    h->number = ++arena->made;
    h->next = arena->first;
    if (h->next) h->next->prev = h;
    arena->first = h;
    arena->live++;
    arena->live_bytes += h->bytes;
}

void delist(AllocHeader* h)
{
    if (!h->arena) return;
    (h->prev ? h->prev->next : h->arena->first) = h->next;
    if (h->next) h->next->prev = h->prev;
    h->arena->live--;
    h->arena->live_bytes -= h->bytes;
}

void* allocate(size_t bytes, bool zero, void* caller)
{
    if (bytes > KAPI_ALLOC_MAX_BYTES) return nullptr;
    World& w = world();
    Host* host = w.current_host();
    if ((host ? *host : w.main_host()).allocation_fails()) {
        if (w.tracing()) w.trace("an allocation of %zu bytes fails", bytes);
        return nullptr;
    }
    size_t total = sizeof(AllocHeader) + bytes;
    auto* h = static_cast<AllocHeader*>(zero ? std::calloc(1, total) : std::malloc(total));
    if (!h) return nullptr;
    h->bytes = bytes;
    h->caller = caller;
    h->frames = nullptr;
    h->magic = kMagic;
    enlist(h, host ? &host->arena() : nullptr);
    if (trace_allocations()) {
        h->frames = static_cast<void**>(std::calloc(kFrames, sizeof(void*)));
        if (h->frames) backtrace(h->frames, kFrames);
    }
    void* p = h + 1;
    if (!zero) std::memset(p, 0xa5, bytes < kGarbageBytes ? bytes : kGarbageBytes);
    return p;
}

}  // namespace

void Arena::free_all()
{
    while (AllocHeader* h = first) {
        first = h->next;
        h->magic = 0;
        std::free(h->frames);
        std::free(h);
    }
    live = live_bytes = 0;
}

std::string Arena::describe(size_t at_most) const
{
    if (!live) return "";
    std::string out = "  " + std::to_string(live) + " allocations (" + std::to_string(live_bytes) +
                      " bytes) are not freed\n";
    size_t n = 0;
    for (AllocHeader* h = first; h && n < at_most; h = h->next, n++) {
        out += "    #" + std::to_string(h->number) + " " + std::to_string(h->bytes) +
               " bytes from " + symbol(h->caller) + "\n";
        for (int i = 2; h->frames && i < kFrames && h->frames[i]; i++)
            out += "      " + symbol(h->frames[i]) + "\n";
    }
    return out;
}

}  // namespace lull::sim

using namespace lull::sim;

extern "C" {

void* kapi_alloc(size_t bytes) { return allocate(bytes, false, __builtin_return_address(0)); }
void* kapi_zalloc(size_t bytes) { return allocate(bytes, true, __builtin_return_address(0)); }

void kapi_free(void* p)
{
    if (!p) return;
    AllocHeader* h = static_cast<AllocHeader*>(p) - 1;
    if (h->magic != kMagic) {
        world().fail("kapi_free of what kapi_alloc did not give");
        return;
    }
    h->magic = 0;
    delist(h);
    std::free(h->frames);
    std::free(h);
}

}  // extern "C"
