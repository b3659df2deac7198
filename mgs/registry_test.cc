// SPDX-License-Identifier: GPL-2.0-only
#include "mgs/registry.h"

#include <gtest/gtest.h>

using namespace lull;

namespace {

MgsRegisterOp registration(const char* fsname, TargetKind kind, uint32_t index, const char* uuid)
{
    MgsRegisterOp op;
    op.fsname = fsname;
    op.target.name = target_name_of(fsname, kind, index);
    op.target.kind = static_cast<uint8_t>(kind);
    op.target.index = index;
    op.target.nids = "10.0.0.1@tcp:10.0.0.2@tcp";
    op.target_uuid = uuid;
    return op;
}

TEST(MgsRegistration, Checks)
{
    EXPECT_EQ(Str("lull-OST001a"), target_name_of("lull", TargetKind::kOst, 26).str());
    EXPECT_TRUE(check_registration(registration("lull", TargetKind::kOst, 1, "u")).ok());
    EXPECT_FALSE(check_registration(registration("", TargetKind::kOst, 1, "u")).ok());
    EXPECT_FALSE(check_registration(registration("a/b", TargetKind::kOst, 1, "u")).ok());
    EXPECT_FALSE(check_registration(registration("lull", TargetKind::kMgs, 1, "u")).ok());
    EXPECT_FALSE(check_registration(registration("lull", TargetKind::kOst, 1, "u\nname=x")).ok());
    EXPECT_FALSE(check_registration(registration("lull", TargetKind::kOst, 70000, "u")).ok());
    MgsRegisterOp op = registration("lull", TargetKind::kOst, 1, "u");
    op.target.name = "lull-OST0002";
    EXPECT_FALSE(check_registration(op).ok());
    op = registration("lull", TargetKind::kOst, 1, "u");
    op.target.nids = "nonsense";
    EXPECT_FALSE(check_registration(op).ok());
}

TEST(MgsRegistration, TextRoundTrip)
{
    Registration r;
    MgsRegisterOp op = registration("lull", TargetKind::kMdt, 0, "uuid-1");
    r.fsname = op.fsname;
    r.target = op.target;
    r.uuid = op.target_uuid;
    TextSink text(2048);
    ASSERT_TRUE(registration_to_text(r, text).ok());
    auto back = registration_from_text(text.text());
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(Str("lull-MDT0000"), back.value()->target.name.str());
    EXPECT_EQ(Str("uuid-1"), back.value()->uuid.str());
    EXPECT_EQ(r.target.nids.str(), back.value()->target.nids.str());
    for (size_t n = 0; n < text.text().size(); n++)
        EXPECT_FALSE(registration_from_text(text.text().substr(0, n)).ok()) << n;
    EXPECT_FALSE(registration_from_text("registration=1\nwhat=ever\n").ok());
}

// As Lustre's conf_param and set_param -P have it.
TEST(MgsRegistration, Settings)
{
    for (const char* text :
         {"lull-OST0001.osc.active=0", "osp.lull-OST0001*.active=0", "lull-OST0001.active=0\n"}) {
        SettingText setting;
        ASSERT_TRUE(parse_setting(text, &setting).ok()) << text;
        EXPECT_EQ(Str("lull-OST0001"), setting.target);
        EXPECT_EQ(Str("active"), setting.key);
        EXPECT_EQ(0u, setting.value);
    }
    for (const char* text : {"", "=0", "active=0", "lull-OST0001.active", "a.b.active=0",
                             "osc.active=0", "lull-OST0001.active=no"}) {
        SettingText setting;
        EXPECT_FALSE(parse_setting(text, &setting).ok()) << text;
    }
    Registration r;
    MgsRegisterOp op = registration("lull", TargetKind::kOst, 1, "uuid-1");
    r.fsname = op.fsname;
    r.target = op.target;
    r.uuid = op.target_uuid;
    EXPECT_TRUE(set_setting({{}, "active", 0}, &r).ok());
    EXPECT_TRUE(set_setting({{}, "active", 2}, &r).is(kEINVAL));
    EXPECT_TRUE(set_setting({{}, "max_create_count", 0}, &r).ok());
    EXPECT_TRUE(set_setting({{}, "what", 0}, &r).is(kEINVAL));
    TextSink text(2048);
    ASSERT_TRUE(registration_to_text(r, text).ok());
    auto back = registration_from_text(text.text());
    ASSERT_TRUE(back.ok());
    EXPECT_FALSE(back.value()->active);
    EXPECT_EQ(0u, back.value()->max_create_count);
    r.target.kind = static_cast<uint8_t>(TargetKind::kMdt);
    EXPECT_TRUE(set_setting({{}, "active", 0}, &r).is(kEINVAL));
    // what an MGS of version 0.1 does not understand, it has to pass over
    std::string all(text.text().data(), text.text().size());
    EXPECT_EQ(all.find("\nactive="), std::string::npos) << all;
    TextSink before(2048);
    before.printf(
        "registration=1\nfsname=lull\nname=lull-OST0001\nkind=3\nindex=1\nuuid=u\n"
        "nids=10.0.0.1@tcp\nactive=0\n");
    auto old = registration_from_text(before.text());
    ASSERT_TRUE(old.ok());
    EXPECT_FALSE(old.value()->active);
}

// An MGS of version 0.1 takes what was removed for no registration.
TEST(MgsRegistration, Removed)
{
    Registration r;
    MgsRegisterOp op = registration("lull", TargetKind::kOst, 1, "uuid-1");
    r.fsname = op.fsname;
    r.target = op.target;
    r.uuid = op.target_uuid;
    r.removed = true;
    TextSink text(2048);
    ASSERT_TRUE(registration_to_text(r, text).ok());
    EXPECT_TRUE(text.text().starts_with("removed=1\n"));
    auto back = registration_from_text(text.text());
    ASSERT_TRUE(back.ok());
    EXPECT_TRUE(back.value()->removed);
    EXPECT_EQ(26u, ost_index_of("lull-OST001a").value());
    for (const char* name : {"", "-OST001", "lull-MDT0000", "lull-OST001G", "lull-OST00010"})
        EXPECT_FALSE(ost_index_of(name).ok()) << name;
}

}  // namespace
