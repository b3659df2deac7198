// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <initializer_list>

namespace lull::upgrade {
namespace {

constexpr int kDeadly = 3;
volatile sig_atomic_t count = 0;
sig_atomic_t forgiven = 0;

void on_signal(int number)
{
    count = count + 1;
    if (count >= kDeadly) {
        signal(number, SIG_DFL);
        raise(number);
    }
    const char* text =
        count == 1 ? "lull: interrupted: it stops as soon as all is served; once more ends what it "
                     "waits for, too\n"
                   : "lull: interrupted again\n";
    (void)!write(STDERR_FILENO, text, strlen(text));
}

}  // namespace

void catch_interrupts()
{
    struct sigaction action = {};
    action.sa_handler = on_signal;
    for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);  // the terminal may be gone
}

unsigned interrupts() { return static_cast<unsigned>(count); }

Unhurried::Unhurried() { forgiven = count; }
Unhurried::~Unhurried() { forgiven = 0; }
unsigned Unhurried::new_interrupts() { return static_cast<unsigned>(count - forgiven); }

}  // namespace lull::upgrade
