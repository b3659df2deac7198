/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One object of the file system as a client knows it: attributes and how far they may be believed,
 * the layout, what is known of the size under extent locks, and the host's inode bound to it.
 * Behind llc_inode of llite_port.h. One per FID and mount, counted.
 *
 * Attributes are valid while a PR ibits lock is held. Our own operations do not revoke our own
 * locks; their replies carry fresh attributes, but replies may overtake each other. So every own
 * change is announced (OwnChange), and attributes from a reply are believed only when nothing else
 * happened to the object between request and reply: every event takes a number from the mount's
 * change counter.
 *
 * Sizes: every extent lock of llite reaches to the end of the object, so while one is held nobody
 * else moves the end; StripeInfo starts with the lock value block of the grant and follows our own
 * writes and truncations.
 *
 * Times of a regular file: ctime is the MDT's, mtime the MDT's or an object's. An object's mtime
 * that differs from the MDT's comes from a write. If it is later than the MDT's ctime it is newer
 * than every setattr and wins; else the greater one does.
 *
 * Locking: state_ (LliteInode). Never call the host, except llp_get, or send anything with it held.
 * Requirements: invariant 9, A6, B3.
 */
#pragma once
#include "include/lull/ops_mds.h"
#include "include/lull/ops_ost.h"
#include "ldlm/client.h"
#include "llite/llite_port.h"
#include "llite/stripe.h"

namespace lull {

class Mount;
class Osc;
struct IoScope;

// Times as they are on the wire: one before 1970 is the two's complement.
inline bool is_later(uint64_t a, uint64_t b)
{
    return static_cast<int64_t>(a) > static_cast<int64_t>(b);
}
inline uint64_t later(uint64_t a, uint64_t b) { return is_later(a, b) ? a : b; }

inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint32_t kTypeMask = 0170000, kTypeDir = 0040000, kTypeFile = 0100000,
                          kTypeLink = 0120000, kTypeChar = 0020000, kTypeBlock = 0060000,
                          kTypeFifo = 0010000, kTypeSocket = 0140000;

class Inode final : public RefCounted {
public:
    struct Stripe {
        struct FidOf {
            using type = Fid;
            const Fid& operator()(const Stripe& s) const { return s.fid; }
        };
        SetHook hook;  // Mount's table of objects
        Inode* inode = nullptr;
        uint32_t index = 0;
        Fid fid;
        Osc* osc = nullptr;
    };
    struct FileLayout {  // never changes once set
        Striping striping;
        Vec<Stripe> stripes;
        Vec<Gate*> gates;  // of its OSTs, each once
        // No OST stores more of it: a write or truncate beyond is -EFBIG, and changes nothing.
        uint64_t max_bytes() const
        {
            uint64_t most = striping.max_file_size(kObjectMaxBytes);
            return most < INT64_MAX ? most : INT64_MAX;
        }
        GatesHeld held() const { return gates.size() > 1 ? GatesHeld::kSeveral : GatesHeld::kThis; }
        std::span<Gate* const> all_gates() const { return {gates.data(), gates.size()}; }
        Status add_gate(Gate* gate);
    };
    struct FidOf {
        using type = Fid;
        const Fid& operator()(const Inode& i) const { return i.fid; }
    };

    Inode(Mount& mount, const Fid& fid) : mount(mount), fid(fid), state_(LockRank::kLliteInode) {}
    ~Inode() override;

    Mount& mount;
    const Fid fid;
    SetHook table_hook;
    uint64_t number() const { return fid.flatten(); }
    bool is_file() { return (state_.lock()->attr.mode & kTypeMask) == kTypeFile; }

    // ---- attributes (attr.cc)
    // What an answer said of it. asked_at: the mount's change counter before the question; use: the
    // lock it was given under, if any. -ESTALE: of an object of another type, which no FID becomes
    // (nor does a device become another one); -EPROTO: of another object. Nothing is changed then.
    Status adopt(const MdsGetattrReply& reply, const LockUse& use, uint64_t asked_at);
    Status check(const MdsGetattrReply& reply);  // the same, and nothing is done
    Status revalidate(bool size_too);
    Status dir_epoch(bool acquire, uint64_t* epoch);
    void fill(llc_attr* out);
    Status setattr(const llc_attr& to, uint32_t valid);
    // Waits for what killed callers have left under way, outside of all gates: what is asked of
    // the object after their death comes after what they asked for. -ERESTARTSYS.
    Status settle(WaitMode wait = WaitMode::kInterruptible);
    void inode_lock_lost();
    void mdt_evicted();
    // The MDT does not know the object any more, and never will: FIDs do not come back. What was
    // known of it stays, with no name left, as of what is removed on this client while in use.
    bool is_gone() { return state_.lock()->gone; }
    // What the reply to the removal of a name says of the object (kAttrUnused).
    void name_removed(const Attr& left);

    // ---- layout
    Result<FileLayout*> layout();  // asks the MDT when it is not known; -EIO when there is none
    FileLayout* known_layout() const { return layout_.load(); }
    // kKnown: -ENODEV when it names an OST that this client does not know yet. To get to know it
    // takes as long as MGS and OST take to answer, so that no gate may be held (B3).
    enum class Osts : uint8_t { kKnown, kAny };
    Status adopt_layout(const Layout& layout, Osts osts);

    // ---- host
    void bind(llp_inode* host);
    // A reference to the host's inode; null: none, or an umount has begun.
    class Host {
    public:
        explicit Host(Inode& inode);
        Host(const Host&) = delete;
        ~Host();
        llp_inode* get() const { return host_; }
        explicit operator bool() const { return host_ != nullptr; }

    private:
        Mount& mount_;
        llp_inode* host_ = nullptr;
    };

    // ---- open files (file.cc)
    void file_opened() { state_.lock()->files++; }
    void file_closed(bool dead);
    bool all_files_dead();

    // ---- data (io.cc, data.cc)
    Status begin_io(uint64_t pos, LockMode mode, WaitMode wait, IoScope* scope);
    bool end_io(IoScope& scope);
    uint64_t size();
    bool reserve_page(uint64_t index);
    void unreserve_page(uint64_t index);
    uint64_t last_page_beside(uint64_t index);
    void wrote(uint64_t pos, uint64_t bytes);
    Result<uint64_t> read(uint64_t pos, void* into, size_t bytes);  // inside a scope
    Status write(uint64_t pos, const void* from, size_t bytes, uint32_t granted_pages,
                 Holder* holder = nullptr);
    // true: the scope is to end
    Result<bool> write_through(uint64_t pos, const void* from, size_t bytes, IoScope* scope);
    Status fsync(bool data_only);
    Status bring_grant(uint64_t pos, uint64_t bytes, WaitMode mode);  // the caller is in no scope
    Status bring_grant(Osc& osc, uint64_t bytes, WaitMode mode);
    void write_back(uint32_t ost_index);  // what is dirty there; the host keeps errors
    // What was written and acknowledged, and was never stored.
    void data_lost() { losses_.fetch_add(1); }
    uint32_t losses() const { return losses_.load(); }
    void extent_lost(uint32_t stripe, uint64_t start, uint64_t end, bool discard);

private:
    friend class OwnChange;
    struct StripeInfo {
        bool valid = false;  // an extent lock is held
        uint64_t size = 0, blocks_512 = 0, mtime_ns = 0;
    };
    struct State {
        Attr attr;                // of the MDT, as last heard
        bool valid = false;       // a lock covers it
        uint64_t changed_at = 0;  // change counter at the last event
        uint32_t changes = 0;     // own modifications under way
        uint64_t dir_epoch = 0;
        llp_inode* host = nullptr;
        Vec<StripeInfo> stripes;  // as many as the layout's
        bool unused = false;      // see llc_attr
        bool gone = false;
        uint64_t dirty_pages = 0;
        uint32_t writing = 0;  // writes on their way to OSTs
        uint32_t files = 0, dead_files = 0;
        Vec<Ref<Request>> unsettled;  // changes of it that go on without their callers
    };
    using Access = Guarded<State>::Access;

    static bool is_same_kind(const Attr& known, const Attr& said);
    bool match_inode_lock(LockUse* use);
    Status refresh();
    Status refresh_under_lock(Status* adopted);
    Status refresh_by_intent(Status* adopted);
    Status note_gone();
    void leave_unsettled(Request& change);
    Status enter_stripes(FileLayout& layout, uint64_t pos, LockMode mode, WaitMode wait,
                         IoScope* scope);
    Status enter_to_change(FileLayout& layout, uint64_t pos, WaitMode wait, IoScope* scope);
    Status wait_written(FileLayout& layout);
    Result<bool> lock_stripes(FileLayout& layout, uint64_t pos, LockMode mode, IoScope* scope);
    Result<bool> lock_stripe(FileLayout& layout, Stripe& stripe, uint64_t page, LockMode mode,
                             IoScope* scope);
    bool match_stripes(FileLayout& layout, LockMode mode, IoScope* scope);
    Status note_lock(Stripe& stripe, const ClientLock& lock, bool fresh, GatesHeld gates);
    void learn(uint32_t stripe, const Lvb& lvb, bool fresh);
    Status lock_for_stat(FileLayout& layout);
    uint64_t size_of(State& state);
    void fill_file(State& state, llc_attr* out);
    Status setattr_mdt(const Attr& attr, WaitMode wait);
    Status setattr_gone(const Attr& to);
    bool concerns_objects(const Attr& to, uint32_t valid);
    Status setattr_objects(FileLayout& layout, const Attr& to);
    Status truncate(FileLayout& layout, const Attr& to, WaitMode wait, bool* punched);
    void find_changes(FileLayout& layout, uint64_t size, Vec<uint8_t>& changes);
    void resize_known(FileLayout& layout, uint64_t size, const Vec<uint8_t>& changes);
    Result<uint32_t> read_stripe(Stripe& stripe, GatesHeld gates, uint64_t offset, uint8_t* into,
                                 size_t bytes);
    uint64_t cover_start(Stripe& stripe, LockMode mode);
    void forget_size(Stripe& stripe, bool discard);
    void drop_pages(llp_inode* host, uint64_t start, uint64_t end, bool discard);
    template <class Fn>
    void for_each_range(FileLayout& layout, llp_inode* host, uint32_t stripe, uint64_t start,
                        uint64_t end, Fn fn);

    Guarded<State> state_;
    CondVar written_;                           // state_.writing is 0
    std::atomic<FileLayout*> layout_{nullptr};  // owned
    std::atomic<uint32_t> given_up_{0};         // reads that gave way (B3)
    std::atomic<uint32_t> losses_{0};
};

// One modification of an object by this client, from before its request to after its reply. Not
// told how it ended: attributes become unknown; and if the request goes on without its caller, the
// object is unsettled until it is answered.
class OwnChange {
public:
    explicit OwnChange(Inode* inode, Request* request = nullptr);  // null: nothing
    OwnChange(const OwnChange&) = delete;
    ~OwnChange();
    void is_made_by(Request& request) { request_ = Ref<Request>(&request); }
    // -ESTALE: what is said of it is not to be believed (Inode::adopt), and was not.
    Status done(const Attr& fresh);
    void unchanged();  // the server left it as it was

private:
    void finish(const Attr* fresh);
    Inode* inode_;
    Ref<Request> request_;
    uint64_t began_at_ = 0;
};

}  // namespace lull
