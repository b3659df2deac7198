// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bug.h>
#include <linux/kern_levels.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "kapi/linux/port.h"

static bool debug;
module_param(debug, bool, 0644);
MODULE_PARM_DESC(debug, "log debugging messages");

void kapi_log(enum kapi_log_level level, const char *format, ...)
{
	static const char *const prefix[] = {
		[KAPI_ERR] = KERN_ERR,	 [KAPI_WARN] = KERN_WARNING, [KAPI_NOTICE] = KERN_NOTICE,
		[KAPI_INFO] = KERN_INFO, [KAPI_DEBUG] = KERN_INFO,
	};
	struct va_format text;
	va_list args;

	if (level < KAPI_ERR || level > KAPI_DEBUG)
		level = KAPI_ERR;
	if (level == KAPI_DEBUG && !READ_ONCE(debug))
		return;
	va_start(args, format);
	text.fmt = format;
	text.va = &args;
	printk("%sLull: %pV\n", prefix[level], &text);
	va_end(args);
}

int kapi_snprintf(char *out, size_t bytes, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(out, bytes, format, args);
	va_end(args);
	return n;
}

void kapi_panic(const char *file, int line, const char *what)
{
	pr_emerg("Lull: broken invariant at %s:%d: %s\n", file, line, what);
	BUG();
}
