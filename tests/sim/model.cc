// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "kapi/errno.h"

namespace lull::sim {

namespace {

constexpr size_t kFileMax = 150000;
constexpr size_t kRecordBytes = 48;

void expect(int64_t got, int64_t want, const char* what, const std::string& path)
{
    if (got != want) ADD_FAILURE() << what << " " << path << ": " << got << " instead of " << want;
}

void expect_data(const std::string& got, const std::string& want, const char* what, const std::string& path)
{
    if (got == want) return;
    size_t at = 0;
    while (at < got.size() && at < want.size() && got[at] == want[at]) at++;
    ADD_FAILURE() << what << " " << path << ": " << got.size() << " bytes instead of " << want.size() << ", other than expected from "
                  << at << ": '" << got.substr(at, 20) << "' instead of '" << want.substr(at, 20) << "'";
}

std::string whole(SimMount& c, const std::string& path)
{
    int err = 0;
    std::string data = c.get(path, &err);
    expect(err, 0, "read of", path);
    return data;
}

std::string record(unsigned client, unsigned number)
{
    char text[kRecordBytes + 1];
    snprintf(text, sizeof text, "%-*s\n", static_cast<int>(kRecordBytes) - 1,
             ("client " + std::to_string(client) + " record " + std::to_string(number)).c_str());
    return text;
}

}  // namespace

std::string sample_text(size_t bytes, uint64_t salt)
{
    std::string s(bytes, 0);
    for (size_t i = 0; i < bytes; i++) s[i] = static_cast<char>('a' + (i * 7 + i / 251 + salt * 13 + (salt >> 8) * 5) % 26);
    return s;
}

// ---- a worker's own files

void Worker::begin() { expect(c_.mkdir(dir_), 0, "mkdir", dir_); }

void Worker::step()
{
    using Op = void (Worker::*)();
    constexpr Op kOps[] = {&Worker::put,    &Worker::put,    &Worker::put,        &Worker::append, &Worker::overwrite, &Worker::truncate,
                           &Worker::rename, &Worker::rename, &Worker::unlink,     &Worker::stat,   &Worker::read,      &Worker::read,
                           &Worker::toggle_dir, &Worker::toggle_dir, &Worker::hold, &Worker::use_held, &Worker::use_held, &Worker::fsync,
                           &Worker::list,   &Worker::drop};
    (this->*kOps[rng_.below(std::size(kOps))])();
    operations++;
}

void Worker::end()
{
    while (!held_.empty()) use_held(), operations++;
}

const std::string* Worker::pick(std::string* name)
{
    if (files_.empty()) return nullptr;
    auto it = files_.begin();
    std::advance(it, rng_.below(files_.size()));
    *name = it->first;
    return &it->second;
}

void Worker::put()
{
    std::string n = name(), data = sample_text(rng_.chance(300) ? rng_.below(kFileMax) : rng_.below(6000), rng_.next() & 0xffff);
    expect(c_.put(path(n), data), 0, "put", path(n));
    files_[n] = data;
}

void Worker::append()
{
    std::string n = name(), more = sample_text(1 + rng_.below(5000), rng_.next() & 0xffff);
    int fd = c_.open(path(n), SimMount::kWrite | SimMount::kCreate | SimMount::kAppend);
    if (fd < 0) return expect(fd, 3, "open to append", path(n));
    expect(c_.append(fd, more.data(), more.size()), static_cast<int64_t>(more.size()), "append to", path(n));
    files_[n] += more;
    expect(c_.close(fd), 0, "close", path(n));
}

void Worker::overwrite()
{
    std::string n;
    const std::string* old = pick(&n);
    if (!old) return;
    std::string data = *old, piece = sample_text(1 + rng_.below(20000), rng_.next() & 0xffff);
    size_t pos = rng_.below(data.size() + 10000);
    int fd = c_.open(path(n), SimMount::kRead | SimMount::kWrite);
    if (fd < 0) return expect(fd, 3, "open", path(n));
    expect(c_.pwrite(fd, pos, piece.data(), piece.size()), static_cast<int64_t>(piece.size()), "pwrite", path(n));
    if (data.size() < pos + piece.size()) data.resize(pos + piece.size());
    data.replace(pos, piece.size(), piece);
    files_[n] = data;
    if (rng_.chance(300)) expect(c_.fsync(fd), 0, "fsync", path(n));
    expect(c_.close(fd), 0, "close", path(n));
}

void Worker::truncate()
{
    std::string n;
    const std::string* old = pick(&n);
    if (!old) return;
    size_t to = rng_.below(old->size() + 5000);
    expect(c_.truncate(path(n), to), 0, "truncate", path(n));
    files_[n].resize(to);
}

void Worker::rename()
{
    std::string from, to = name();
    if (!pick(&from)) return;
    expect(c_.rename(path(from), path(to)), 0, "rename", path(from) + " to " + to);
    if (from == to) return;
    files_[to] = std::move(files_[from]);
    files_.erase(from);
}

void Worker::unlink()
{
    std::string n = name();
    bool there = files_.erase(n);
    expect(c_.unlink(path(n)), there ? 0 : -kENOENT, "unlink", path(n));
}

void Worker::stat()
{
    std::string n = name();
    llc_attr a;
    auto it = files_.find(n);
    expect(c_.stat(path(n), &a), it == files_.end() ? -kENOENT : 0, "stat", path(n));
    if (it != files_.end()) expect(static_cast<int64_t>(a.size), static_cast<int64_t>(it->second.size()), "size of", path(n));
}

void Worker::read()
{
    std::string n;
    if (const std::string* want = pick(&n)) expect_data(whole(c_, path(n)), *want, "read of", path(n));
}

void Worker::toggle_dir()
{
    std::string n = "d" + std::to_string(rng_.below(3));
    if (dirs_.erase(n)) return expect(c_.rmdir(path(n)), 0, "rmdir", path(n));
    expect(c_.mkdir(path(n)), 0, "mkdir", path(n));
    dirs_.insert(n);
}

void Worker::hold()
{
    if (held_.size() >= 3) return use_held();
    std::string p = path("held" + std::to_string(operations));
    int fd = c_.open(p, SimMount::kRead | SimMount::kWrite | SimMount::kCreate | SimMount::kExcl);
    if (fd < 0) return expect(fd, 3, "exclusive create of", p);
    expect(c_.unlink(p), 0, "unlink of the open", p);
    held_.push_back({fd, ""});
}

void Worker::use_held()
{
    if (held_.empty()) return;
    size_t i = rng_.below(held_.size());
    Held& h = held_[i];
    std::string more = sample_text(1 + rng_.below(9000), rng_.next() & 0xffff);
    expect(c_.pwrite(h.fd, h.data.size(), more.data(), more.size()), static_cast<int64_t>(more.size()), "pwrite to the unlinked in",
           dir_);
    h.data += more;
    std::string got(h.data.size() + 10, 0);
    int64_t n = c_.pread(h.fd, 0, got.data(), got.size());
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
    int fd = c_.open(path(n), SimMount::kRead | SimMount::kWrite);
    if (fd < 0) return expect(fd, 3, "open", path(n));
    expect(c_.fsync(fd), 0, "fsync", path(n));
    expect(c_.close(fd), 0, "close", path(n));
}

void Worker::list()
{
    std::vector<std::string> want, got;
    for (auto& [n, data] : files_) want.push_back(n);
    for (auto& n : dirs_) want.push_back(n);
    std::sort(want.begin(), want.end());
    expect(c_.readdir(dir_, &got), 0, "readdir", dir_);
    std::sort(got.begin(), got.end());
    if (got == want) return;
    std::string names;
    for (auto& n : got) names += " " + n;
    ADD_FAILURE() << "readdir of " << dir_ << " says" << names;
}

void Worker::drop()
{
    std::string n;
    if (pick(&n)) expect(c_.drop_pages(path(n)), 0, "drop_pages", path(n));
}

void Worker::verify(SimMount& through) const
{
    for (auto& [n, want] : files_) {
        llc_attr a;
        expect(through.stat(path(n), &a), 0, "last stat of", path(n));
        expect(static_cast<int64_t>(a.size), static_cast<int64_t>(want.size()), "last size of", path(n));
        expect_data(whole(through, path(n)), want, "last read of", path(n));
    }
    std::vector<std::string> got;
    expect(through.readdir(dir_, &got), 0, "last readdir of", dir_);
    expect(static_cast<int64_t>(got.size()), static_cast<int64_t>(files_.size() + dirs_.size()), "number of names in", dir_);
}

// ---- shared files

void SharedFiles::make(SimMount& c)
{
    expect(c.mkdir("/shared"), 0, "mkdir", "/shared");
    for (unsigned i = 0; i < kFiles; i++) expect(c.put("/shared/turn" + std::to_string(i), ""), 0, "put", "/shared/turn");
    expect(c.put("/shared/log", ""), 0, "put", "/shared/log");
}

void SharedFiles::step(SimMount& c, unsigned client, Rng& rng)
{
    switch (rng.below(4)) {
    case 0: append_record(c, client); break;
    case 1: race(c); break;
    default: take_turn(c, rng);
    }
    operations++;
}

void SharedFiles::take_turn(SimMount& c, Rng& rng)
{
    unsigned i = static_cast<unsigned>(rng.below(kFiles));
    std::string path = "/shared/turn" + std::to_string(i);
    SimLockGuard turn(turn_[i]);
    expect_data(whole(c, path), content_[i], "read of", path);
    if (rng.chance(300)) return;
    std::string piece = sample_text(1 + rng.below(30000), rng.next() & 0xffff);
    if (rng.chance(400)) {
        expect(c.put(path, piece), 0, "put", path);
        content_[i] = piece;
        return;
    }
    size_t pos = rng.below(content_[i].size() + 1);
    int fd = c.open(path, SimMount::kRead | SimMount::kWrite);
    if (fd < 0) return expect(fd, 3, "open", path);
    expect(c.pwrite(fd, pos, piece.data(), piece.size()), static_cast<int64_t>(piece.size()), "pwrite", path);
    if (content_[i].size() < pos + piece.size()) content_[i].resize(pos + piece.size());
    content_[i].replace(pos, piece.size(), piece);
    expect(c.close(fd), 0, "close", path);
}

void SharedFiles::append_record(SimMount& c, unsigned client)
{
    std::string r = record(client, appended_[client]++);
    int fd = c.open("/shared/log", SimMount::kWrite | SimMount::kAppend);
    if (fd < 0) return expect(fd, 3, "open to append", "/shared/log");
    expect(c.append(fd, r.data(), r.size()), static_cast<int64_t>(r.size()), "append to", "/shared/log");
    expect(c.close(fd), 0, "close", "/shared/log");
}

// Every client tries the newest name, the first one wins; a second winner, or none, is an operation executed twice or not at all.
void SharedFiles::race(SimMount& c)
{
    if (winners_.empty() || winners_.back()) winners_.push_back(0);
    size_t k = winners_.size() - 1;
    std::string path = "/shared/x" + std::to_string(k);
    int fd = c.open(path, SimMount::kWrite | SimMount::kCreate | SimMount::kExcl);
    if (fd == -kEEXIST) return;
    if (fd < 0) return expect(fd, 3, "exclusive create of", path);
    expect(++winners_[k], 1, "winners of", path);
    expect(c.close(fd), 0, "close", path);
}

void SharedFiles::verify(SimMount& through) const
{
    for (unsigned i = 0; i < kFiles; i++) {
        std::string path = "/shared/turn" + std::to_string(i);
        expect_data(whole(through, path), content_[i], "last read of", path);
    }
    for (size_t k = 0; k < winners_.size(); k++) expect(winners_[k], 1, "winners of", "/shared/x" + std::to_string(k));
    std::string log = whole(through, "/shared/log");
    std::vector<unsigned> seen(appended_.size());
    size_t total = 0;
    for (unsigned n : appended_) total += n;
    expect(static_cast<int64_t>(log.size()), static_cast<int64_t>(total * kRecordBytes), "size of", "/shared/log");
    for (size_t at = 0; at + kRecordBytes <= log.size(); at += kRecordBytes) {
        bool known = false;
        for (unsigned client = 0; client < seen.size() && !known; client++)
            if (log.compare(at, kRecordBytes, record(client, seen[client])) == 0) known = true, seen[client]++;
        if (!known) ADD_FAILURE() << "/shared/log has at " << at << ": '" << log.substr(at, kRecordBytes) << "'";
    }
}

}  // namespace lull::sim
