/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The OSTs of the file system as the MDT knows them: asked from the MGS at the start, when it tells
 * of one that is not known here, and every kRefreshMs, so that a new OST is used without a restart.
 * One Osp for each, for good. What the MGS said is kept in CONFIGS/<target>-osts, so that an MDT
 * that is restarted while the MGS is down can create files at once.
 *
 * The MGS says, too, where an OST that has started runs (R5).
 *
 * park(true), for a drain, lets nobody wait here and nothing be written.
 */
#pragma once
#include "mdt/osp.h"
#include "target/target.h"

namespace lull {

class OstPool final : ImportClient {
public:
    static constexpr uint64_t kRefreshMs = 10000;      // when some are known
    static constexpr uint64_t kFirstRefreshMs = 1000;  // until then
    static constexpr uint64_t kFetchMs = 10000;        // deadline of one attempt to reach the MGS
    static constexpr uint64_t kWaitKnownMs = 5000;  // of a create that comes before the first OST
    static constexpr size_t kOstsMax = 1024;

    explicit OstPool(Target& target) : target_(target) {}
    virtual ~OstPool();
    Status start();  // -EPROTO: what was kept is not understood
    void close();    // ends everything, calls of Osp::destroy() included
    void park(bool on);

    // Until an OST is known: -kEPark while parked, -ENODEV with a log line after kWaitKnownMs.
    Status wait_known();
    Status indices(Vec<uint32_t>* out);  // ascending
    // Those that take new objects; all, if none does.
    Status for_new_objects(Vec<uint32_t>* out);
    Ref<Osp> find(uint32_t index);
    void show(TextSink& out);

private:
    struct State {
        Vec<Ref<Osp>> osts;  // by index
        Ref<Import> mgc;
        bool stop = false, parked = false, kicked = false, saving = false;
    };
    void task();
    Status fetch();
    Result<Ref<Import>> connect_mgc();
    void drop_mgc();
    void kick();                                // asks the MGS now
    bool take_place(const TargetPlace& place);  // false: not one of the known OSTs
    void on_full(const ConnectReply& reply, bool first) override;
    void on_callback(Opcode opcode, Decoder& body) override;
    Status add(const TargetConfig& ost, bool* fresh);
    NameText file_name() const;
    Status load();
    Status save(MgsConfigReply& known);

    Target& target_;
    Guarded<State> state_{LockRank::kLeaf};
    CondVar changed_;
    Task task_;
};

}  // namespace lull
