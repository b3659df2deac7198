/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ownership. Owned<T> is a unique pointer; make<T>() allocates and returns null when there is no
 * memory. RefCounted/Ref<T> is an intrusive shared pointer; adopt<T>() / make_ref<T>() create the
 * first reference.
 */
#pragma once
#include <atomic>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "kapi/assert.h"
#include "kapi/kapi.h"

extern "C" {
void* memcpy(void*, const void*, size_t) noexcept;
void* memmove(void*, const void*, size_t) noexcept;
void* memset(void*, int, size_t) noexcept;
int memcmp(const void*, const void*, size_t) noexcept;
size_t strlen(const char*) noexcept;
}

namespace lull {

template <class T> class Owned {
public:
    Owned() = default;
    Owned(std::nullptr_t) {}
    explicit Owned(T* p) : p_(p) {}
    template <class U>
    Owned(Owned<U>&& other) requires(std::is_convertible_v<U*, T*>) : p_(other.release())
    {}
    Owned& operator=(Owned&& other)
    {
        reset(other.release());
        return *this;
    }
    Owned(const Owned&) = delete;
    ~Owned() { reset(); }

    void reset(T* p = nullptr)
    {
        T* old = std::exchange(p_, p);
        if (old) {
            old->~T();
            kapi_free(const_cast<std::remove_const_t<T>*>(old));
        }
    }
    T* release() { return std::exchange(p_, nullptr); }
    T* get() const { return p_; }
    T* operator->() const { return p_; }
    T& operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }

private:
    T* p_ = nullptr;
};

// Null when out of memory. Classes with bases: T's base must be its first base (same address), as
// everywhere in the core.
template <class T, class... Args> Owned<T> make(Args&&... args)
{
    void* p = kapi_zalloc(sizeof(T));
    return Owned<T>(p ? new (p) T(std::forward<Args>(args)...) : nullptr);
}

class RefCounted {
public:
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;
    void ref() const { refs_.fetch_add(1, std::memory_order_relaxed); }
    // True if it was the last one; the caller destroys.
    bool unref() const { return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
    // For lookups in tables that hold no reference: false when the object is already dying.
    bool try_ref() const
    {
        unsigned n = refs_.load(std::memory_order_relaxed);
        while (n != 0)
            if (refs_.compare_exchange_weak(n, n + 1, std::memory_order_relaxed)) return true;
        return false;
    }
    unsigned ref_count_for_tests() const { return refs_.load(); }

protected:
    RefCounted() = default;
    virtual ~RefCounted() = default;
    template <class T> friend class Ref;

private:
    mutable std::atomic<unsigned> refs_{1};
};

// T derives (first base) from RefCounted.
template <class T> class Ref {
public:
    Ref() = default;
    Ref(std::nullptr_t) {}
    // takes a further reference
    explicit Ref(T* p) : p_(p)
    {
        if (p_) p_->ref();
    }
    Ref(const Ref& o) : p_(o.p_)
    {
        if (p_) p_->ref();
    }
    Ref(Ref&& o) : p_(std::exchange(o.p_, nullptr)) {}
    template <class U> Ref(const Ref<U>& o) requires(std::is_convertible_v<U*, T*>) : p_(o.get())
    {
        if (p_) p_->ref();
    }
    Ref& operator=(Ref o)
    {
        std::swap(p_, o.p_);
        return *this;
    }
    // The analyzer of clang 14 takes the end of a union (Result's) for that of its member.
    ~Ref() { drop(p_); }  // NOLINT(clang-analyzer-core.CallAndMessage)

    // takes over the caller's reference
    static Ref adopt(T* p)
    {
        Ref r;
        r.p_ = p;
        return r;
    }
    T* leak() { return std::exchange(p_, nullptr); }
    void reset() { drop(std::exchange(p_, nullptr)); }
    T* get() const { return p_; }
    T* operator->() const { return p_; }
    T& operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }
    friend bool operator==(const Ref& a, const Ref& b) { return a.p_ == b.p_; }

private:
    static void drop(T* p)
    {
        if (p && p->unref()) {
            const RefCounted* base = p;
            base->~RefCounted();  // virtual
            kapi_free(const_cast<RefCounted*>(base));
        }
    }
    T* p_ = nullptr;
};

template <class T, class... Args> Ref<T> make_ref(Args&&... args)
{
    void* p = kapi_zalloc(sizeof(T));
    return p ? Ref<T>::adopt(new (p) T(std::forward<Args>(args)...)) : Ref<T>();
}

}  // namespace lull
