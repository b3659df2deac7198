/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Encoder and Decoder of message bodies and on-disk records. A structure describes its fields once,
 * for both directions:
 *
 *     template <class Io> void io(Io& x) { x.fid(parent); x.text(name); x.u32(mode); }
 *
 * so that the two can never disagree; where protocol versions differ, io() asks x.version().
 * Everything is little-endian without padding. Errors are sticky: -ENOMEM when encoding, -EPROTO
 * when decoding bytes that end early or exceed a limit. The decoder is the only reader of a peer's
 * bytes; it never trusts a length.
 */
#pragma once
#include "include/lull/fid.h"
#include "kapi/containers.h"

namespace lull {

enum ProtocolVersion : uint16_t { kProtocolNone = 0, kProtocol1 = 1, kProtocol2 = 2 };

class Encoder {
public:
    static constexpr bool kDecoding = false;
    explicit Encoder(uint16_t version) : version_(version) {}
    uint16_t version() const { return version_; }
    void u8(const uint8_t& v) { put(v, 1); }
    void u16(const uint16_t& v) { put(v, 2); }
    void u32(const uint32_t& v) { put(v, 4); }
    void u64(const uint64_t& v) { put(v, 8); }
    void i32(const int32_t& v) { put(static_cast<uint32_t>(v), 4); }
    void boolean(const bool& v) { put(v ? 1 : 0, 1); }
    void raw(const void* p, size_t n)
    {
        if (!status_.ok()) return;
        size_t at = out_.size();
        if (at + n > room_) status_ = out_.reserve(room_ = grown(at + n));
        if (status_.ok()) status_ = out_.resize(at + n);
        if (status_.ok() && n) memcpy(&out_[at], p, n);
    }
    // An object's name in the form of the version: {seq, oid, ver} or {inode number, generation,
    // 0}.
    void fid(const Fid& f)
    {
        u64(f.seq);
        u32(f.oid);
        u32(version_ == kProtocol1 ? 0 : f.ver);
    }
    template <size_t N> void text(const Text<N>& t)
    {
        u16(static_cast<uint16_t>(t.size()));
        raw(t.c_str(), t.size());
    }
    void bytes(const Bytes& b, size_t /*limit*/)
    {
        u32(static_cast<uint32_t>(b.size()));
        raw(b.data(), b.size());
    }
    template <class T> void list(Vec<T>& v, size_t /*limit*/)
    {
        u32(static_cast<uint32_t>(v.size()));
        for (T& e : v) e.io(*this);
    }
    template <class T> void sub(T& t) { t.io(*this); }

    Status status() const { return status_; }
    Bytes& output() { return out_; }

private:
    size_t grown(size_t need) const { return need < 128 ? 128 : need + need / 2; }
    void put(uint64_t v, unsigned n)
    {
        uint8_t b[8];
        for (unsigned i = 0; i < n; i++) b[i] = static_cast<uint8_t>(v >> (8 * i));
        raw(b, n);
    }
    uint16_t version_;
    Status status_;
    size_t room_ = 0;
    Bytes out_;
};

class Decoder {
public:
    static constexpr bool kDecoding = true;
    Decoder(uint16_t version, std::span<const uint8_t> in) : version_(version), in_(in) {}
    uint16_t version() const { return version_; }
    void u8(uint8_t& v) { v = static_cast<uint8_t>(get(1)); }
    void u16(uint16_t& v) { v = static_cast<uint16_t>(get(2)); }
    void u32(uint32_t& v) { v = static_cast<uint32_t>(get(4)); }
    void u64(uint64_t& v) { v = get(8); }
    void i32(int32_t& v) { v = static_cast<int32_t>(get(4)); }
    void boolean(bool& v) { v = get(1) != 0; }
    void fid(Fid& f)
    {
        u64(f.seq);
        u32(f.oid);
        u32(f.ver);
        if (version_ == kProtocol1) f.ver = 0;
    }
    template <size_t N> void text(Text<N>& t)
    {
        size_t n = get(2);
        if (n > N || n > left()) return fail();
        Str s(reinterpret_cast<const char*>(in_.data()) + at_, n);
        if (s.find(0) != SIZE_MAX) return fail();
        (void)t.assign(s);
        at_ += n;
    }
    void bytes(Bytes& b, size_t limit)
    {
        size_t n = get(4);
        if (n > limit || n > left()) return fail();
        if (Status s = b.assign(in_.data() + at_, n); !s.ok()) status_ = s;
        at_ += n;
    }
    template <class T> void list(Vec<T>& v, size_t limit)
    {
        size_t n = get(4);
        if (n > limit) return fail();
        for (size_t i = 0; i < n && status_.ok(); i++) {
            T e;
            e.io(*this);
            if (status_.ok()) status_ = v.push_back(std::move(e));
        }
    }
    template <class T> void sub(T& t) { t.io(*this); }
    void fail()
    {
        if (status_.ok()) status_ = Status(-kEPROTO);
    }

    size_t left() const { return in_.size() - at_; }
    Status status() const { return status_; }
    // For the end of a message: bytes that nobody asked for are an error, too.
    Status finish()
    {
        if (left()) fail();
        return status_;
    }

private:
    uint64_t get(unsigned n)
    {
        if (!status_.ok() || left() < n) {
            fail();
            return 0;
        }
        uint64_t v = 0;
        for (unsigned i = 0; i < n; i++) v |= static_cast<uint64_t>(in_[at_ + i]) << (8 * i);
        at_ += n;
        return v;
    }
    uint16_t version_;
    std::span<const uint8_t> in_;
    size_t at_ = 0;
    Status status_;
};

}  // namespace lull
