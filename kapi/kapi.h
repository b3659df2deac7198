/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kapi: everything the core asks of an operating system, as a C ABI. Carried by kapi/linux in the
 * kernel and by kapi/sim in the simulator and the unit tests. The C++ faces beside this file are
 * what the core uses.
 *
 * Units: times in nanoseconds (…_ns), sizes in bytes. Errors: negative errno (see errno.h). Unless
 * said otherwise a function may sleep and is called from task context only.
 */
#pragma once

#if defined(__KERNEL__) && !defined(__cplusplus)
#include <linux/limits.h>
#include <linux/types.h>
#ifndef UINT64_MAX
#define UINT64_MAX U64_MAX
#endif
#else
#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#define KAPI_NORETURN [[noreturn]]
#else
#define KAPI_NORETURN
#endif

/* ---- memory. NULL when there is none; sizes up to KAPI_ALLOC_MAX_BYTES. Never recurses into the
 * file system. */
#define KAPI_ALLOC_MAX_BYTES (8u << 20)
void *kapi_alloc(size_t bytes);
void *kapi_zalloc(size_t bytes);
void kapi_free(void *p); /* NULL is fine */

/* ---- mutex: sleeping lock. Opaque storage, large enough for a lockdep kernel. rank: enum
 * LockRank. */
struct kapi_mutex {
    uint64_t opaque[32];
};
void kapi_mutex_init(struct kapi_mutex *m, unsigned rank);
void kapi_mutex_destroy(struct kapi_mutex *m);
void kapi_mutex_lock(struct kapi_mutex *m);
void kapi_mutex_unlock(struct kapi_mutex *m);
bool kapi_mutex_is_mine(struct kapi_mutex *m); /* for assertions only */

/* ---- condition variable, waited on with one mutex held. */
enum kapi_wait_mode {
    KAPI_WAIT_UNINTERRUPTIBLE = 0,
    KAPI_WAIT_KILLABLE = 1,      /* -ERESTARTSYS on a fatal signal */
    KAPI_WAIT_INTERRUPTIBLE = 2, /* -ERESTARTSYS on any signal (A9) */
};
#define KAPI_FOREVER UINT64_MAX
struct kapi_cond {
    uint64_t opaque[16];
};
void kapi_cond_init(struct kapi_cond *c);
void kapi_cond_destroy(struct kapi_cond *c);
/* Releases m, sleeps, takes m again. 0 when woken (maybe spuriously), -ETIMEDOUT once kapi_now_ns()
 * >= deadline_ns, -ERESTARTSYS by mode. A task that kapi_cond_wake_one() chose returns 0, whatever
 * signal it has by then: no wake-up goes to one who leaves. */
int kapi_cond_wait(struct kapi_cond *c, struct kapi_mutex *m, uint64_t deadline_ns,
                   enum kapi_wait_mode mode);
void kapi_cond_wake_one(struct kapi_cond *c);
void kapi_cond_wake_all(struct kapi_cond *c);
/* the calling task has a signal that an interruptible wait would report */
bool kapi_signal_pending(void);
bool kapi_fatal_signal_pending(void);

/* ---- tasks. fn runs in a task of its own; join waits for its return and frees the handle. */
struct kapi_task;
int kapi_task_start(struct kapi_task **out, void (*fn)(void *arg), void *arg, const char *name);
void kapi_task_join(struct kapi_task *t);
void kapi_yield(void);
void kapi_sleep_ns(uint64_t ns); /* only for back-off, never to wait for a condition */
/* A number that names the calling task as long as it lives. */
uint64_t kapi_task_self(void);

/* ---- time and chance */
uint64_t kapi_now_ns(void);      /* monotonic */
uint64_t kapi_realtime_ns(void); /* since 1970 */
uint64_t kapi_random_u64(void);

/* ---- drain reference: a per-CPU counter, its fast path touches no shared cache line (the
 * gate). */
struct kapi_drainref {
    uint64_t opaque[24];
};
int kapi_drainref_init(struct kapi_drainref *r);     /* starts live */
void kapi_drainref_destroy(struct kapi_drainref *r); /* must be killed and drained, or never used */
bool kapi_drainref_tryget(struct kapi_drainref *r);  /* false once killed */
void kapi_drainref_put(struct kapi_drainref *r);
/* no new references; not to be called twice without a revive */
void kapi_drainref_kill(struct kapi_drainref *r);
/* after kill: 0 when none is left, -ETIMEDOUT */
int kapi_drainref_wait(struct kapi_drainref *r, uint64_t deadline_ns);
/* after kill: live again (references may still be held) */
void kapi_drainref_revive(struct kapi_drainref *r);

/* ---- stream sockets (TCP). Addresses are IPv4 in host order. A node is what kapi_net stands for:
 * a network namespace in the kernel, a simulated host in the simulator. */
struct kapi_net;
struct kapi_sock;
struct kapi_iov {
    void *base;
    size_t bytes;
};
int kapi_sock_listen(struct kapi_net *net, uint16_t port, struct kapi_sock **out);
int kapi_sock_create(struct kapi_net *net, struct kapi_sock **out); /* to connect with */
/* Once for each. -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH…, -ESHUTDOWN after or at a
 * shutdown */
int kapi_sock_connect(struct kapi_sock *s, uint32_t addr, uint16_t port, uint64_t deadline_ns);
/* -ESHUTDOWN after shutdown */
int kapi_sock_accept(struct kapi_sock *listener, struct kapi_sock **out, uint32_t *peer_addr);
/* Sends everything or fails; -EPIPE/-ECONNRESET/-ESHUTDOWN when the connection is gone. One sender
 * at a time. */
int kapi_sock_send(struct kapi_sock *s, const struct kapi_iov *iov, unsigned count);
/* Receives exactly bytes or fails; -ECONNRESET also at end of stream. */
int kapi_sock_recv(struct kapi_sock *s, void *buf, size_t bytes);
uint32_t kapi_sock_local_addr(struct kapi_sock *s);
/* wakes every sender, receiver, acceptor and connector; may be called any time */
void kapi_sock_shutdown(struct kapi_sock *s);
void kapi_sock_close(struct kapi_sock *s); /* frees; nobody may be inside */
/* First IPv4 address of the node that is not loopback, 0 if none. */
uint32_t kapi_net_default_addr(struct kapi_net *net);

/* ---- checks, logging, text */
uint32_t kapi_crc32c(uint32_t seed, const void *data, size_t bytes);
enum kapi_log_level { KAPI_ERR = 3, KAPI_WARN = 4, KAPI_NOTICE = 5, KAPI_INFO = 6, KAPI_DEBUG = 7 };
/* One line, no trailing newline; "Lull: " is put before it. Formats both worlds know: %s %.*s %c %d
 * %u %ld %lu %lld %llu %x %llx %zu %p with width and zero padding. KAPI_DEBUG is dropped unless
 * enabled. */
void kapi_log(enum kapi_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* ---- trace points (B4): lull:controlled_shutdown, … in Linux, lines of the trace in the
 * simulator. Any context; nothing is kept. device: as in "lctl dl", or the target's name. */
enum kapi_machine { KAPI_SHUTDOWN, KAPI_ACTIVE_LOCK, KAPI_IMPORT, KAPI_RECOVERY };
void kapi_trace_state(enum kapi_machine machine, const char *device, const char *from,
                      const char *to);
struct kapi_phases {
    uint64_t warm_ns, notify_ns, drain_ns, commit_ns, halt_ns, away_ns, start_ns, reconnect_ns;
};
/* 0: not known (yet) on this side of the restart */
void kapi_trace_phases(const char *device, const struct kapi_phases *phases);
void kapi_trace_request(const char *device, const char *operation, uint64_t xid, uint64_t transno,
                        int status, uint64_t took_ns);
void kapi_trace_evict(const char *device, const char *client, const char *why);

int kapi_snprintf(char *out, size_t bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A broken invariant of our own. In modules (KAPI_PANIC_TRAPS) the call is followed by a trap:
 * objtool must see an end. */
#ifdef KAPI_PANIC_TRAPS
void kapi_panic_call(const char *file, int line, const char *what) __asm__("kapi_panic");
// clang-format off
KAPI_NORETURN static inline __attribute__((always_inline))
void kapi_panic(const char *file, int line, const char *what)
// clang-format on
{
    kapi_panic_call(file, line, what);
    __builtin_trap();
}
#else
KAPI_NORETURN void kapi_panic(const char *file, int line, const char *what);
#endif

#ifdef __cplusplus
}
#endif
