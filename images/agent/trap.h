// SPDX-License-Identifier: Apache-2.0
// A victim's signals: caught, written down, and survived.
#ifndef SEABUS_TRAP_H
#define SEABUS_TRAP_H

#include "life.h"

enum trap_mode {
	TRAP_IDLE,
	TRAP_ACCESS,	/* a signal ends the work where it is */
	TRAP_CALL,	/* the work goes on, lest a system call's result be lost */
};

/* For the process, before any thread of its own. */
void trap_begin(struct victim_log *log, enum disposition disposition);

/* For each thread: the stack its handler runs on, and the mask. */
void trap_thread(enum disposition disposition);

/*
 * Does the work. What signal came meanwhile is left in *caught, with signo 0 if
 * none did; false if it ended the work.
 */
bool trap_guard(enum trap_mode mode, void (*work)(void *argument), void *argument,
		struct victim_signal *caught);

/* A signal that came between two touches and that nobody was told of, if there is one. */
bool trap_pending(uint64_t told, struct victim_signal *signal);

uint64_t trap_now(void);

#endif
