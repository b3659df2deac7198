// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale [CLIENTS…]   prints what a controlled shutdown and restart of one target costs with so many
 *                    clients (1000 and 10000 unless told)
 * scale --herd …     the same, and the clients do not follow the server's hint: what it spares
 */
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/sim/scale.h"

using namespace lull::sim;

int main(int argc, char** argv)
{
    testing::InitGoogleTest();
    ScaleOptions o;
    std::vector<size_t> sizes;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--herd")) o.spread = false;
        else sizes.push_back(strtoull(argv[i], nullptr, 10));
    }
    if (sizes.empty()) sizes = {1000, 10000};
    printf(
        "A controlled shutdown and restart of one OST.\n"
        "Real: the server, all of it (lnet, ptlrpc, ldlm, target, ofd, osd), and every message "
        "on the wire. Simulated: network (50-500 us),\n"
        "disk (0.5 ms a sync), one schedule; 2 us pass at each look at the clock, which stands "
        "for the server's work. Light: the clients\n"
        "(a connection, the active lock, pings; nothing cached, so the warm-up and the drain "
        "have nothing to write).\n");
    bool ok = true;
    for (size_t n : sizes) {
        o.clients = n;
        fflush(stdout);
        pid_t child = fork();  // each begins with fresh memory
        if (child == 0) {
            ScaleResult r = run_scale(o);
            print_scale(r);
            _exit(r.ok && !testing::Test::HasFailure() ? 0 : 1);
        }
        int status = 1;
        waitpid(child, &status, 0);
        ok &= status == 0;
    }
    return ok ? 0 : 1;
}
