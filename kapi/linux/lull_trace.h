/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace points of lull.ko (B4): /sys/kernel/tracing/events/lull, perf, trace-cmd, bpftrace.
 * docs/operation.md shows their use. Texts are copied into fixed arrays: how a string field is
 * declared differs between kernels.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lull

#if !defined(LULL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LULL_TRACE_H

#include <linux/tracepoint.h>

#include "kapi/kapi.h"

#define LULL_TRACE_DEVICE_BYTES 48
#define LULL_TRACE_STATE_BYTES 16

DECLARE_EVENT_CLASS(lull_state,
	TP_PROTO(const char *device, const char *from, const char *to),
	TP_ARGS(device, from, to),
	TP_STRUCT__entry(
		__array(char, device, LULL_TRACE_DEVICE_BYTES)
		__array(char, from, LULL_TRACE_STATE_BYTES)
		__array(char, to, LULL_TRACE_STATE_BYTES)
	),
	TP_fast_assign(
		strscpy(__entry->device, device, LULL_TRACE_DEVICE_BYTES);
		strscpy(__entry->from, from, LULL_TRACE_STATE_BYTES);
		strscpy(__entry->to, to, LULL_TRACE_STATE_BYTES);
	),
	TP_printk("%s: %s -> %s", __entry->device, __entry->from, __entry->to)
);

DEFINE_EVENT(lull_state, controlled_shutdown,
	TP_PROTO(const char *device, const char *from, const char *to), TP_ARGS(device, from, to));
DEFINE_EVENT(lull_state, active_lock,
	TP_PROTO(const char *device, const char *from, const char *to), TP_ARGS(device, from, to));
DEFINE_EVENT(lull_state, import,
	TP_PROTO(const char *device, const char *from, const char *to), TP_ARGS(device, from, to));
DEFINE_EVENT(lull_state, recovery,
	TP_PROTO(const char *device, const char *from, const char *to), TP_ARGS(device, from, to));

TRACE_EVENT(upgrade_phases,
	TP_PROTO(const char *device, const struct kapi_phases *p),
	TP_ARGS(device, p),
	TP_STRUCT__entry(
		__array(char, device, LULL_TRACE_DEVICE_BYTES)
		__field(u64, warm_ns)
		__field(u64, notify_ns)
		__field(u64, drain_ns)
		__field(u64, commit_ns)
		__field(u64, halt_ns)
		__field(u64, away_ns)
		__field(u64, start_ns)
		__field(u64, reconnect_ns)
	),
	TP_fast_assign(
		strscpy(__entry->device, device, LULL_TRACE_DEVICE_BYTES);
		__entry->warm_ns = p->warm_ns;
		__entry->notify_ns = p->notify_ns;
		__entry->drain_ns = p->drain_ns;
		__entry->commit_ns = p->commit_ns;
		__entry->halt_ns = p->halt_ns;
		__entry->away_ns = p->away_ns;
		__entry->start_ns = p->start_ns;
		__entry->reconnect_ns = p->reconnect_ns;
	),
	TP_printk("%s: warm=%llu notify=%llu drain=%llu commit=%llu "
		"halt=%llu away=%llu start=%llu reconnect=%llu ns",
		__entry->device, __entry->warm_ns, __entry->notify_ns, __entry->drain_ns,
		__entry->commit_ns, __entry->halt_ns, __entry->away_ns,
		__entry->start_ns, __entry->reconnect_ns)
);

TRACE_EVENT(request_done,
	TP_PROTO(const char *device, const char *operation, u64 xid, u64 transno,
		 int status, u64 took_ns),
	TP_ARGS(device, operation, xid, transno, status, took_ns),
	TP_STRUCT__entry(
		__array(char, device, LULL_TRACE_DEVICE_BYTES)
		__array(char, operation, LULL_TRACE_STATE_BYTES)
		__field(u64, xid)
		__field(u64, transno)
		__field(u64, took_ns)
		__field(int, status)
	),
	TP_fast_assign(
		strscpy(__entry->device, device, LULL_TRACE_DEVICE_BYTES);
		strscpy(__entry->operation, operation, LULL_TRACE_STATE_BYTES);
		__entry->xid = xid;
		__entry->transno = transno;
		__entry->took_ns = took_ns;
		__entry->status = status;
	),
	TP_printk("%s: %s xid=%llu transno=%llu status=%d took=%llu ns", __entry->device,
		__entry->operation, __entry->xid, __entry->transno, __entry->status,
		__entry->took_ns)
);

TRACE_EVENT(evict,
	TP_PROTO(const char *device, const char *client, const char *why),
	TP_ARGS(device, client, why),
	TP_STRUCT__entry(
		__array(char, device, LULL_TRACE_DEVICE_BYTES)
		__array(char, client, LULL_TRACE_DEVICE_BYTES)
		__array(char, why, LULL_TRACE_DEVICE_BYTES)
	),
	TP_fast_assign(
		strscpy(__entry->device, device, LULL_TRACE_DEVICE_BYTES);
		strscpy(__entry->client, client, LULL_TRACE_DEVICE_BYTES);
		strscpy(__entry->why, why, LULL_TRACE_DEVICE_BYTES);
	),
	TP_printk("%s: %s: %s", __entry->device, __entry->client, __entry->why)
);

#endif

/* Not "kapi/linux": the preprocessor knows "linux" as 1. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE lull_trace
#include <trace/define_trace.h>
