// SPDX-License-Identifier: GPL-2.0-only
// The page cache of a SimMount.
#include <algorithm>
#include <cstring>

#include "kapi/errno.h"
#include "tests/sim/sim_host.h"

namespace lull::sim {

namespace {
constexpr size_t kChunk = 64 << 10;  // of one I/O scope
constexpr size_t kRunMax = 16;       // pages of one write-back message
}  // namespace

// The rule of llite_port.h: nobody's older idea of the size may be the last one written.
void SimMount::copy_size(Inode& i)
{
    SimLockGuard lock(i.size_lock);
    llc_attr attr;
    llc_cached_attr(i.core, &attr);
    i.size = attr.size;
}

std::shared_ptr<Page> SimMount::page(Inode& i, uint64_t index, bool create)
{
    for (;;) {
        auto it = i.pages.find(index);
        if (it == i.pages.end() && !create) return nullptr;
        std::shared_ptr<Page> p =
            it == i.pages.end() ? i.pages[index] = std::make_shared<Page>() : it->second;
        p->lock.lock();
        if (!p->gone) return p;
        p->lock.unlock();
    }
}

int SimMount::fill(Inode& i, uint64_t index, Page& p)
{
    if (p.uptodate) return 0;
    int64_t n = llc_read(i.core, index * kPage, p.bytes, kPage);
    if (n < 0) return static_cast<int>(n);
    p.uptodate = true;
    return 0;
}

int64_t SimMount::read_chunk(Inode& i, uint64_t pos, char* buf, size_t bytes)
{
    for (;;) {
        bool again = false;
        int64_t n = read_scope(i, pos, buf, bytes, &again);
        if (n >= 0 || !again) return n;
    }
}

int64_t SimMount::read_scope(Inode& i, uint64_t pos, char* buf, size_t bytes, bool* again)
{
    llc_io io;
    if (int err = llc_io_begin(i.core, pos, pos + bytes - 1, LLC_IO_READ, &io)) return err;
    copy_size(i);
    size_t want = pos >= i.size ? 0 : std::min<uint64_t>(bytes, i.size - pos), done = 0;
    int err = 0;
    while (done < want && !err) {
        uint64_t at = pos + done;
        size_t n = std::min<size_t>(want - done, kPage - at % kPage);
        auto p = page(i, at / kPage, true);
        err = fill(i, at / kPage, *p);
        if (!err) memcpy(buf + done, p->bytes + at % kPage, n), done += n;
        p->lock.unlock();
    }
    *again = llc_io_end(i.core, &io);
    return done ? static_cast<int64_t>(done) : err;
}

int64_t SimMount::pread(int fd, uint64_t pos, void* buf, size_t bytes)
{
    File* f = file(fd);
    if (!f || !(f->flags & kRead)) return -kEBADF;
    Inode& i = *f->inode;
    size_t done = 0;
    while (done < bytes) {
        size_t n = std::min(bytes - done, kChunk);
        int64_t got = read_chunk(i, pos + done, static_cast<char*>(buf) + done, n);
        if (got >= 0 && llc_file_intact(f->core)) got = -kEIO;
        if (got < 0) return done ? static_cast<int64_t>(done) : got;
        done += got;
        // A read that was given up in the middle (llc_io_end) goes on where it ended.
        if (got == 0 || (static_cast<size_t>(got) < n && pos + done >= i.size)) break;
    }
    return done;
}

int SimMount::write_page(Inode& i, llc_io& io, uint64_t pos, const char* buf, size_t bytes,
                         bool* last)
{
    uint64_t index = pos / kPage;
    auto p = page(i, index, true);
    int err = bytes == kPage ? 0 : fill(i, index, *p);
    bool through = false;
    if (!err && !p->granted) {
        through = llc_reserve_page(i.core, index) != 0;
        p->granted = !through;
    }
    if (!err && through) {
        err = llc_write_through(i.core, &io, pos, buf, bytes);
        *last = err != 0;
        if (err > 0) err = 0;
    }
    if (!err) {
        memcpy(p->bytes + pos % kPage, buf, bytes);
        p->uptodate = true;
        SimLockGuard lock(i.size_lock);
        llc_wrote(i.core, pos, bytes);
        llc_attr attr;
        llc_cached_attr(i.core, &attr);
        i.size = attr.size;
        if (!through) p->dirty = true;
    }
    p->lock.unlock();
    return err;
}

int64_t SimMount::write_chunk(Inode& i, uint64_t pos, const char* buf, size_t bytes, bool append)
{
    for (;;) {
        bool again = false;
        uint64_t start = append ? i.size : pos;
        if (int err = llc_bring_grant(i.core, start - start % kPage, bytes + kPage, 0)) return err;
        int64_t n = write_scope(i, pos, buf, bytes, append, &again);
        if (n >= 0 || !again) return n;
    }
}

int64_t SimMount::write_scope(Inode& i, uint64_t pos, const char* buf, size_t bytes, bool append,
                              bool* again)
{
    llc_io io;
    if (int err =
            llc_io_begin(i.core, pos, pos + bytes - 1, append ? LLC_IO_APPEND : LLC_IO_WRITE, &io))
        return err;
    copy_size(i);
    if (append) pos = io.size;
    size_t done = 0;
    int err = pos >= io.max_bytes ? -kEFBIG : 0;
    if (!err) bytes = std::min<uint64_t>(bytes, io.max_bytes - pos);
    bool last = false;
    while (done < bytes && !err && !last) {
        uint64_t at = pos + done;
        size_t n = std::min<size_t>(bytes - done, kPage - at % kPage);
        err = write_page(i, io, at, buf + done, n, &last);
        if (!err) done += n;
    }
    *again = llc_io_end(i.core, &io);
    return done ? static_cast<int64_t>(done) : err;
}

int64_t SimMount::pwrite(int fd, uint64_t pos, const void* buf, size_t bytes)
{
    File* f = file(fd);
    if (!f || !(f->flags & kWrite)) return -kEBADF;
    Inode& i = *f->inode;
    SimLockGuard lock(i.lock);
    size_t done = 0;
    while (done < bytes) {
        size_t want = std::min(bytes - done, kChunk);
        int64_t n = write_chunk(i, pos + done, static_cast<const char*>(buf) + done, want, false);
        if (n < 0) return done ? static_cast<int64_t>(done) : n;
        done += n;
    }
    return done;
}

int64_t SimMount::append(int fd, const void* buf, size_t bytes)
{
    File* f = file(fd);
    if (!f || !(f->flags & kWrite)) return -kEBADF;
    SimLockGuard lock(f->inode->lock);
    size_t done = 0;
    while (done < bytes) {
        size_t want = std::min(bytes - done, kChunk);
        int64_t n = write_chunk(*f->inode, 0, static_cast<const char*>(buf) + done, want, true);
        if (n < 0) return done ? static_cast<int64_t>(done) : n;
        done += n;
        // Others may have appended since.
        if (static_cast<size_t>(n) < want) break;
    }
    return done;
}

int SimMount::mapped_read(int fd, uint64_t pos, char* byte)
{
    File* f = file(fd);
    if (!f) return -kEBADF;
    int64_t n = read_chunk(*f->inode, pos, byte, 1);
    if (n >= 0 && llc_file_intact(f->core)) return -kEIO;
    return n == 1 ? 0 : n < 0 ? static_cast<int>(n) : -kEFAULT;
}

int SimMount::mapped_write(int fd, uint64_t pos, char byte)
{
    File* f = file(fd);
    if (!f) return -kEBADF;
    Inode& i = *f->inode;
    uint64_t start = pos - pos % kPage;
    for (;;) {
        llc_io io;
        if (int err = llc_bring_grant(i.core, start, kPage, 0)) return err;
        if (int err = llc_io_begin(i.core, start, start + kPage - 1, LLC_IO_WRITE, &io)) return err;
        copy_size(i);
        bool last = false;
        int err = pos < i.size ? write_page(i, io, pos, &byte, 1, &last) : -kEFAULT;
        if (!llc_io_end(i.core, &io) || !err) return err;
    }
}

// ---- write-back

// Pages of run are locked, dirty, neighbours, and alike in having grant.
int SimMount::write_run(Inode& i, uint64_t first, std::vector<std::shared_ptr<Page>>& run)
{
    uint64_t pos = first * kPage, end = std::min(pos + run.size() * kPage, i.size);
    bool granted = run[0]->granted;
    std::string data;
    for (auto& p : run) {
        data.append(p->bytes, kPage);
        p->dirty = p->granted = false;
    }
    int err = 0;
    uint64_t pages = pos < end ? (end - pos + kPage - 1) / kPage : 0;
    if (pages)
        err = llc_write(i.core, pos, data.data(), end - pos,
                        granted ? static_cast<uint32_t>(pages) : 0);
    for (uint64_t n = pages; granted && n < run.size(); n++) llc_unreserve_page(i.core, first + n);
    // What was taken into the cache has its space (grants).
    if (err == -kENOSPC && granted)
        world().fail("written data had a grant, and there is no space for it");
    if (err) {
        i.wb_err = err;
        i.wb_err_seq++;
    }
    for (auto& p : run) p->lock.unlock();
    run.clear();
    return err;
}

int SimMount::flush(Inode& i, uint64_t start, uint64_t end)
{
    std::vector<std::shared_ptr<Page>> run;
    uint64_t index = start / kPage, first = 0;
    int result = 0;
    auto send = [&] {
        if (run.empty()) return;
        if (int err = write_run(i, first, run); err && !result) result = err;
    };
    for (;;) {
        auto it = i.pages.lower_bound(index);
        if (it == i.pages.end() || it->first > end / kPage) break;
        index = it->first;
        // First of all: a page of another OST must not be locked while this one's answer is waited
        // for (B3).
        if (!run.empty() &&
            (first + run.size() != index || index > llc_last_page_beside(i.core, first)))
            send();
        auto p = page(i, index, false);  // waits for write-back under way
        if (p && p->dirty) {
            bool joins = !run.empty() && run.size() < kRunMax && run[0]->granted == p->granted;
            if (!joins) {
                send();
                first = index;
            }
            run.push_back(p);
        } else if (p) {
            p->lock.unlock();
        }
        index++;
    }
    send();
    return result;
}

bool SimMount::drop(Inode& i, uint64_t start, uint64_t end, bool discard)
{
    if (!discard) (void)flush(i, start, end);
    bool lost = false;
    uint64_t index = start / kPage;
    for (;;) {
        auto it = i.pages.lower_bound(index);
        if (it == i.pages.end() || it->first > end / kPage) break;
        index = it->first;
        auto p = page(i, index, false);
        if (p && p->dirty && !discard) {
            p->lock.unlock();
            (void)flush(i, index * kPage, index * kPage);
            continue;
        }
        if (p) {
            if (p->dirty && !i.freeing) {
                i.wb_err = -kEIO;
                i.wb_err_seq++;
                lost = true;
            }
            if (p->granted) llc_unreserve_page(i.core, index);
            p->gone = true;
            i.pages.erase(index);
            p->lock.unlock();
        }
        index++;
    }
    return lost;
}

int SimMount::drop_pages(const std::string& path)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    drop(*i, 0, UINT64_MAX, false);
    return 0;
}

int SimMount::forget(const std::string& path)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    (void)flush(*i, 0, UINT64_MAX);
    if (i->opens) return -kEBUSY;
    evict(i);
    return 0;
}

void SimMount::set_size(Inode& i, uint64_t size)
{
    {
        SimLockGuard lock(i.size_lock);
        i.size = size;
    }
    uint64_t index = size / kPage;
    if (size % kPage) {
        if (auto p = page(i, index, false)) {
            memset(p->bytes + size % kPage, 0, kPage - size % kPage);
            p->lock.unlock();
        }
        index++;
    }
    for (auto it = i.pages.lower_bound(index); it != i.pages.end();
         it = i.pages.lower_bound(index)) {
        index = it->first;
        if (auto p = page(i, index, false)) {
            if (p->granted) llc_unreserve_page(i.core, index);
            p->gone = true;
            i.pages.erase(index);
            p->lock.unlock();
        }
        index++;
    }
}

}  // namespace lull::sim

using lull::sim::SimMount;

extern "C" {
int llp_flush(llp_inode* host, uint64_t start, uint64_t end)
{
    host->mount->asked++;
    return host->mount->flush(*host, start, end);
}
bool llp_drop(llp_inode* host, uint64_t start, uint64_t end, bool discard)
{
    host->mount->asked++;
    return host->mount->drop(*host, start, end, discard);
}
uint64_t llp_next_cached(llp_inode* host, uint64_t pos)
{
    host->mount->asked++;
    auto it = host->pages.lower_bound(pos / lull::sim::kPage);
    return it == host->pages.end() ? UINT64_MAX : std::max(pos, it->first * lull::sim::kPage);
}
void llp_size_lost(llp_inode*) {}  // nobody is shown a size that the core was not asked for
void llp_set_size(llp_inode* host, uint64_t size) { host->mount->set_size(*host, size); }
bool llp_get(llp_inode* host)
{
    if (host->freeing) return false;
    host->refs++;
    return true;
}
void llp_put(llp_inode* host) { host->refs--; }
void llp_invalidate_dentries(llp_inode*) {}
}
