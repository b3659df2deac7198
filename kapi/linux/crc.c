// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crc32.h>

#include "kapi/linux/port.h"

uint32_t kapi_crc32c(uint32_t seed, const void *data, size_t bytes)
{
	return ~__crc32c_le(~seed, data, bytes);
}
