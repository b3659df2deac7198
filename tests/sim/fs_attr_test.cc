// SPDX-License-Identifier: GPL-2.0-only
// Attributes that a client sets without having seen what another one has set.
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kSec;

namespace {

llc_inode* look_up(SimMount& c, const std::string& name)
{
    llc_inode *root, *found = nullptr;
    llc_attr attr;
    uint64_t epoch;
    EXPECT_EQ(llc_root(c.core(), &root, &attr), 0);
    EXPECT_EQ(llc_lookup(root, name.data(), name.size(), &found, &attr, &epoch), 0);
    llc_inode_put(root);
    return found;
}

uint32_t mode_after(llc_inode* i, uint32_t valid)
{
    llc_attr to = {}, now = {};
    to.uid = to.gid = 7;
    EXPECT_EQ(llc_setattr(i, &to, valid, &now), 0);
    return now.mode & 07777;
}

}  // namespace

// A chown takes the set-id bits from the mode that the file has, not from one that this client
// knew.
TEST(FsAttr, SetIdBitsGoFromTheModeOfTheServer)
{
    FsWorld w(1);
    llc_inode *f = nullptr, *d = nullptr;
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).put("/f", "x"), 0);
        EXPECT_EQ(w.c(0).mkdir("/d"), 0);
        f = look_up(w.c(0), "f");
        d = look_up(w.c(0), "d");
    });
    auto mode_is = [&](const char* path, unsigned mode) {
        w.on(1, [&] { EXPECT_EQ(w.c(1).chmod(path, mode), 0); });
    };
    auto after = [&](llc_inode* i, uint32_t valid, unsigned mode) {
        w.on(0, [&] { EXPECT_EQ(mode_after(i, valid), mode); });
    };
    mode_is("/f", 06751);
    after(f, LLC_UID | LLC_KILL_SUID, 0751);
    mode_is("/f", 06641);  // S_ISGID without S_IXGRP is no privilege
    after(f, LLC_UID | LLC_KILL_SUID, 02641);
    after(f, LLC_KILL_SGID, 0641);
    mode_is("/f", 0604);
    after(f, LLC_GID | LLC_KILL_SUID | LLC_KILL_SGID, 0604);
    mode_is("/d", 02775);  // a directory's new entries take its group over
    after(d, LLC_UID | LLC_KILL_SUID | LLC_KILL_SGID, 02775);
    w.on(0, [&] {
        llc_inode_put(f);
        llc_inode_put(d);
    });
    w.finish();
}

// Also where the MDT's clock is ahead, so that its time of change is later than that of the write.
TEST(FsAttr, WritesAndTruncationsReplaceATimeOfTheFuture)
{
    FsWorld w(1);
    w.mds1.host->set_realtime_offset_ns(kSec);
    const uint64_t future = 7258118400 * kSec;
    w.on(0, [&] {
        SimMount& c = w.c(0);
        llc_attr a;
        EXPECT_EQ(c.put("/f", ""), 0);
        EXPECT_EQ(c.utimes("/f", 0, future), 0);
        int fd = c.open("/f", SimMount::kWrite);
        uint64_t now = kapi_realtime_ns();
        EXPECT_EQ(c.pwrite(fd, 0, "H", 1), 1);
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(c.stat("/f", &a), 0);
            EXPECT_LT(a.mtime_ns, future);
            EXPECT_GE(a.mtime_ns, now);
            c.drop_caches();
        }
        EXPECT_EQ(c.close(fd), 0);
        // truncate(2) of a file that has this size already, as other file systems have it
        for (uint64_t size : {1, 0, 0}) {
            EXPECT_EQ(c.utimes("/f", 0, future), 0);
            llc_inode* f = look_up(c, "f");
            llc_attr to = {};
            to.size = size;
            EXPECT_EQ(llc_setattr(f, &to, LLC_SIZE, &a), 0);
            llc_inode_put(f);
            EXPECT_EQ(c.stat("/f", &a), 0);
            EXPECT_LT(a.mtime_ns, future);
        }
        EXPECT_EQ(c.put("/f", "here is an object"), 0);
        EXPECT_EQ(c.utimes("/f", 0, future), 0);
        llc_inode* f = look_up(c, "f");
        llc_attr to = {};
        EXPECT_EQ(llc_setattr(f, &to, LLC_MTIME_NOW, &a), 0);
        llc_inode_put(f);
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(c.stat("/f", &a), 0);
            EXPECT_LT(a.mtime_ns, future);
            c.drop_caches();
        }
    });
    w.finish();
}

// fchmod, fchown and futimens of a directory that is open and removed, here or by another client.
TEST(FsAttr, ARemovedDirectoryHasAttributes)
{
    for (size_t remover : {0, 1}) {
        FsWorld w(1);
        llc_inode* d = nullptr;
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).mkdir("/d"), 0);
            d = look_up(w.c(0), "d");
        });
        w.on(remover, [&] { EXPECT_EQ(w.c(remover).rmdir("/d"), 0); });
        w.on(0, [&] {
            llc_attr to = {}, a;
            to.mode = 0700;
            to.uid = 7;
            to.mtime_ns = 5 * kSec;
            EXPECT_EQ(llc_setattr(d, &to, LLC_MODE | LLC_UID | LLC_MTIME, &a), 0);
            EXPECT_EQ(llc_revalidate(d, true, &a), 0);
            EXPECT_EQ(a.nlink, 0u);
            EXPECT_EQ(a.mode & 07777, 0700u);
            EXPECT_EQ(a.uid, 7u);
            EXPECT_EQ(a.mtime_ns, 5 * kSec);
            llc_inode_put(d);
        });
        w.finish();
    }
}

// Times before 1970, alone and among later ones.
TEST(FsAttr, TimesBefore1970)
{
    FsWorld w(1);
    const uint64_t old = 0 - 5 * kSec + 1, older = 0 - 7 * kSec + 999999999;
    w.on(0, [&] {
        SimMount& c = w.c(0);
        llc_attr a;
        EXPECT_EQ(c.put("/f", "hello"), 0);
        EXPECT_EQ(c.utimes("/f", older, old), 0);
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(c.stat("/f", &a), 0);
            EXPECT_EQ(a.atime_ns, older);
            EXPECT_EQ(a.mtime_ns, old);
            EXPECT_LT(a.ctime_ns, old);  // that is now, and old is a negative number
            c.drop_caches();
        }
        llc_inode* f = look_up(c, "f");
        llc_attr to = {};
        EXPECT_EQ(llc_setattr(f, &to, LLC_MTIME_NOW, &a), 0);
        EXPECT_EQ(c.stat("/f", &a), 0);
        EXPECT_NE(a.mtime_ns, old);
        llc_inode_put(f);
        EXPECT_EQ(c.utimes("/f", older, old), 0);
        EXPECT_EQ(c.put("/empty", ""), 0);
        EXPECT_EQ(c.utimes("/empty", 0, old), 0);
        EXPECT_EQ(c.stat("/empty", &a), 0);
        EXPECT_EQ(a.mtime_ns, old);
    });
    w.on(1, [&] {
        llc_attr a;
        EXPECT_EQ(w.c(1).stat("/f", &a), 0);
        EXPECT_EQ(a.mtime_ns, old);
        uint64_t now = kapi_realtime_ns();
        int fd = w.c(1).open("/f", SimMount::kWrite);
        EXPECT_EQ(w.c(1).pwrite(fd, 0, "H", 1), 1);
        EXPECT_EQ(w.c(1).close(fd), 0);
        EXPECT_EQ(w.c(1).stat("/f", &a), 0);
        EXPECT_GE(a.mtime_ns, now);
    });
    w.finish();
}
