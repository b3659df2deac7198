/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Result<T>: a value or a negative errno. Status: success or a negative errno. TRY(x) returns from
 * the caller on error.
 */
#pragma once
#include <new>
#include <type_traits>
#include <utility>

#include "kapi/assert.h"
#include "kapi/errno.h"

namespace lull {

class [[nodiscard]] Status {
public:
    constexpr Status() = default;
    constexpr Status(int negative_errno) : error_(negative_errno) {}  // 0 is success
    constexpr bool ok() const { return error_ == 0; }
    constexpr int error() const { return error_; }
    constexpr bool is(int positive_errno) const { return error_ == -positive_errno; }

private:
    int error_ = 0;
};
inline constexpr Status kOk{};

template <class T> class [[nodiscard]] Result {
    static_assert(!std::is_reference_v<T>, "return a pointer instead");

public:
    Result(Status error) : error_(error.error()) { LULL_ASSERT(!error.ok()); }
    Result(int negative_errno) requires(!std::is_same_v<T, int>) : error_(negative_errno)
    {
        LULL_ASSERT(negative_errno < 0);
    }
    Result(T value) { new (&storage_.value) T(std::move(value)); }
    Result(Result&& other) : error_(other.error_)
    {
        if (ok()) new (&storage_.value) T(std::move(other.storage_.value));
    }
    Result(const Result&) = delete;
    Result& operator=(const Result&) = delete;
    ~Result()
    {
        if (ok()) storage_.value.~T();
    }

    bool ok() const { return error_ == 0; }
    int error() const { return error_; }
    bool is(int positive_errno) const { return error_ == -positive_errno; }
    Status status() const { return Status(error_); }
    T& value()
    {
        LULL_ASSERT(ok());
        return storage_.value;
    }
    const T& value() const
    {
        LULL_ASSERT(ok());
        return storage_.value;
    }
    T release_value()
    {
        LULL_ASSERT(ok());
        return std::move(storage_.value);
    }

private:
    union Storage {
        Storage() {}
        ~Storage() {}
        T value;
    } storage_;
    int error_ = 0;
};

namespace detail {
inline void release_ok(Status&) {}
template <class T> T release_ok(Result<T>& r) { return r.release_value(); }
}  // namespace detail

}  // namespace lull

// Evaluates a Status or Result expression; on error returns it from the enclosing function, else
// yields the value.
#define TRY(expression)                                                    \
    __extension__({                                                        \
        auto&& try_result_ = (expression);                                 \
        if (!try_result_.ok()) return ::lull::Status(try_result_.error()); \
        ::lull::detail::release_ok(try_result_);                           \
    })
