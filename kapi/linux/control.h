/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/lull: what lctl talks to (include/lull/user_api.h). */
#pragma once

int lull_control_init(void);
void lull_control_exit(void);
