// SPDX-License-Identifier: GPL-2.0-only
#include "ldlm/client_impl.h"

namespace lull {

Result<Owned<LdlmClient>> LdlmClient::create(Node& node, Import& import, LdlmClientOwner& owner)
{
    auto client = make<LdlmClientImpl>(node, import, owner);
    if (!client) return -kENOMEM;
    return Owned<LdlmClient>(std::move(client));
}

// The import is closed by now: whatever still ran has failed.
LdlmClientImpl::~LdlmClientImpl()
{
    shutdown();
    auto s = state.lock();
    auto idle = [&] { return s->by_handle.empty() && s->busy_workers == 0 && s->late == 0; };
    while (!s.wait_until(changed, idle, deadline_after_ms(10000)).ok())
        log_warn("%s: still %zu locks in use", import.options().target.c_str(),
                 s->by_handle.size());
}

void LdlmClientImpl::shutdown()
{
    if (!state.lock()->closing && import.state() == ImportState::kFull)
        if (Status s = flush_all(deadline_after_ms(kUnmountFlushMs)); !s.ok())
            log_warn("%s: locks could not be given back (%d)", import.options().target.c_str(),
                     s.error());
    state.lock()->closing = true;
    drop_all();
}

size_t LdlmClientImpl::lock_count() const { return state.lock()->by_handle.size(); }
uint32_t LdlmClientImpl::lru_size() const { return state.lock()->lru_limit; }

void LdlmClientImpl::set_lru_size(uint32_t n)
{
    auto s = state.lock();
    s->lru_limit = n;
    trim_lru_locked(*s);
}

}  // namespace lull
