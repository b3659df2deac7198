// SPDX-License-Identifier: GPL-2.0-only
// Every operation and reply, in both versions: encoded, decoded, encoded again is the same; cut
// short, made longer, or random bytes give an error or a message, never a crash, and never more
// memory than the limits allow.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "include/lull/ops_connect.h"
#include "include/lull/ops_ldlm.h"
#include "include/lull/ops_mds.h"
#include "include/lull/ops_mgs.h"
#include "include/lull/ops_ost.h"
#include "kapi/sim/world.h"

using namespace lull;

namespace {

// Fills a message by "decoding" chance: the third direction of io().
class Filler {
public:
    static constexpr bool kDecoding = true;
    Filler(uint16_t version, uint64_t seed) : version_(version), rng_(seed) {}
    uint16_t version() const { return version_; }
    void u8(uint8_t& v) { v = static_cast<uint8_t>(rng_()); }
    void u16(uint16_t& v) { v = static_cast<uint16_t>(rng_()); }
    void u32(uint32_t& v)
    {
        v = counting_ ? static_cast<uint32_t>(rng_() % 40) : static_cast<uint32_t>(rng_()) & ~4095u;
    }
    void u64(uint64_t& v) { v = rng_(); }
    void i32(int32_t& v) { v = static_cast<int32_t>(rng_()); }
    void boolean(bool& v) { v = rng_() & 1; }
    void fid(Fid& f)
    {
        f.seq = rng_();
        f.oid = static_cast<uint32_t>(rng_());
        f.ver = version_ == kProtocol1 ? 0 : static_cast<uint32_t>(rng_());
    }
    template <size_t N> void text(Text<N>& t)
    {
        std::string s(rng_() % (N + 1), 'x');
        for (char& c : s) c = static_cast<char>('!' + rng_() % 90);
        t = Text<N>(Str(s.data(), s.size()));
    }
    template <class T> void list(Vec<T>& v, size_t limit)
    {
        ASSERT_TRUE(v.resize(rng_() % (std::min<size_t>(limit, 20) + 1)).ok());
        for (T& e : v) e.io(*this);
    }
    template <class T> void sub(T& t) { t.io(*this); }
    void fail() { ADD_FAILURE(); }
    void count_is_next() { counting_ = true; }

private:
    uint16_t version_;
    std::mt19937_64 rng_;
    bool counting_ = false;
};

template <class T> Bytes encode(T& t, uint16_t version)
{
    Encoder out(version);
    t.io(out);
    EXPECT_TRUE(out.status().ok());
    return std::move(out.output());
}

template <class T> Status decode(T& t, uint16_t version, std::span<const uint8_t> bytes)
{
    Decoder in(version, bytes);
    t.io(in);
    return in.finish();
}

std::vector<uint8_t> vec(const Bytes& b) { return {b.data(), b.data() + b.size()}; }

template <class T> void one_message(uint16_t version, uint64_t seed)
{
    auto original = std::make_unique<T>(), copy = std::make_unique<T>();
    Filler filler(version, seed);
    if constexpr (std::is_same_v<T, LdlmCancelOp>) filler.count_is_next();
    original->io(filler);
    std::vector<uint8_t> bytes = vec(encode(*original, version));
    ASSERT_TRUE(decode(*copy, version, bytes).ok());
    EXPECT_EQ(vec(encode(*copy, version)), bytes);
    // Each shorter one is refused; so is a longer one.
    size_t step = bytes.size() < 300 ? 1 : bytes.size() / 100;
    for (size_t n = 0; n < bytes.size(); n += step) {
        auto t = std::make_unique<T>();
        EXPECT_TRUE(decode(*t, version, {bytes.data(), n}).is(kEPROTO)) << n;
    }
    bytes.push_back(0);
    auto longer = std::make_unique<T>();
    EXPECT_TRUE(decode(*longer, version, bytes).is(kEPROTO));
    // Damaged ones: what is accepted can be encoded again.
    std::mt19937_64 rng(seed);
    bytes.pop_back();
    for (int i = 0; i < 50 && !bytes.empty(); i++) {
        std::vector<uint8_t> bad = bytes;
        for (int n = 0; n < 1 + i % 4; n++)
            bad[rng() % bad.size()] = i % 2 ? 0xff : static_cast<uint8_t>(rng());
        auto t = std::make_unique<T>();
        if (decode(*t, version, bad).ok()) (void)encode(*t, version);
    }
}

template <class T> void every_way()
{
    for (uint16_t version : {kProtocol1, kProtocol2})
        for (uint64_t seed = 1; seed <= 20; seed++) one_message<T>(version, seed);
}

template <class Op> void op_and_reply()
{
    every_way<Op>();
    every_way<typename Op::Reply>();
}

}  // namespace

TEST(Codec, Connection)
{
    op_and_reply<ConnectOp>();
    op_and_reply<DisconnectOp>();
    op_and_reply<PingOp>();
    op_and_reply<ReplayDoneOp>();
}

TEST(Codec, Ldlm)
{
    op_and_reply<LdlmEnqueueOp>();
    op_and_reply<ActiveEnqueueOp>();
    op_and_reply<LdlmCancelOp>();
    op_and_reply<LdlmBlAst>();
}

// The sender of a cancel takes any other error for the end of its locks.
TEST(Codec, NoMemoryIsNoBadMessage)
{
    LdlmCancelOp op;
    ASSERT_TRUE(op.server_handles.push_back(5).ok());
    Encoder out(kProtocol2);
    op.io(out);
    Status s;
    sim::RunResult r = sim::run(1, [&] {
        sim::world().current_host()->fail_allocation_nth(1);
        LdlmCancelOp got;
        Decoder in(kProtocol2, {out.output().data(), out.output().size()});
        got.io(in);
        s = in.finish();
    });
    EXPECT_TRUE(r.ok) << r.failure;
    EXPECT_TRUE(s.is(kENOMEM)) << s.error();
}

TEST(Codec, Mgs)
{
    op_and_reply<MgsRegisterOp>();
    op_and_reply<MgsConfigOp>();
    op_and_reply<MgsSettingsOp>();
    op_and_reply<MgsOstsUsedOp>();
}

TEST(Codec, Mds)
{
    op_and_reply<MdsGetattrOp>();
    op_and_reply<MdsReaddirOp>();
    op_and_reply<MdsReadlinkOp>();
    op_and_reply<MdsStatfsOp>();
    op_and_reply<MdsSyncOp>();
    op_and_reply<MdsGetSeqOp>();
    op_and_reply<MdsOpenOp>();
    op_and_reply<MdsCloseOp>();
    op_and_reply<MdsCreateOp>();
    op_and_reply<MdsUnlinkOp>();
    op_and_reply<MdsLinkOp>();
    op_and_reply<MdsRenameOp>();
    op_and_reply<MdsSetattrOp>();
    op_and_reply<MdsSetLayoutOp>();
}

TEST(Codec, Ost)
{
    op_and_reply<OstReadOp>();
    op_and_reply<OstWriteOp>();
    op_and_reply<OstPunchOp>();
    op_and_reply<OstSetattrOp>();
    op_and_reply<OstGetattrOp>();
    op_and_reply<OstDestroyOp>();
    op_and_reply<OstStatfsOp>();
    op_and_reply<OstSyncOp>();
    op_and_reply<OstListOp>();
    op_and_reply<LdlmFlockOp>();
    op_and_reply<LdlmFlockCancelOp>();
    op_and_reply<LdlmFlockReplayOp>();
}

// S9: the two versions are really two.
TEST(Codec, VersionsDiffer)
{
    MdsOpenOp op;
    op.fid = Fid{1, 2, 0};
    op.name = "file";
    op.flags = kOpenCreate;
    EXPECT_NE(vec(encode(op, kProtocol1)), vec(encode(op, kProtocol2)));
}

TEST(Codec, LengthsAreNotBelieved)
{
    uint8_t huge[8] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    Vec<StripeObject> list;
    Decoder a(kProtocol2, huge);
    a.list(list, kStripesMax);
    EXPECT_TRUE(a.status().is(kEPROTO));
    Bytes bytes;
    Decoder b(kProtocol2, huge);
    b.bytes(bytes, 1u << 20);
    EXPECT_TRUE(b.status().is(kEPROTO));
    Text<20> text;
    Decoder c(kProtocol2, huge);
    c.text(text);
    EXPECT_TRUE(c.status().is(kEPROTO));
    const uint8_t with_nul[] = {3, 0, 'a', 0, 'b'};
    Decoder d(kProtocol2, with_nul);
    d.text(text);
    EXPECT_TRUE(d.status().is(kEPROTO));
    uint64_t v = 5;
    d.u64(v);  // errors stick, and give zero
    EXPECT_EQ(v, 0u);
}

TEST(Opcodes, TableIsSound)
{
    for (const OpcodeInfo& row : kOpcodeTable) {
        EXPECT_EQ(opcode_info(static_cast<uint16_t>(row.opcode)), &row) << row.name;
        if (row.slot) {
            EXPECT_TRUE(row.modifies) << row.name;
        }
    }
    EXPECT_EQ(opcode_info(uint16_t{0}), nullptr);
    EXPECT_EQ(opcode_info(uint16_t{9999}), nullptr);
}
