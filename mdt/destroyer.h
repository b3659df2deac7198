/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Destroys files that have no name and no open any more (the store's PENDING): first their objects
 * on the OSTs, then themselves.
 *
 *   queued      unlink or last close not committed: a crash could bring the file back  → wait
 *   ready       nobody may open it from here on; OstDestroy to each OST of its layout   → sent;
 *               an OST is away: again later
 *   sent        an OST has not committed the destroy; evicted meanwhile: ready again    → wait
 *   done        the store forgets it; after a crash in between all is done again, which is harmless
 *
 * One background task. While parked (drain) it starts nothing and changes nothing in the store:
 * what is left stays in PENDING and is found at the next start. park() waits for one step of the
 * store at most, never for an OST (B3).
 */
#pragma once
#include "mdt/identities.h"
#include "mdt/open_table.h"
#include "mdt/ost_pool.h"

namespace lull {

class Destroyer {
public:
    static constexpr size_t kBatch = 128;
    // more is found again by a scan of PENDING when the queue is empty
    static constexpr size_t kQueueMax = 64 * 1024;
    static constexpr uint64_t kTickMs = 1000;   // while there is something to do
    static constexpr uint64_t kRetryMs = 2000;  // an OST could not be reached

    Destroyer(Target& target, OpenTable& opens, OstPool& osts, Identities& identities)
        : target_(target), opens_(opens), osts_(osts), identities_(identities)
    {}
    ~Destroyer();
    Status start();
    void stop();  // joins; OstPool::close() must have been called
    void park(bool on);
    // The object lost its last name or open in transaction transno.
    void add(const Fid& fid, uint64_t transno);
    void scan();  // look through PENDING: recovery is over
    void on_committed();
    size_t pending() const;

private:
    struct Sent {
        uint32_t index = 0;
        uint64_t transno = 0, epoch = 0;
        bool failed = false;
    };
    struct Item {
        ListHook hook;
        Fid fid;
        uint64_t transno = 0;  // must be committed here
        uint64_t not_before_ns = 0;
        // it is this item that destroys the file: a scan and a close may both have found it
        bool begun = false;
        bool sent = false;
        Vec<Sent> osts;
    };
    using Items = List<Item, &Item::hook>;
    struct State {
        Items items;
        bool stop = false, parked = false, in_store = false, rescan = false;
    };
    struct Group {
        uint32_t index = 0;
        Vec<OstFid> objects;
    };
    enum class Next { kDone, kSend, kLater };

    void task();
    bool pass();  // false: nothing was ready
    void take_ready(Items& into);
    void put_back(Items& items);
    void do_scan();
    Next prepare(Item& item, Vec<Group>& groups);
    Status read_stripes(Item& item, Vec<Group>& groups);
    void send(Items& items, Group& group);
    bool is_committed(Item& item);
    Status finish(Item& item);
    bool enter_store();
    void leave_store();
    static void free_item(Item* item);

    Target& target_;
    OpenTable& opens_;
    OstPool& osts_;
    Identities& identities_;
    mutable Guarded<State> state_{LockRank::kLeaf};
    CondVar changed_;
    Task task_;
};

}  // namespace lull
