// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/timekeeping.h>

#include "kapi/linux/port.h"

uint64_t kapi_now_ns(void)
{
	return ktime_get_ns();
}

uint64_t kapi_realtime_ns(void)
{
	return ktime_get_real_ns();
}

uint64_t kapi_random_u64(void)
{
	return get_random_u64();
}
