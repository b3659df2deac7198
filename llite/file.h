/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An open file: the open request, kept for replay until the close (S8), and the MDT's generation it
 * belongs to. An eviction by the MDT makes it dead: I/O through it fails with -EIO, its close is
 * silent (A7). An eviction by an OST may lose what was written: what is read afterwards is older,
 * and a file that was open then knows of it until fsync has told its owner. Behind llc_file.
 */
#pragma once
#include "llite/mount.h"

namespace lull {

class File {
public:
    // A file that exists.
    static Result<Owned<File>> open(Inode& inode, uint32_t flags);
    // Lookup, create and open. *file stays empty when the name is of something that is not opened
    // this way (a symbolic link, a device).
    static Status open_name(Inode& dir, Str name, const struct llc_create& how, uint32_t flags,
                            Ref<Inode>* inode, Owned<File>* file, bool* created);
    // Never waits at a gate: left to the Closer if that is not open.
    static Status close(Owned<File> file);
    // A lock of its file. Of one that the MDT's eviction has made void: -EIO, except that it can be
    // unlocked.
    Status flock(const FlockRange& range, bool wait);
    bool has_lost_data() const { return losses_.load() != inode_->losses(); }
    void loss_was_told() { losses_.store(inode_->losses()); }
    File(Inode& inode, Ref<Call<MdsOpenOp>> open);
    ~File() { LULL_ASSERT(!open_); }

private:
    friend class Closer;
    Status send_close(WaitMode wait);  // with the gate held
    void abandon();                    // the open is void, or the connection will end it
    bool is_dead() const { return generation_ != mount_.mdt_generation(); }

    Mount& mount_;
    Ref<Inode> inode_;
    Ref<Call<MdsOpenOp>> open_;
    const uint64_t generation_;
    std::atomic<uint32_t> losses_;  // of its inode that its owner knows of
    File* next_ = nullptr;          // Closer's queue
};

}  // namespace lull
