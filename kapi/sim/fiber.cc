// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/sim/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif

#ifdef SIM_ASAN
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom, size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack_save, const void** bottom_old,
                                     size_t* size_old);
void __asan_unpoison_memory_region(void const volatile* addr, size_t size);
}
#endif

namespace lull::sim {
namespace {

namespace bc = boost::context::detail;
#ifdef SIM_ASAN
constexpr size_t kStackBytes = 512 << 10;
#else
constexpr size_t kStackBytes = 256 << 10;
#endif
constexpr size_t kGuardBytes = 4096;
// stacks; a process has 65530 mappings, and a guard makes two of one
constexpr size_t kGuardedMax = 16384;

std::vector<char*>& free_stacks()
{
    static auto* stacks = new std::vector<char*>;
    return *stacks;
}

void start_switch([[maybe_unused]] Context& from, [[maybe_unused]] Context& to,
                  [[maybe_unused]] bool last)
{
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.bottom, to.bytes);
#endif
}

void finish_switch([[maybe_unused]] void* fake_stack, [[maybe_unused]] Context& came_from)
{
#ifdef SIM_ASAN
    const void* bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
    came_from.bottom = bottom;
    came_from.bytes = bytes;
#endif
}

struct Jump {
    Context* from;
    Context* to;
};

void first_entry(bc::transfer_t t)
{
    Jump jump = *static_cast<Jump*>(t.data);
    jump.from->position = t.fctx;
    finish_switch(nullptr, *jump.from);
    jump.to->entry(jump.to->arg);
    std::abort();
}

}  // namespace

Stack stack_take()
{
    std::vector<char*>& free = free_stacks();
    if (!free.empty()) {
        char* base = free.back();
        free.pop_back();
        return {base, kStackBytes};
    }
    static size_t made;
    void* p = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || (made++ < kGuardedMax && mprotect(p, kGuardBytes, PROT_NONE) != 0)) {
        std::perror("kapi/sim: no memory for a fiber's stack");
        std::abort();
    }
    return {static_cast<char*>(p) + kGuardBytes, kStackBytes};
}

void stack_give_back(Stack stack, [[maybe_unused]] bool dirty)
{
#ifdef SIM_ASAN
    size_t clean_bytes = dirty ? stack.bytes : 16384;
    __asan_unpoison_memory_region(stack.base + stack.bytes - clean_bytes, clean_bytes);
#endif
    free_stacks().push_back(stack.base);
}

void context_make(Context& context, Stack stack, void (*entry)(void*), void* arg)
{
    context.position = bc::make_fcontext(stack.base + stack.bytes, stack.bytes, first_entry);
    context.fake_stack = nullptr;
    context.bottom = stack.base;
    context.bytes = stack.bytes;
    context.entry = entry;
    context.arg = arg;
}

void context_switch(Context& from, Context& to, bool last)
{
    Jump jump{&from, &to};
    start_switch(from, to, last);
    bc::transfer_t t = bc::jump_fcontext(to.position, &jump);
    Jump back = *static_cast<Jump*>(t.data);
    back.from->position = t.fctx;
    finish_switch(from.fake_stack, *back.from);
}

}  // namespace lull::sim
