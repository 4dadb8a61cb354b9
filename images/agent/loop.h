// SPDX-License-Identifier: Apache-2.0
// The one poll(2) loop everything hangs on.
#ifndef SEABUS_LOOP_H
#define SEABUS_LOOP_H

#include <poll.h>
#include <stdbool.h>

#include "limits.h"

struct watch {
	int fd;
	short events;
	bool yields;	/* makes output: left alone while the channel is congested */
	void (*ready)(struct watch *watch);
};

enum {
	/* Two output pipes a command, then the channel's two ends and SIGCHLD. */
	WATCHES_MAX = 2 * LIMIT_COMMANDS + LIMIT_STREAMS + LIMIT_VICTIMS * LIMIT_THREADS +
		      LIMIT_ALARMS + 3,
};

void watch_start(struct watch *watch);

/* Does nothing if it is not being watched; the descriptor stays open. */
void watch_stop(struct watch *watch);

_Noreturn void loop_run(void);

#endif
