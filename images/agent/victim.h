// SPDX-License-Identifier: Apache-2.0
// The agent's side of victims.
#ifndef SEABUS_VICTIM_H
#define SEABUS_VICTIM_H

#include "child.h"
#include "life.h"
#include "loop.h"
#include "request.h"
#include "shadow.h"

/* One thread of a victim, at the other end of a socket pair. */
struct seat {
	struct watch watch;	/* first: a watch that is ready is its seat */
	struct victim *victim;
	bool touching;
	struct ticket asked;	/* what it is touching for */
	const struct op_shape *shape;
	uint32_t size;
	uint64_t offset;
	uint64_t value[2];
	int32_t advice;
	bool loops;
	uint32_t target;	/* handle of whose memory it is; itself mostly */
	uint32_t partner;	/* of the partner it is being divided for, else 0 */
};

struct victim {
	struct child child;	/* first: a child that ends is its victim */
	uint32_t handle;
	enum { STARTING, LIVING, DEAD } state;
	bool ending;		/* `end` has been asked for */
	int status;		/* once dead */
	int division_error;	/* errno of the fork that a partner did not come from */
	struct ticket asked;	/* what it is starting for */
	struct ticket end;
	struct victim_plan plan;
	uint64_t address;
	struct shadow *shadow;
	struct victim_log *log;
	uint64_t told;		/* number of the last signal told of by `signals` */
	pid_t tids[LIMIT_THREADS];
	struct seat seats[LIMIT_THREADS];
};

/* NULL if there is none, or none yet, or it is ending. */
struct victim *victim_find(uint64_t handle);

/* The same, answered with `gone`. */
struct victim *victim_of(struct request *request, uint64_t handle);

/* "died" and how. */
void put_died(struct text *line, int status);
void put_signal(struct text *line, const char *name, const struct victim_signal *signal);

/* Whether poison may be made here, and physical memory mapped. */
bool poison_allowed(void);
void poison_allow(void);

/* victim_plan.c: reads the arguments of `victim`; false if they were wrong, and answered. */
bool plan_from_request(struct request *request, struct victim_plan *plan);

/* The same for a partner, whose memory is another's. */
bool partner_plan_from_request(struct request *request, struct victim_plan *plan);

/* victim_touch.c: what a thread answered to what it was told. */
void seat_answered(struct seat *seat, const struct touch_outcome *outcome);
/* The same, of the order that made a partner. */
void seat_divided(struct seat *seat, const struct touch_outcome *outcome);

/* Gives a thread something to do. */
void seat_send(struct seat *seat, const struct touch_order *order, const int *fds, int fd_count);

#endif
