// SPDX-License-Identifier: GPL-2.0-only
#include "osd/sim/disk.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "kapi/backing_fs.h"
#include "kapi/errno.h"
#include "osd/sim/kbfs_types.h"

namespace lull::sim {
namespace {

constexpr uint64_t kSectorBytes = 512;

}  // namespace

Disk::Disk(World& world, std::string name, uint64_t bytes)
    : world_(world), name_(std::move(name)), bytes_(bytes), tear_rng_(world.disk_rng().fork(1))
{}

Disk::~Disk()
{
    delete mounted_;
    for (kbfs* fs : abandoned_) delete fs;
}

Disk& make_disk(World& world, const std::string& name, uint64_t bytes)
{
    auto disk = std::make_unique<Disk>(world, name, bytes);
    Disk& d = *disk;
    world.adopt(std::move(disk));
    return d;
}

void Disk::crash_at_step(uint64_t n, CrashNet net)
{
    crash_in_ = n;
    crash_net_ = net;
}

void Disk::fail_at_step(uint64_t n, int negative_errno, bool sticky)
{
    fail_in_ = n;
    fail_error_ = negative_errno;
    fail_sticky_ = sticky;
}

int Disk::mount(Host& host, bool read_only, kbfs** out)
{
    world_.point();
    if (owner_) return -kEBUSY;
    if (host.allocation_fails()) return -kENOMEM;
    owner_ = &host;
    broken_ = false;
    mounted_ = new kbfs{this, &host, read_only, {}, nullptr};
    *out = mounted_;
    if (world_.tracing()) world_.trace("mounts %s", name_.c_str());
    return 0;
}

void Disk::unmount(kbfs* fs)
{
    world_.point();
    if (fs->fenced()) {
        std::erase(abandoned_, fs);
        delete fs;
        return;
    }
    if (fs != mounted_) return world_.fail("unmount of " + name_ + ", which is not mounted so");
    if (!fs->nodes.empty())
        return world_.fail("unmount of " + name_ + " with " + std::to_string(fs->nodes.size()) +
                           " nodes in use");
    if (!broken_) make_durable(log_.size());
    lost_.emplace_back(log_start_, end());
    log_start_ += log_.size();
    log_.clear();
    if (broken_) live_ = durable_;
    owner_ = nullptr;
    mounted_ = nullptr;
    delete fs;
    if (world_.tracing()) world_.trace("unmounts %s", name_.c_str());
}

int Disk::sync(kbfs& fs)
{
    uint64_t end = log_start_ + log_.size();
    if (world_.tracing()) world_.trace("%s: sync of %zu steps", name_.c_str(), log_.size());
    if (sync_ns_)
        world_.sleep_until(world_.now_ns() +
                           world_.disk_rng().between(sync_ns_ / 2, sync_ns_ + sync_ns_ / 2));
    else world_.point();
    if (fs.fenced()) return fs.aborted = true, -kEIO;
    if (int error = std::exchange(sync_error_, 0)) return error;
    if (broken_) return -kEIO;
    if (end > log_start_) make_durable(end - log_start_);
    syncs_++;
    world_.point();
    return 0;
}

void Disk::make_durable(size_t count)
{
    for (; count && !log_.empty(); count--) {
        durable_.apply(log_.front());
        log_.pop_front();
        log_start_++;
    }
}

int Disk::before_step(const kbfs& fs, bool grows)
{
    if (step_ns_) world_.sleep_until(world_.now_ns() + step_ns_);
    world_.point();
    if (fs.fenced()) return fs.aborted ? -kEROFS : 0;
    if (mounted_ && mounted_->read_only) return -kEROFS;
    if (broken_) return -kEROFS;
    if (fail_in_ && --fail_in_ == 0) {
        broken_ = fail_sticky_;
        return fail_error_;
    }
    return grows && full_ ? -kENOSPC : 0;
}

void Disk::step(kbfs& fs, Op op)
{
    op.now_ns = kapi_realtime_ns();
    if (fs.fenced()) return fs.own->apply(op);
    live_.apply(op);
    if (world_.tracing())
        world_.trace("%s: step %llu kind %d ino %llu %s", name_.c_str(),
                     static_cast<unsigned long long>(steps_ + 1), op.kind,
                     static_cast<unsigned long long>(op.ino), op.name.c_str());
    world_.mix(op.ino ^ (static_cast<uint64_t>(op.kind) << 56));
    log_.push_back(std::move(op));
    steps_++;
    if (on_step) on_step();
    if (crash_in_ && --crash_in_ == 0) {
        exact_cut_ = true;
        owner_->crash(crash_net_);
    }
}

void Disk::release_if_orphan(kbfs& fs, uint64_t ino)
{
    Inode* n = fs.live().find(ino);
    if (!n || n->nlink != 0) return;
    Op op(Op::kRelease);
    op.ino = ino;
    if (fs.fenced()) return fs.own->apply(op);
    live_.apply(op);
    log_.push_back(std::move(op));
}

size_t Disk::survivors()
{
    if (exact_cut_ || cut_ == Cut::kAll) return log_.size();
    if (cut_ == Cut::kNone) return 0;
    Rng& rng = world_.disk_rng();
    // within what was just done
    if (rng.chance(300))
        return log_.size() - rng.below(std::min<size_t>(log_.size(), kLastSteps) + 1);
    return rng.below(log_.size() + 1);
}

bool Disk::is_durable(uint64_t end) const
{
    if (end > log_start_ || damaged_.count(end)) return false;
    return std::none_of(lost_.begin(), lost_.end(),
                        [end](auto& lost) { return end > lost.first && end <= lost.second; });
}

void Disk::apply_damaged(size_t i)
{
    std::vector<Op> left;
    if (!damage(log_[i], &left)) return durable_.apply(log_[i]);
    damaged_.insert(log_start_ + i + 1);
    for (const Op& op : left) durable_.apply(op);
}

static Op piece_of(const Op& op, uint64_t at, uint64_t end)
{
    Op piece(Op::kWrite);
    piece.now_ns = op.now_ns;
    piece.ino = op.ino;
    piece.offset = at;
    piece.data = op.data.substr(at - op.offset, end - at);
    return piece;
}

// What is left of a write that was under way: sectors of blocks that the file has, whole ones of
// those that it gets (they belong to it when they are written). In runs: a drive writes many at
// once.
std::vector<Op> Disk::torn(const Op& op)
{
    std::vector<Op> left;
    Inode* file = durable_.find(op.ino);
    bool lost = tear_rng_.chance(500);
    uint64_t end = op.offset + op.data.size();
    for (uint64_t at = op.offset, next; at < end; at = next) {
        bool has = file && file->blocks.count(at / kFsBlockBytes);
        uint64_t unit = has ? kSectorBytes : kFsBlockBytes;
        next = std::min(end, (at / unit + 1) * unit);
        if (tear_rng_.chance(300)) lost = !lost;
        if (!lost) left.push_back(piece_of(op, at, next));
    }
    return left;
}

// Data may be lost although later steps survive. False: all of it is there.
bool Disk::damage(const Op& op, std::vector<Op>* left)
{
    Rng& rng = world_.disk_rng();
    if (op.kind != Op::kWrite || !rng.chance(write_loss_permille_)) return false;
    uint64_t bytes = rng.below(op.data.size() + 1);
    if (bytes == op.data.size()) return false;
    if (tear_rng_.chance(torn_write_permille_)) *left = torn(op);
    else if (bytes) left->push_back(piece_of(op, op.offset, op.offset + bytes));
    return true;
}

size_t Disk::part_before_error(uint64_t offset, size_t bytes)
{
    if (!tear_rng_.chance(partial_write_permille_)) return 0;
    uint64_t end = (offset + tear_rng_.below(bytes)) / kFsBlockBytes * kFsBlockBytes;
    while (end > offset && would_exceed(end - offset)) end -= kFsBlockBytes;
    return end > offset ? end - offset : 0;
}

// A write behind the cut whose blocks the durable file already has. Its size, its time and its new
// blocks are metadata and lost; after a truncation the blocks may be another file's.
void Disk::overwrite_by_lost_steps(size_t from)
{
    Rng& rng = world_.disk_rng();
    std::set<uint64_t> moved;  // files whose blocks are not what they were
    for (size_t i = from; i < log_.size(); i++) {
        const Op& op = log_[i];
        bool resized = op.kind == Op::kSetattr && (op.valid & KBFS_SIZE);
        if (resized || op.kind == Op::kCreate || op.kind == Op::kRelease) moved.insert(op.ino);
        if (op.kind != Op::kWrite || moved.count(op.ino) || !rng.chance(late_write_permille_))
            continue;
        uint64_t sectors = op.data.size() / kSectorBytes;
        size_t bytes = rng.chance(500) ? op.data.size() : rng.below(sectors + 1) * kSectorBytes;
        if (!tear_rng_.chance(torn_write_permille_))
            durable_.overwrite(op.ino, op.offset, op.data.substr(0, bytes));
        else
            for (const Op& piece : torn(op))
                durable_.overwrite(op.ino, piece.offset, piece.data);
    }
}

void Disk::host_crashed(Host& host)
{
    if (owner_ == &host) lose_the_rest();
}

void Disk::fence()
{
    if (!owner_) return;
    if (world_.tracing())
        world_.trace("%s: taken away from %s", name_.c_str(), owner_->name().c_str());
    mounted_->own = std::make_unique<FsState>(live_);
    lose_the_rest();
}

void Disk::lose_the_rest()
{
    size_t keep = survivors();
    if (world_.tracing())
        world_.trace("%s: %zu of %zu steps survive", name_.c_str(), keep, log_.size());
    for (size_t i = 0; i < keep; i++) apply_damaged(i);
    if (!exact_cut_ && cut_ == Cut::kBySeed) overwrite_by_lost_steps(keep);
    durable_.drop_orphans();
    lost_.emplace_back(log_start_ + keep, end());
    log_start_ += log_.size();
    log_.clear();
    live_ = durable_;
    exact_cut_ = false;
    crash_in_ = fail_in_ = 0;
    abandoned_.push_back(std::exchange(mounted_, nullptr));
    owner_ = nullptr;
}

bool Disk::would_exceed(uint64_t more_bytes) const
{
    return full_ || (live_.blocks_used() + more_bytes / kFsBlockBytes + 1) * kFsBlockBytes > bytes_;
}

void Disk::statfs(struct kbfs_statfs* out)
{
    uint64_t used = full_ ? bytes_ : std::min(bytes_, live_.blocks_used() * kFsBlockBytes);
    *out = {};
    out->total_bytes = bytes_;
    out->free_bytes = out->avail_bytes = bytes_ - used;
    out->files = inodes_;
    out->free_files = has_inodes() ? inodes_ - live_.inodes_used() : 0;
    out->block_bytes = kFsBlockBytes;
    out->name_max = KBFS_NAME_MAX;
}

namespace {

void dump_dir(FsState& fs, Inode& dir, const std::string& path, std::string& out)
{
    for (auto& [name, entry] : dir.entries) {
        Inode& n = *fs.find(entry.ino);
        char line[200];
        std::snprintf(line, sizeof line, " ino %llu mode %o uid %u gid %u nlink %u size %llu",
                      static_cast<unsigned long long>(n.ino), n.mode, n.uid, n.gid, n.nlink,
                      static_cast<unsigned long long>(n.size));
        out += path + name + line;
        for (auto& [x, value] : n.xattrs) out += " " + x + "=" + value;
        if (n.is_symlink()) out += " -> " + n.target;
        for (auto& [at, block] : n.blocks) {
            uint64_t first = at * kFsBlockBytes;
            uint64_t bytes = first < n.size ? std::min(kFsBlockBytes, n.size - first) : 0;
            out += " [" + std::to_string(at) + "]";
            out.append(reinterpret_cast<const char*>(block->data()), bytes);
        }
        out += "\n";
        if (n.is_dir()) dump_dir(fs, n, path + name + "/", out);
    }
}

}  // namespace

static uint64_t count_files(FsState& fs, Inode& dir)
{
    uint64_t n = 0;
    for (auto& [name, entry] : dir.entries) {
        Inode& i = *fs.find(entry.ino);
        n += i.is_dir() ? count_files(fs, i) : 1;
    }
    return n;
}

uint64_t Disk::files_below(const std::string& dir)
{
    auto& root = live_.find(kRootIno)->entries;
    auto it = root.find(dir);
    return it == root.end() ? 0 : count_files(live_, *live_.find(it->second.ino));
}

bool Disk::has(const std::string& dir, const std::string& name, bool durable)
{
    FsState& fs = durable ? durable_ : live_;
    auto& root = fs.find(kRootIno)->entries;
    auto it = root.find(dir);
    return it != root.end() && fs.find(it->second.ino)->entries.count(name);
}

std::string Disk::dump(bool durable)
{
    FsState& fs = durable ? durable_ : live_;
    std::string out;
    dump_dir(fs, *fs.find(kRootIno), "/", out);
    return out;
}

}  // namespace lull::sim
