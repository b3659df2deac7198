/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ^C, a lost terminal, SIGTERM. The first asks for an end in good order: nothing new is begun,
 * what is down is brought back. The second ends the command that is waited for, and what is down is
 * told. The third is as deadly as ever.
 */
#pragma once

namespace lull::upgrade {

void catch_interrupts();
unsigned interrupts();  // so many have come

// For its time, commands run to their end, whatever had come before.
class Unhurried {
public:
    Unhurried();
    ~Unhurried();
    static unsigned new_interrupts();  // since then
};

}  // namespace lull::upgrade
