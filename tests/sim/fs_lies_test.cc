// SPDX-License-Identifier: GPL-2.0-only
// An MDT that says of an object it is something else (its disk was tampered with while it was
// away): clients that know the object do not believe it. Issue 12, fault 19; invariant 11.
#include "osd/store.h"
#include "tests/sim/fs_load.h"

using namespace lull;
using namespace lull::sim;

namespace {

constexpr unsigned kChar = 0020666, kFile = 0100644, kDir = 0040755;

// Another object with the name and the FID of the one that is there.
void replace(Store& store, const char* name, unsigned mode, unsigned rdev)
{
    Ref<Object> root = store.root().release_value();
    Ref<Object> old = store.lookup(*root, name).release_value();
    CreateSpec spec;
    spec.fid = old->fid();
    spec.mode = mode;
    spec.rdev = rdev;
    bool pending = false;
    ASSERT_TRUE(store.unlink(*root, name, *old, &pending).ok());
    old.reset();
    Status gone = pending ? store.destroy_pending(spec.fid) : kOk;
    ASSERT_TRUE(gone.ok());
    ASSERT_TRUE(store.create(*root, name, spec).ok());
}

struct Known {
    const char* name;
    unsigned mode, rdev, other_mode, other_rdev;
    llc_inode* core = nullptr;
    llc_attr attr{};
};

void expect_unmoved(llc_inode* root, const Known& k)
{
    SCOPED_TRACE(k.name);
    llc_attr now{}, to{};
    llc_inode* found = nullptr;
    uint64_t epoch;
    EXPECT_EQ(llc_revalidate(k.core, false, &now), -kESTALE);
    EXPECT_EQ(llc_lookup(root, k.name, 1, &found, &now, &epoch), -kESTALE);
    to.mode = 0600;
    EXPECT_EQ(llc_setattr(k.core, &to, LLC_MODE, &now), -kESTALE);
    std::string link = std::string("link to ") + k.name;
    EXPECT_EQ(llc_link(k.core, root, link.c_str(), link.size(), &now),
              k.other_mode == kDir ? -kEPERM : -kESTALE);
    llc_file* file = nullptr;
    struct llc_create how {};
    bool created;
    if (k.mode != kChar) {
        EXPECT_EQ(llc_open_create(root, k.name, 1, LLC_OPEN_READ, &how, &found, &now, &epoch, &file,
                                  &created),
                  -kESTALE);
        EXPECT_EQ(llc_open(k.core, LLC_OPEN_READ, &file), -kESTALE);
    }
    llc_cached_attr(k.core, &now);
    EXPECT_EQ(now.mode, k.attr.mode);
    EXPECT_EQ(now.rdev, k.attr.rdev);
    EXPECT_EQ(now.nlink, k.attr.nlink);
    EXPECT_EQ(found, nullptr);
}

}  // namespace

TEST(FsLies, AnObjectStaysWhatItIs)
{
    FsWorld w(1);
    std::vector<Known> all = {{"a", kFile, 0, kChar, 0x103},
                              {"b", kFile, 0, kDir, 0},
                              {"c", kChar, 0x103, kChar, 0x101},
                              {"d", kDir, 0, kFile, 0},
                              {"e", kChar, 0x103, kFile, 0}};
    llc_inode* root = nullptr;
    w.on(0, [&] {
        SimMount& c = w.c(0);
        llc_attr attr;
        uint64_t epoch;
        ASSERT_EQ(llc_root(c.core(), &root, &attr), 0);
        for (Known& k : all) {
            std::string path = std::string("/") + k.name;
            EXPECT_EQ(k.mode == kDir ? c.mkdir(path) : c.mknod(path, k.mode, k.rdev), 0);
            EXPECT_EQ(llc_lookup(root, k.name, 1, &k.core, &k.attr, &epoch), 0);
        }
        EXPECT_EQ(c.sync(), 0);
    });
    w.crash(w.mdt());
    w.on(w.mds2, [&] {
        Text<200> why;
        auto store = Store::mount(w.mds2.host->net(), w.mdt().device.c_str(), &why);
        ASSERT_TRUE(store.ok()) << why.c_str();
        for (Known& k : all) replace(*store.value(), k.name, k.other_mode, k.other_rdev);
        ASSERT_TRUE(store.value()->sync().ok());
    });
    ASSERT_EQ(w.start(w.mdt(), w.mds2), 0);
    // Who never knew them sees what is there, and takes the locks away.
    w.on(1, [&] {
        for (Known& k : all) EXPECT_EQ(w.c(1).chmod(std::string("/") + k.name, 0600), 0);
    });
    w.on(0, [&] {
        for (Known& k : all) expect_unmoved(root, k);
        for (Known& k : all) llc_inode_put(k.core);
        llc_inode_put(root);
        EXPECT_EQ(w.c(0).mkdir("/still-fine"), 0);
    });
    w.finish();
}
