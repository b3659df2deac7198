// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/osp.h"

#include "kapi/log.h"

namespace lull {

namespace {

constexpr uint64_t kConnectTryMs = 60000;
constexpr uint64_t kReachMs = 10000;         // of our life, until one that is not reached is away
constexpr uint64_t kNeverReachedMs = 10000;  // of one that is new, until the log says so
constexpr uint64_t kLookMs = 10000;          // between two looks at its space
constexpr uint64_t kLookAgainMs = 500;
// Below this part of its space it is nearly full, as Lustre's reserved_mb_low; and so it stays
// until it has twice as much.
constexpr uint64_t kReservedPart = 1000, kReservedBytes = 1u << 20, kReservedFiles = 32;

Status show_import(void* object, TextSink& out)
{
    static_cast<Osp*>(object)->describe(out);
    return out.status();
}
Status show_timeouts(void* object, TextSink& out)
{
    static_cast<Osp*>(object)->import().describe_timeouts(out);
    return out.status();
}
Status store_recover(void* object, Str value)
{
    return recover_as_told(static_cast<Osp*>(object)->import(), value);
}
constexpr Param kParams[] = {
    {"import", show_import, nullptr},
    {"timeouts", show_timeouts, nullptr},
    {"import_recover", nullptr, store_recover},
};

}  // namespace

Result<Ref<Osp>> Osp::create(Node& node, const TargetConfig& ost, Str mdt_name, OspOwner& owner,
                             bool reached_before)
{
    Ref<Osp> osp = make_ref<Osp>(ost, owner, reached_before);
    if (!osp) return -kENOMEM;
    if (Status s = osp->start(node, mdt_name); !s.ok()) {
        osp->close();
        return s;
    }
    return osp;
}

Status Osp::start(Node& node, Str mdt_name)
{
    node_ = &node;
    ImportOptions options;
    options.target = config_.name;
    TRY(options.client_uuid.assign(mdt_name));
    options.connect_flags = kConnectMds | kConnectUpdateLock;
    TRY(parse_nids(config_.nids, &options.nids));
    import_ = TRY(Import::create(node, std::move(options), this));
    env_.attach(*import_, nullptr);
    active_ = TRY(ActiveLock::create(env_, import_->options().target.c_str()));
    auto name = text_format<64>("%s-osc-%.*s", config_.name.c_str(), STR_ARG(mdt_name));
    device_ = make<Device>("osp", name, std::span<const Param>(kParams), static_cast<void*>(this));
    if (!device_) return -kENOMEM;
    TRY(node.add_device(*device_));
    task_name_ = text_format<40>("osp_%04x", index_);
    return connect_task_.start<&Osp::connect_task>(this, task_name_.c_str());
}

Osp::~Osp() { LULL_ASSERT(!connect_task_.started()); }

void Osp::close()
{
    if (closing_.exchange(true)) return;
    state_.lock()->closed = true;
    changed_.wake_all();
    if (import_) import_->close();
    if (active_) active_->shutdown();
    connect_task_.join();
    if (device_) {
        node_->remove_device(*device_);
        device_.reset();
    }
}

// Until the first connection: a call of connect() ends after a while, the import itself never gives
// up. Then it keeps an eye on the space there.
void Osp::connect_task()
{
    bool connected = false;
    while (!closing_) {
        if (!connected)
            connected =
                import_->connect(deadline_after_ms(kConnectTryMs), WaitMode::kUninterruptible).ok();
        bool looked = connected && look_at_space().ok();
        auto s = state_.lock();
        (void)s.wait_until(
            changed_, [&] { return s->closed || s->look; },
            deadline_after_ms(looked ? kLookMs : kLookAgainMs));
        s->look = false;
    }
}

Status Osp::look_at_space()
{
    auto call = make_ref<Call<OstStatfsOp>>();
    if (!call) return -kENOMEM;
    if (!is_connected()) return -kENOTCONN;
    call->try_gate = call->gives_way = true;
    TRY(import_->call(*call));
    const StatfsReply& space = call->reply;
    uint64_t part = space.total_bytes / kReservedPart;
    uint64_t reserved = part > kReservedBytes ? part : kReservedBytes;
    uint64_t times = nearly_full_ ? 2 : 1;
    bool is_full = space.avail_bytes < times * reserved ||
                   (space.files && space.free_files < times * kReservedFiles);
    avail_bytes_ = space.avail_bytes;
    if (nearly_full_.exchange(is_full) != is_full)
        log_notice("%s: %s", config_.name.c_str(),
                   is_full ? "nearly full, new files go to other OSTs" : "has space again");
    return kOk;
}

void Osp::warn_if_never_reached()
{
    if (known_ || !import_->is_active() || now_ns() < began_ns_ + kNeverReachedMs * kMsec ||
        warned_.exchange(true))
        return;
    log_warn(
        "%s: %s is registered, and cannot be reached at %s: it gets no files; lctl del_ost %s "
        "on the MGS takes it out",
        import_->options().client_uuid.c_str(), config_.name.c_str(), config_.nids.c_str(),
        config_.name.c_str());
}

void Osp::apply(const TargetSettings& settings)
{
    creates_ = settings.is_active() && settings.max_create_count > 0;
    import_->set_active(settings.is_active());
}

bool Osp::may_run_at(Nid nid) const { return is_among(nid, import_->options().nids); }

Osp::Standing Osp::standing() const
{
    if (!creates_) return Standing::kOff;
    if (!admitted_) return Standing::kUnknown;
    if (!is_connected()) {
        bool just_began = !reached_ && now_ns() < began_ns_ + kReachMs * kMsec;
        return just_began ? Standing::kReady : Standing::kAway;
    }
    if (nearly_full_) return Standing::kFull;
    return import_->gate().state() == Gate::State::kOpen ? Standing::kReady : Standing::kAway;
}

Status Osp::destroy(std::span<const OstFid> objects, uint64_t* transno)
{
    if (!is_connected()) return -kEPark;
    auto call = make_ref<Call<OstDestroyOp>>();
    if (!call) return -kENOMEM;
    TRY(call->op.objects.assign(objects.data(), objects.size()));
    call->try_gate = true;
    TRY(import_->call(*call));
    *transno = call->transno;
    return kOk;
}

Status Osp::list(const OstListOp& from, OstListReply* out)
{
    if (!is_connected()) return -kEPark;
    auto call = make_ref<Call<OstListOp>>();
    if (!call) return -kENOMEM;
    call->op = from;
    call->try_gate = true;
    TRY(import_->call(*call));
    *out = std::move(call->reply);
    return kOk;
}

void Osp::describe(TextSink& out) const
{
    import_->describe(out);
    constexpr const char* kWords[] = {"yes", "no, away", "no, nearly full", "no, never reached",
                                      "no, as an administrator wants"};
    out.printf("active_lock: %s\nnew_objects: %s\navail_bytes: %llu\n", to_string(active_->state()),
               kWords[static_cast<size_t>(standing())],
               static_cast<unsigned long long>(avail_bytes()));
}

void Osp::on_evicted() { active_->on_evicted(); }
void Osp::on_full(const ConnectReply& reply, bool first)
{
    reached_ = true;
    bool first_ever = !known_.exchange(true);
    active_->on_full(first, reply.flags & kConnectUpdateLock);
    state_.lock()->look = true;
    changed_.wake_all();
    if (first_ever) owner_.on_reached();
}
void Osp::on_parked() { active_->on_parked(); }

void Osp::on_callback(Opcode opcode, Decoder& body)
{
    if (opcode == Opcode::kActiveWarm) return import_->ping();  // it has nothing to write back
    if (opcode != Opcode::kLdlmBlAst) return;
    LdlmBlAst ast;
    ast.io(body);
    if (body.finish().ok() && ActiveEnv::is_active(ast)) active_->on_bl_ast(ast.server_handle);
}

}  // namespace lull
