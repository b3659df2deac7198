// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/kapi.h"

#define CREATE_TRACE_POINTS
#include "kapi/linux/lull_trace.h"

void kapi_trace_state(enum kapi_machine machine, const char *device, const char *from,
		      const char *to)
{
	switch (machine) {
	case KAPI_SHUTDOWN:
		return trace_controlled_shutdown(device, from, to);
	case KAPI_ACTIVE_LOCK:
		return trace_active_lock(device, from, to);
	case KAPI_IMPORT:
		return trace_import(device, from, to);
	case KAPI_RECOVERY:
		return trace_recovery(device, from, to);
	}
}

void kapi_trace_phases(const char *device, const struct kapi_phases *phases)
{
	trace_upgrade_phases(device, phases);
}

void kapi_trace_request(const char *device, const char *operation, uint64_t xid, uint64_t transno,
			int status, uint64_t took_ns)
{
	trace_request_done(device, operation, xid, transno, status, took_ns);
}

void kapi_trace_evict(const char *device, const char *client, const char *why)
{
	trace_evict(device, client, why);
}
