// SPDX-License-Identifier: Apache-2.0
// Child processes: started, told apart, reaped.
#ifndef SEABUS_CHILD_H
#define SEABUS_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "reply.h"

enum child_kind {
	CHILD_COMMAND,
	CHILD_DETACHED,	/* a command too, but one that outlives the agent */
	CHILD_TIED,	/* detached, and yet killed when the agent ends */
	CHILD_VICTIM,
};

struct child {
	pid_t pid;
	enum child_kind kind;
	void (*ended)(struct child *child, int status);	/* may free the child */
	struct child *next;
};

/* Call once, before any child. */
void children_begin(void);

/*
 * Returns as fork(2) does. In the child signals are back to normal, and it
 * dies with the agent unless it is detached.
 */
pid_t child_start(struct child *child, enum child_kind kind,
		  void (*ended)(struct child *child, int status));

/*
 * A process that is our child though another one forked it. If it has ended
 * already, `ended` is called here.
 */
void child_adopt(struct child *child, pid_t pid, enum child_kind kind,
		 void (*ended)(struct child *child, int status));

/* In a child: gives up every descriptor but these and standard error. Sorts them. */
void child_keep_only(int *fds, int count);

/* Whether one more command may run; if not, the request has been answered. */
bool command_allowed(struct ticket ticket);

/* "signal" or "exit", as wait(2) told it. */
void put_status(struct text *line, int status);

#endif
