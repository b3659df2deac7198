/* SPDX-License-Identifier: GPL-2.0-only */
/* One line each; administrators read them: say who, what happened, what to do. */
#pragma once
#include "kapi/kapi.h"

#define log_err(...) kapi_log(KAPI_ERR, __VA_ARGS__)
#define log_warn(...) kapi_log(KAPI_WARN, __VA_ARGS__)
#define log_notice(...) kapi_log(KAPI_NOTICE, __VA_ARGS__)
#define log_info(...) kapi_log(KAPI_INFO, __VA_ARGS__)
#define log_debug(...) kapi_log(KAPI_DEBUG, __VA_ARGS__)
