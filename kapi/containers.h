/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Containers of the core: fallible Vec<T>, fixed Text<N>, and the Boost.Intrusive hooks everyone
 * uses. Vec grows by doubling; push_back fails with -ENOMEM and leaves the vector as it was.
 */
#pragma once
#ifndef BOOST_ENABLE_ASSERT_HANDLER
#define BOOST_ENABLE_ASSERT_HANDLER
#endif
#include <cstdint>
#include <span>
#include <type_traits>

#include "kapi/memory.h"
#include "kapi/result.h"

namespace lull {

template <class T> class Vec {
public:
    Vec() = default;
    Vec(Vec&& o) { swap(o); }
    Vec& operator=(Vec&& o)
    {
        swap(o);
        return *this;
    }
    Vec(const Vec&) = delete;
    ~Vec()
    {
        clear();
        kapi_free(data_);
    }

    Status reserve(size_t n)
    {
        if (n <= capacity_) return kOk;
        // NOLINTNEXTLINE(bugprone-sizeof-expression): T may be a pointer
        T* fresh = static_cast<T*>(kapi_alloc(n * sizeof(T)));
        if (!fresh) return -kENOMEM;
        if constexpr (kPlainBytes) {
            if (size_) memcpy(fresh, data_, size_);
        } else {
            for (size_t i = 0; i < size_; i++) {
                new (&fresh[i]) T(std::move(data_[i]));
                data_[i].~T();
            }
        }
        kapi_free(data_);
        data_ = fresh;
        capacity_ = n;
        return kOk;
    }
    Status push_back(T value)
    {
        if (size_ == capacity_) TRY(reserve(capacity_ ? 2 * capacity_ : 4));
        new (&data_[size_++]) T(std::move(value));
        return kOk;
    }
    // New elements are value-initialised.
    Status resize(size_t n)
    {
        TRY(reserve(n));
        while (size_ > n) data_[--size_].~T();
        if constexpr (kPlainBytes) {
            if (size_ < n) memset(data_ + size_, 0, n - size_);
            size_ = n;
        }
        while (size_ < n) new (&data_[size_++]) T();
        return kOk;
    }
    Status assign(const T* from, size_t n)
    {
        clear();
        TRY(reserve(n));
        if constexpr (kPlainBytes) {
            if (n) memcpy(data_, from, n);
            size_ = n;
        }
        for (; size_ < n; size_++) new (&data_[size_]) T(from[size_]);
        return kOk;
    }
    void erase_at(size_t i)  // keeps the order
    {
        LULL_ASSERT(i < size_);
        for (; i + 1 < size_; i++) data_[i] = std::move(data_[i + 1]);
        data_[--size_].~T();
    }
    void pop_back()
    {
        LULL_ASSERT(size_);
        data_[--size_].~T();
    }
    void clear()
    {
        while (size_) data_[--size_].~T();
    }
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T& operator[](size_t i)
    {
        LULL_ASSERT(i < size_);
        return data_[i];
    }
    const T& operator[](size_t i) const
    {
        LULL_ASSERT(i < size_);
        return data_[i];
    }
    T& back()
    {
        LULL_ASSERT(size_);
        return data_[size_ - 1];
    }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }
    operator std::span<T>() { return {data_, size_}; }
    operator std::span<const T>() const { return {data_, size_}; }
    void swap(Vec& o)
    {
        std::swap(data_, o.data_);
        std::swap(size_, o.size_);
        std::swap(capacity_, o.capacity_);
    }

private:
    // A store of a byte may change any member, so that the compiler makes no memset of a loop.
    static constexpr bool kPlainBytes = std::is_same_v<T, uint8_t>;
    T* data_ = nullptr;
    size_t size_ = 0, capacity_ = 0;
};

using Bytes = Vec<uint8_t>;

// A view of characters, not necessarily terminated.
class Str {
public:
    constexpr Str() = default;
    constexpr Str(const char* s, size_t n) : s_(s), n_(n) {}
    constexpr Str(const char* s) : s_(s), n_(s ? __builtin_strlen(s) : 0) {}
    constexpr const char* data() const { return s_; }
    constexpr size_t size() const { return n_; }
    constexpr bool empty() const { return n_ == 0; }
    constexpr char operator[](size_t i) const { return s_[i]; }
    Str substr(size_t from, size_t n = SIZE_MAX) const
    {
        if (from > n_) from = n_;
        return Str(s_ + from, n < n_ - from ? n : n_ - from);
    }
    bool starts_with(Str p) const { return n_ >= p.n_ && memcmp(s_, p.s_, p.n_) == 0; }
    size_t find(char c, size_t from = 0) const
    {
        for (size_t i = from; i < n_; i++)
            if (s_[i] == c) return i;
        return SIZE_MAX;
    }
    friend bool operator==(Str a, Str b)
    {
        return a.n_ == b.n_ && (a.n_ == 0 || memcmp(a.s_, b.s_, a.n_) == 0);
    }
    friend bool operator<(Str a, Str b)
    {
        int c = memcmp(a.s_, b.s_, a.n_ < b.n_ ? a.n_ : b.n_);
        return c < 0 || (c == 0 && a.n_ < b.n_);
    }

private:
    const char* s_ = "";
    size_t n_ = 0;
};
#define STR_FMT "%.*s"
#define STR_ARG(s) static_cast<int>((s).size()), (s).data()

// A string of at most N characters, always terminated, no allocation.
template <size_t N> class Text {
public:
    Text() = default;
    Text(Str s) { (void)assign(s); }
    Text(const char* s) { (void)assign(Str(s)); }
    Status assign(Str s)  // -ENAMETOOLONG and truncated
    {
        size_t n = s.size() < N ? s.size() : N;
        memmove(s_, s.data(), n);
        s_[n] = 0;
        n_ = static_cast<uint16_t>(n);
        return s.size() > N ? Status(-kENAMETOOLONG) : kOk;
    }
    Status append(Str s)
    {
        size_t n = s.size() < N - n_ ? s.size() : N - n_;
        memmove(s_ + n_, s.data(), n);
        n_ = static_cast<uint16_t>(n_ + n);
        s_[n_] = 0;
        return n < s.size() ? Status(-kENAMETOOLONG) : kOk;
    }
    const char* c_str() const { return s_; }
    Str str() const { return Str(s_, n_); }
    operator Str() const { return str(); }
    size_t size() const { return n_; }
    bool empty() const { return n_ == 0; }
    friend bool operator==(const Text& a, Str b) { return a.str() == b; }
    static constexpr size_t capacity() { return N; }

private:
    static_assert(N < 65535);
    char s_[N + 1] = {};
    uint16_t n_ = 0;
};

// Formats into a Text; truncates.
template <size_t N, class... Args> Text<N> text_format(const char* format, Args... args)
{
    char buffer[N + 1];
    kapi_snprintf(buffer, sizeof buffer, format, args...);
    return Text<N>(Str(buffer));
}

}  // namespace lull

#include "kapi/boost_assert.h"

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

namespace lull {
namespace bi = boost::intrusive;
using ListHook = bi::list_member_hook<bi::link_mode<bi::safe_link>>;
using SetHook = bi::set_member_hook<bi::link_mode<bi::safe_link>>;
// List<T, &T::hook_>: intrusive, does not own; size() is constant time.
template <class T, ListHook T::*Hook> using List = bi::list<T, bi::member_hook<T, ListHook, Hook>>;
}  // namespace lull
