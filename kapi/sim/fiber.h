// SPDX-License-Identifier: GPL-2.0-only
// Stacks and switches between them, known to AddressSanitizer.
#pragma once
#include <cstddef>

namespace lull::sim {

struct Stack {
    char* base = nullptr;  // lowest usable byte; a guard page lies below
    size_t bytes = 0;
};
Stack stack_take();
// dirty: frames were abandoned on it (a crashed host).
void stack_give_back(Stack stack, bool dirty);

// A place execution can return to. The scheduler's own context has no stack of ours.
struct Context {
    void* position = nullptr;
    void* fake_stack = nullptr;
    const void* bottom = nullptr;
    size_t bytes = 0;
    void (*entry)(void*) = nullptr;
    void* arg = nullptr;
};
// entry(arg) must never return: it ends by context_switch(…, last = true).
void context_make(Context& context, Stack stack, void (*entry)(void*), void* arg);
void context_switch(Context& from, Context& to, bool last = false);

}  // namespace lull::sim
