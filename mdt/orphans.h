/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects left behind on OSTs: a client wrote to the objects of a file it had created, and then the
 * file was lost, because the MDT crashed before it was committed and the client did not come back
 * to replay it. MDT and OSTs agree after each recovery:
 *
 *   - Serials of objects are handed out inside the transaction that makes the file. While the MDT
 *     runs, floor_ follows: all files with serials below it are committed. It is kept on disk.
 *   - After a crash the serials from the floor to the last one handed out are in doubt. When
 *     recovery is over nobody can replay a create any more: each OST is asked which objects of
 *     these serials it has and whose they are; those of a file that does not exist, or has other
 *     objects, are destroyed.
 *   - A client that was evicted may not have noticed yet, and write back what it has cached: all of
 *     it is done again after kSecondRoundMs. Then the doubt is over. Until then it survives further
 *     crashes.
 *
 * An object that does not say whose it is was not completed, or is being made just now: it is left
 * alone in the first round, and if there is data in it for good.
 *
 * One background task. While parked (drain) it starts nothing and changes nothing in the store.
 */
#pragma once
#include "mdt/identities.h"
#include "mdt/ost_pool.h"

namespace lull {

class Orphans {
public:
    static constexpr uint64_t kSecondRoundMs = 180000;
    // an OST could not be reached, or has not committed yet
    static constexpr uint64_t kRetryMs = 2000;

    Orphans(Target& target, Identities& identities, OstPool& osts)
        : target_(target), identities_(identities), osts_(osts)
    {}
    ~Orphans() { LULL_ASSERT(!task_.started()); }
    Status start();  // after Identities::load(): what was handed out before now may be in doubt
    void stop();     // joins; OstPool::close() must have been called
    void recovery_done();  // nobody can replay any more. Again: fine
    void park(bool on);
    void on_committed();
    void show(TextSink& out) const;

private:
    struct Record {
        uint64_t from = 0, to = 0;  // in doubt
        uint64_t floor = 1;         // in doubt after the next crash: from here on
        template <class Io> void io(Io& x)
        {
            x.u64(from);
            x.u64(to);
            x.u64(floor);
        }
    };
    struct Ost {
        uint32_t index = 0;
        unsigned rounds = 0;  // done
        bool listed = false;  // all of this round; waits for the OST's commit
        uint32_t bucket = 0;
        uint64_t cookie = 0;
        uint64_t transno = 0, epoch = 0;
    };
    struct State {
        Record record;
        bool ready = false, stop = false, parked = false, in_store = false;
        uint64_t second_round_ns = 0;
        // the floor may rise to the one when the other is committed
        uint64_t mark_serial = 0, mark_transno = 0;
        uint64_t removed = 0;
    };
    enum class Verdict { kOwned, kOrphan };

    void task();
    void advance_floor();
    uint64_t look_for_orphans();  // when to look again
    Status visit(Ost& ost, Osp& osp, bool* more);
    Result<Verdict> judge(const Ost& ost, const OstListEntry& entry, unsigned round);
    Status destroy(Ost& ost, Osp& osp, Vec<OstFid>& objects);
    Result<Ost*> known(uint32_t index);
    void settle();
    Status save(const Record& record);
    bool enter_store();
    void leave_store();

    Target& target_;
    Identities& identities_;
    OstPool& osts_;
    mutable Guarded<State> state_{LockRank::kLeaf};
    CondVar changed_;
    Vec<Ost> visited_;  // the task's own
    Task task_;
};

}  // namespace lull
