// SPDX-License-Identifier: GPL-2.0-only
// A worker's own files.
#include "tests/sim/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "kapi/errno.h"
#include "tests/sim/model_check.h"

namespace lull::sim {

std::string sample_text(size_t bytes, uint64_t salt)
{
    std::string s(bytes, 0);
    for (size_t i = 0; i < bytes; i++)
        s[i] = static_cast<char>('a' + (i * 7 + i / 251 + salt * 13 + (salt >> 8) * 5) % 26);
    return s;
}

const Worker::Operation Worker::kOperations[] = {
    {"put", 3, 1, &Worker::put},
    {"append", 1, 0, &Worker::append},
    {"overwrite", 1, 0, &Worker::overwrite},
    {"truncate", 1, 0, &Worker::truncate},
    {"rename", 2, 3, &Worker::rename},
    {"unlink", 1, 1, &Worker::unlink},
    {"stat", 1, 1, &Worker::stat},
    {"read", 2, 0, &Worker::read},
    {"mkdir", 2, 4, &Worker::toggle_dir},
    {"hold", 1, 1, &Worker::hold},
    {"use_held", 2, 1, &Worker::use_held},
    {"fsync", 1, 0, &Worker::fsync},
    {"readdir", 1, 1, &Worker::list},
    {"drop", 1, 0, &Worker::drop},
    {"chmod", 1, 3, &Worker::chmod},
    {"link", 1, 3, &Worker::link},
    {"symlink", 1, 3, &Worker::toggle_symlink},
    {"utimes", 1, 1, &Worker::utimes},
    {"map", 1, 0, &Worker::map},
    {"move", 1, 2, &Worker::move},
    {"crowd", 1, 1, &Worker::crowd},
};

std::set<std::string> OperationNames::without;

const std::vector<std::string>& OperationNames::all()
{
    static const auto* names = [] {
        auto* v = new std::vector<std::string>;
        for (auto& op : Worker::kOperations) v->push_back(op.name);
        return v;
    }();
    return *names;
}

template <class F> auto Worker::sys(F call)
{
    auto is_killed = [&] { return killed_ |= kapi_fatal_signal_pending(); };
    decltype(call()) result = -kERESTARTSYS;
    if (!is_killed()) result = restarted(call, &interruptions);
    (void)is_killed();
    return result;
}

void Worker::expect(int64_t got, int64_t want, const char* what, const std::string& path) const
{
    if (sure()) expect_equal(got, want, what, path);
}

void Worker::expect_data(const std::string& got, const std::string& want, const char* what,
                         const std::string& path) const
{
    if (sure()) expect_text(got, want, what, path);
}

void Worker::begin()
{
    expect(sys([&] { return c_.mkdir(dir_); }), 0, "mkdir", dir_);
}

void Worker::step()
{
    if (trust_.strict() && trust_.epoch() != epoch_) return look_again();
    auto weight = [&](const Operation& op) {
        return habits_.names_only ? op.names_weight : op.weight;
    };
    unsigned total = 0;
    for (auto& op : kOperations) total += weight(op);
    const Operation* op = kOperations;
    for (uint64_t dice = rng_.below(total); dice >= weight(*op); op++) dice -= weight(*op);
    touched_.clear();
    if (!OperationNames::without.count(op->name)) (this->*op->run)();
    if (killed_) die();
    operations++;
}

void Worker::end()
{
    if (trust_.epoch() != epoch_) look_again();
    while (!held_.empty()) {
        use_held(), operations++;
        if (killed_) die();
    }
}

const Worker::File* Worker::pick(std::string* name)
{
    if (files_.empty()) return nullptr;
    auto it = files_.begin();
    std::advance(it, rng_.below(files_.size()));
    *name = it->first;
    return &it->second;
}

// About to be changed: not as it was synced any more, and in doubt nobody knows what it will be.
void Worker::touch(const std::string& name)
{
    removed_.erase(name);
    touched_.insert(name);
    auto it = files_.find(name);
    if (it == files_.end()) return;
    it->second.synced = false;
    it->second.mtime_ns = 0;
    it->second.unknown |= !sure();
    if (!sure()) it->second.mode = -1;
}

// Its name goes. Before touch(), which forgets that it was synced.
void Worker::remove(const std::string& name)
{
    auto it = files_.find(name);
    bool known = it != files_.end() && it->second.synced && sure();
    std::string data = known ? it->second.data : "";
    touch(name);
    if (known) removed_[name] = std::move(data);
}

// The doubt is over: what was synced is there as it was, of the rest anything may be; it is the
// truth now.
void Worker::look_again()
{
    epoch_ = trust_.epoch();
    for (Held& h : held_) (void)c_.close(h.fd);
    held_.clear();
    int err = sys([&] { return c_.mkdir(dir_); });
    if (sure() && err && err != -kEEXIST)
        ADD_FAILURE() << "mkdir " << dir_ << " after a doubt: " << err;
    std::vector<std::string> names;
    expect(sys([&] { return c_.readdir(dir_, &names); }), 0, "readdir after a doubt", dir_);
    for (auto& [n, file] : files_) {
        bool there = std::find(names.begin(), names.end(), n) != names.end();
        if (file.synced && !there && sure()) ADD_FAILURE() << path(n) << " was synced and is gone";
    }
    dirs_.clear();
    symlinks_.clear();
    removed_.clear();
    std::map<std::string, File> before;
    before.swap(files_);
    for (auto& n : names) {
        auto it = before.find(n);
        bool synced = it != before.end() && it->second.synced;
        adopt(n);
        if (synced && files_.count(n))
            expect_data(files_[n].data, it->second.data, "what was synced of", path(n));
        if (files_.count(n)) files_[n].synced = synced;
    }
    operations++;
}

// The process was killed in the middle of an operation, and the next one goes on where it was: what
// that operation was about was done, or was not, and stays so; all else is as it was. Its files are
// closed while it dies.
void Worker::die()
{
    for (Held& h : held_) (void)c_.close(h.fd);
    held_.clear();
    world().clear_signal(&world().current());
    killed_ = false;
    kills++;
    if (!sure()) return;  // it will look at everything
    std::vector<std::string> names;
    expect(sys([&] { return c_.readdir(dir_, &names); }), 0, "readdir after a kill", dir_);
    for (auto& n : touched_) {
        files_.erase(n);
        dirs_.erase(n);
        symlinks_.erase(n);
        removed_.erase(n);
    }
    for (auto& n : names)
        if (touched_.count(n)) adopt(n);
    if (killed_) return die();
    for (auto& n : names)
        if (!files_.count(n) && !dirs_.count(n) && !symlinks_.count(n) && !touched_.count(n))
            ADD_FAILURE() << path(n) << " is there after a kill, and nobody made it";
}

void Worker::adopt(const std::string& name)
{
    llc_attr a = {};
    expect(sys([&] { return c_.stat(path(name), &a, false); }), 0, "stat after a doubt",
           path(name));
    if ((a.mode & 0170000) == 0040000) {
        if (name[0] == 'd') dirs_.insert(name);
        else remove_tree(path(name));
    } else if (name[0] != 'f') {
        expect(sys([&] { return c_.unlink(path(name)); }), 0, "unlink of the forgotten",
               path(name));
    } else {
        // what a server could not write is here still, and only here, and so is its size
        (void)c_.forget(path(name));
        files_[name].data = whole(c_, path(name));
        files_[name].mode = static_cast<int>(a.mode & 07777);
    }
}

void Worker::remove_tree(const std::string& path)
{
    std::vector<std::string> names;
    expect(sys([&] { return c_.readdir(path, &names); }), 0, "readdir of the forgotten", path);
    for (auto& n : names) {
        int err = sys([&] { return c_.unlink(path + "/" + n); });
        if (err == -kEISDIR) remove_tree(path + "/" + n);
        else expect(err, 0, "unlink of the forgotten", path + "/" + n);
    }
    expect(sys([&] { return c_.rmdir(path); }), 0, "rmdir of the forgotten", path);
}

std::string Worker::whole(SimMount& c, const std::string& path)
{
    std::string data;
    int err = sys([&] {
        int e = 0;
        data = c.get(path, &e);
        return e;
    });
    expect(err, 0, "read of", path);
    return data;
}

int64_t Worker::write_all(int fd, uint64_t pos, const std::string& data)
{
    size_t done = 0;
    while (done < data.size()) {
        int64_t n =
            sys([&] { return c_.pwrite(fd, pos + done, data.data() + done, data.size() - done); });
        if (n <= 0) return n;
        done += static_cast<size_t>(n);
        if (!sure()) break;
    }
    return static_cast<int64_t>(done);
}

// ---- operations

void Worker::put()
{
    std::string n = name();
    std::string data =
        sample_text(!habits_.names_only && rng_.chance(300) ? rng_.below(habits_.file_max)
                                                            : rng_.below(6000),
                    rng_.next() & 0xffff);
    touch(n);
    int fd = sys(
        [&] { return c_.open(path(n), SimMount::kWrite | SimMount::kCreate | SimMount::kTrunc); });
    if (fd < 0) return expect(fd, 3, "open to put", path(n));
    int64_t wrote = write_all(fd, 0, data);
    expect(wrote, static_cast<int64_t>(data.size()), "put", path(n));
    // Whatever is wrong with the world: what was written and fsynced through one descriptor, both
    // without an error, is on the disks. Fsync is told of what was lost on the way there.
    bool durable = !sure() && wrote == static_cast<int64_t>(data.size()) &&
                   sys([&] { return c_.fsync(fd); }) == 0;
    expect(c_.close(fd), 0, "close", path(n));
    files_[n].data = data;
    touch(n);
    if (durable) files_[n].synced = true, files_[n].unknown = false;
}

void Worker::append()
{
    std::string n = name(), more = sample_text(1 + rng_.below(5000), rng_.next() & 0xffff);
    touch(n);
    int fd = sys(
        [&] { return c_.open(path(n), SimMount::kWrite | SimMount::kCreate | SimMount::kAppend); });
    if (fd < 0) return expect(fd, 3, "open to append", path(n));
    auto write = [&](size_t done) {
        return sys([&] { return c_.append(fd, more.data() + done, more.size() - done); });
    };
    int64_t done = write(0);
    // short: an OST was away
    while (done > 0 && sure() && static_cast<size_t>(done) < more.size()) {
        int64_t got = write(static_cast<size_t>(done));
        done = got > 0 ? done + got : got;
    }
    expect(done, static_cast<int64_t>(more.size()), "append to", path(n));
    files_[n].data += more;
    touch(n);
    expect(c_.close(fd), 0, "close", path(n));
}

void Worker::overwrite()
{
    std::string n;
    const File* old = pick(&n);
    if (!old) return;
    std::string data = old->data, piece = sample_text(1 + rng_.below(20000), rng_.next() & 0xffff);
    size_t pos = rng_.below(data.size() + 10000);
    touch(n);
    int fd = sys([&] { return c_.open(path(n), SimMount::kRead | SimMount::kWrite); });
    if (fd < 0) return expect(fd, 3, "open", path(n));
    expect(write_all(fd, pos, piece), static_cast<int64_t>(piece.size()), "pwrite", path(n));
    if (data.size() < pos + piece.size()) data.resize(pos + piece.size());
    data.replace(pos, piece.size(), piece);
    files_[n].data = data;
    touch(n);
    if (rng_.chance(300)) {
        int err = sys([&] { return c_.fsync(fd); });
        expect(err, 0, "fsync", path(n));
        files_[n].synced = err == 0 && sure();
    }
    expect(c_.close(fd), 0, "close", path(n));
}

void Worker::truncate()
{
    std::string n;
    const File* old = pick(&n);
    if (!old) return;
    size_t to = rng_.below(old->data.size() + 5000);
    touch(n);
    expect(sys([&] { return c_.truncate(path(n), to); }), 0, "truncate", path(n));
    files_[n].data.resize(to);
    touch(n);
}

void Worker::rename()
{
    std::string from, to = name();
    if (!pick(&from)) return;
    touch(from);
    touch(to);
    expect(sys([&] { return c_.rename(path(from), path(to)); }), 0, "rename",
           path(from) + " to " + to);
    if (from == to) return;
    files_[to] = std::move(files_[from]);
    files_.erase(from);
    touch(to);
}

void Worker::unlink()
{
    std::string n = name();
    remove(n);
    bool there = files_.count(n);
    expect(sys([&] { return c_.unlink(path(n)); }), there ? 0 : -kENOENT, "unlink", path(n));
    files_.erase(n);
}

void Worker::stat()
{
    std::string n = name();
    llc_attr a = {};
    auto it = files_.find(n);
    expect(sys([&] { return c_.stat(path(n), &a); }), it == files_.end() ? -kENOENT : 0, "stat",
           path(n));
    if (it == files_.end()) return;
    expect(static_cast<int64_t>(a.size), static_cast<int64_t>(it->second.data.size()), "size of",
           path(n));
    expect(a.nlink, 1, "number of names of", path(n));
    if (it->second.mode >= 0) expect(a.mode & 07777, it->second.mode, "mode of", path(n));
    if (uint64_t mtime = it->second.mtime_ns)
        expect(static_cast<int64_t>(a.mtime_ns), static_cast<int64_t>(mtime), "mtime of", path(n));
}

void Worker::read()
{
    std::string n;
    if (const File* want = pick(&n))
        expect_data(whole(c_, path(n)), want->data, "read of", path(n));
}

void Worker::toggle_dir()
{
    std::string n = "d" + std::to_string(rng_.below(3));
    touch(n);
    if (dirs_.erase(n)) return expect(sys([&] { return c_.rmdir(path(n)); }), 0, "rmdir", path(n));
    expect(sys([&] { return c_.mkdir(path(n)); }), 0, "mkdir", path(n));
    dirs_.insert(n);
}

void Worker::hold()
{
    if (held_.size() >= 3) return use_held();
    std::string n = "held" + std::to_string(operations), p = path(n);
    touch(n);
    int fd = sys([&] {
        return c_.open(p, SimMount::kRead | SimMount::kWrite | SimMount::kCreate | SimMount::kExcl);
    });
    if (fd < 0) return expect(fd, 3, "exclusive create of", p);
    expect(sys([&] { return c_.unlink(p); }), 0, "unlink of the open", p);
    held_.push_back({fd, ""});
}

void Worker::use_held()
{
    if (held_.empty()) return;
    size_t i = rng_.below(held_.size());
    Held& h = held_[i];
    std::string more = sample_text(1 + rng_.below(9000), rng_.next() & 0xffff);
    expect(write_all(h.fd, h.data.size(), more), static_cast<int64_t>(more.size()),
           "pwrite to the unlinked in", dir_);
    h.data += more;
    std::string got(h.data.size() + 10, 0);
    int64_t n = sys([&] { return c_.pread(h.fd, 0, got.data(), got.size()); });
    got.resize(n > 0 ? n : 0);
    expect_data(got, h.data, "read of the unlinked in", dir_);
    if (rng_.chance(500)) return;
    expect(c_.close(h.fd), 0, "close of the unlinked in", dir_);
    held_.erase(held_.begin() + i);
}

void Worker::fsync()
{
    std::string n;
    if (!pick(&n)) return;
    int fd = sys([&] { return c_.open(path(n), SimMount::kRead | SimMount::kWrite); });
    if (fd < 0) return expect(fd, 3, "open", path(n));
    int err = sys([&] { return c_.fsync(fd); });
    expect(err, 0, "fsync", path(n));
    files_[n].synced |= err == 0 && sure() && !files_[n].unknown;
    expect(c_.close(fd), 0, "close", path(n));
}

void Worker::list()
{
    std::vector<std::string> want, got;
    for (auto& [n, file] : files_) want.push_back(n);
    for (auto& n : dirs_) want.push_back(n);
    for (auto& [n, text] : symlinks_) want.push_back(n);
    std::sort(want.begin(), want.end());
    expect(sys([&] { return c_.readdir(dir_, &got); }), 0, "readdir", dir_);
    std::sort(got.begin(), got.end());
    if (got == want || !sure()) return;
    std::string names;
    for (auto& n : got) names += " " + n;
    ADD_FAILURE() << "readdir of " << dir_ << " says" << names;
}

void Worker::drop()
{
    std::string n;
    if (pick(&n)) expect(sys([&] { return c_.drop_pages(path(n)); }), 0, "drop_pages", path(n));
}

void Worker::chmod()
{
    std::string n;
    if (!pick(&n)) return;
    int mode = static_cast<int>(0600 | rng_.below(0200));
    touch(n);
    expect(sys([&] { return c_.chmod(path(n), static_cast<unsigned>(mode)); }), 0, "chmod",
           path(n));
    files_[n].mode = sure() ? mode : -1;
    touch(n);
}

// A second name; then one of both goes.
void Worker::link()
{
    std::string n, second = path("second");
    if (!pick(&n)) return;
    touch(n);
    touch("second");
    int err = sys([&] { return c_.link(path(n), second); });
    expect(err, 0, "link to", path(n));
    if (err) return;  // in doubt there may be an older one
    llc_attr a = {};
    expect(sys([&] { return c_.stat(rng_.chance(500) ? second : path(n), &a); }), 0,
           "stat of the link to", path(n));
    expect(a.nlink, 2, "number of names with the link to", path(n));
    if (rng_.chance(500)) {
        expect(sys([&] { return c_.unlink(second); }), 0, "unlink of the link to", path(n));
    } else {
        expect(sys([&] { return c_.unlink(path(n)); }), 0, "unlink before its link", path(n));
        expect(sys([&] { return c_.rename(second, path(n)); }), 0, "rename of the link to",
               path(n));
    }
    touch(n);
}

void Worker::toggle_symlink()
{
    std::string n = "s" + std::to_string(rng_.below(3)), says;
    touch(n);
    auto it = symlinks_.find(n);
    if (it == symlinks_.end()) {
        std::string text = sample_text(1 + rng_.below(40), rng_.next() & 0xffff);
        expect(sys([&] { return c_.symlink(text, path(n)); }), 0, "symlink", path(n));
        symlinks_[n] = text;
        return;
    }
    expect(sys([&] { return c_.readlink(path(n), &says); }), 0, "readlink", path(n));
    expect_data(says, it->second, "readlink", path(n));
    if (rng_.chance(500)) return;
    expect(sys([&] { return c_.unlink(path(n)); }), 0, "unlink of the symlink", path(n));
    symlinks_.erase(n);
}

void Worker::utimes()
{
    std::string n;
    if (!pick(&n)) return;
    uint64_t mtime = (1 + rng_.below(1000000)) * 1000000007;
    touch(n);
    expect(sys([&] { return c_.utimes(path(n), mtime + 1, mtime); }), 0, "utimes", path(n));
    if (sure()) files_[n].mtime_ns = mtime;
}

// One byte through a mapping, and another one read.
void Worker::map()
{
    std::string n;
    const File* old = pick(&n);
    if (!old || old->data.empty()) return;
    std::string data = old->data;
    size_t pos = rng_.below(data.size()), other = rng_.below(data.size());
    char byte = static_cast<char>('A' + rng_.below(26)), got = 0;
    touch(n);
    int fd = sys([&] { return c_.open(path(n), SimMount::kRead | SimMount::kWrite); });
    if (fd < 0) return expect(fd, 3, "open", path(n));
    expect(sys([&] { return c_.mapped_write(fd, pos, byte); }), 0, "store to a mapping of",
           path(n));
    data[pos] = byte;
    files_[n].data = data;
    touch(n);
    expect(sys([&] { return c_.mapped_read(fd, other, &got); }), 0, "load from a mapping of",
           path(n));
    expect(got, data[other], "byte in a mapping of", path(n));
    expect(c_.close(fd), 0, "close", path(n));
}

// Into another directory, which gets another name, and back.
void Worker::move()
{
    std::string n, first = path("w1"), second = path("w2");
    const File* file = pick(&n);
    if (!file) return;
    int64_t size = static_cast<int64_t>(file->data.size());
    for (auto& name : {n, std::string("w1"), std::string("w2")}) touch(name);
    expect(sys([&] { return c_.mkdir(first); }), 0, "mkdir", first);
    expect(sys([&] { return c_.rename(path(n), first + "/" + n); }), 0, "rename into w1 of",
           path(n));
    if (rng_.chance(500)) {
        expect(sys([&] { return c_.mkdir(second); }), 0, "mkdir", second);
        expect(sys([&] { return c_.rename(first, second + "/w1"); }), 0, "rename into w2 of",
               first);
        first = second + "/w1";
    } else {
        expect(sys([&] { return c_.rename(first, second); }), 0, "rename to w2 of", first);
        std::swap(first, second);
        second.clear();
    }
    llc_attr a = {};
    expect(sys([&] { return c_.stat(first + "/" + n, &a); }), 0, "stat after moves of", n);
    expect(static_cast<int64_t>(a.size), size, "size after moves of", n);
    expect(sys([&] { return c_.rename(first + "/" + n, path(n)); }), 0, "rename back of", n);
    expect(sys([&] { return c_.rmdir(first); }), 0, "rmdir", first);
    if (!second.empty()) expect(sys([&] { return c_.rmdir(second); }), 0, "rmdir", second);
    touch(n);
}

// More names than one answer to readdir holds.
void Worker::crowd()
{
    if (!habits_.crowds) return;
    std::string dir = path("w3");
    touch("w3");
    std::vector<std::string> want, got;
    expect(sys([&] { return c_.mkdir(dir); }), 0, "mkdir", dir);
    for (unsigned i = 0; i < 300; i++) {
        want.push_back(std::string(1 + i % 90, 'n') + std::to_string(1000 + i));
        int err = sys([&] { return c_.mknod(dir + "/" + want.back(), 0010644); });
        expect(err, 0, "mknod", dir + "/" + want.back());
        if (err) return;
    }
    std::sort(want.begin(), want.end());
    expect(sys([&] { return c_.readdir(dir, &got); }), 0, "readdir", dir);
    std::sort(got.begin(), got.end());
    if (got != want && sure()) ADD_FAILURE() << "readdir of " << dir << " is not what was made";
    for (auto& n : want)
        expect(sys([&] { return c_.unlink(dir + "/" + n); }), 0, "unlink", dir + "/" + n);
    expect(sys([&] { return c_.rmdir(dir); }), 0, "rmdir", dir);
}

// ---- the end

void Worker::verify(SimMount& through, bool dead) const
{
    auto read = [&](const std::string& n) {
        int err = 0;
        std::string data = through.get(path(n), &err);
        expect_equal(err, 0, "last read of", path(n));
        return data;
    };
    for (auto& [n, file] : files_) {
        if (dead && !file.synced) continue;
        llc_attr a = {};
        expect_equal(through.stat(path(n), &a), 0, "last stat of", path(n));
        expect_equal(static_cast<int64_t>(a.size), static_cast<int64_t>(file.data.size()),
                     "last size of", path(n));
        if (!dead && file.mode >= 0)
            expect_equal(a.mode & 07777, file.mode, "last mode of", path(n));
        if (!dead && file.mtime_ns)
            expect_equal(static_cast<int64_t>(a.mtime_ns), static_cast<int64_t>(file.mtime_ns),
                         "last mtime of", path(n));
        expect_text(read(n), file.data, "last read of", path(n));
    }
    std::vector<std::string> got;
    int err = through.readdir(dir_, &got);
    if (dead && err == -kENOENT) return;
    expect_equal(err, 0, "last readdir of", dir_);
    if (!dead)
        expect_equal(static_cast<int64_t>(got.size()),
                     static_cast<int64_t>(files_.size() + dirs_.size() + symlinks_.size()),
                     "number of names in", dir_);
    for (auto& n : got) {  // whatever became of it, it can be read
        if (!dead || n[0] != 'f') continue;
        std::string data = read(n);
        if (auto it = removed_.find(n); it != removed_.end())
            expect_text(data, it->second, "last read, its removal being lost, of", path(n));
    }
}

}  // namespace lull::sim
