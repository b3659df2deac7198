/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The OSTs of the file system as the MDT knows them: asked from the MGS at the start, when it tells
 * of one that is not known here, and every kRefreshMs, so that a new OST is used without a restart.
 * One Osp for each, until the MDT ends. Those that were reached once are kept in
 * CONFIGS/<target>-osts, so that an MDT that is restarted while the MGS is down can create files at
 * once. One that never was, since it was added by mistake, say, gets no objects, so that nobody
 * waits for it. Nor does one get any before that is kept and the MGS knows, which removes no OST
 * that is in use.
 *
 * The MGS says, too, where an OST that has started runs (R5), and what an administrator has told
 * of it, which is kept in CONFIGS/<target>-set. One that was removed counts as not there: what it
 * had is gone.
 *
 * park(true), for a drain, lets nobody wait here and nothing be written.
 */
#pragma once
#include "mdt/layout_alloc.h"
#include "mdt/osp.h"
#include "target/target.h"

namespace lull {

class OstPool final : ImportClient, OspOwner {
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

    // Until an OST has been reached, now or in a former life: -kEPark while parked, -ENODEV with a
    // log line after kWaitKnownMs.
    Status wait_known();
    Status indices(Vec<uint32_t>* out);  // ascending, without those that were removed
    bool is_removed(uint32_t index);
    // Those that take new objects. If none does, those that are away: what is written waits for
    // them. If there is none of these, those that are full. None: nobody was ever reached, or an
    // administrator wants nothing new anywhere.
    Status for_new_objects(Vec<OstSpace>* out);
    Ref<Osp> find(uint32_t index);
    void show(TextSink& out);

private:
    struct State {
        Vec<Ref<Osp>> osts;  // by index
        Vec<uint32_t> removed;
        Ref<Import> mgc;
        bool stop = false, parked = false, kicked = false, saving = false;
        bool is_removed(uint32_t index) const;
    };
    void task();
    Status fetch();
    Result<Ref<Import>> connect_mgc();
    void drop_mgc();
    void kick();                                // asks the MGS now
    bool take_place(const TargetPlace& place);  // false: not one of the known OSTs
    void on_reached() override { kick(); }
    void on_full(const ConnectReply& reply, bool first) override;
    void on_callback(Opcode opcode, Decoder& body) override;
    Status add(const TargetConfig& ost, bool reached_before);
    NameText file_name() const;
    Status load();
    Status save();
    template <class Record> Status read_record(const NameText& name, Record* out);
    template <class Record> Status write_record(const NameText& name, Record& record);
    NameText settings_name() const;
    Status fetch_settings(Import& mgc);
    void apply_settings();
    Status note_removed();
    Status reached(Vec<Ref<Osp>>* out);
    Status admit(Import& mgc);
    Status tell_used(Import& mgc, const Vec<Ref<Osp>>& used);
    bool any_admitted(const State& s) const;

    Target& target_;
    Guarded<State> state_{LockRank::kLeaf};
    CondVar changed_;
    Task task_;
    // of the task
    size_t saved_ = 0;  // OSTs in the file
    MgsSettingsReply settings_;
};

}  // namespace lull
