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
	bool has_ended;		/* dead, and that is yet to be passed on */
	struct ticket asked;	/* what it is starting for */
	bool is_missed;		/* a partner: nobody is at the other end, and the other is still at it */
	bool is_held;		/* it has said how it is, and that is yet to be passed on */
	struct victim_ready held;
	struct ticket end;
	struct victim_plan plan;
	uint64_t address;
	struct shadow *shadow;
	struct victim_log *log;
	uint64_t told;		/* number of the last signal told of by `signals` */
	pid_t tids[LIMIT_THREADS];
	struct seat seats[LIMIT_THREADS];
};

/* victim.c: NULL if there is none, or none yet, or it is ending. */
struct victim *victim_find(uint64_t handle);

/* The same, answered with `gone`. */
struct victim *victim_of(struct request *request, uint64_t handle);

/* In whatever state. */
struct victim *victim_find_any(uint64_t handle);

/* Whether there is room for one more; if not, the request has been answered. */
bool victim_admitted(struct request *request, const struct victim_plan *plan);
void victim_register(struct victim *victim);
void victim_free(struct victim *victim);

/* What its process's end, and a message from one of its threads, call. */
void victim_ended(struct child *child, int status);
void seat_speaks(struct watch *watch);

/* "died" and how. */
void put_died(struct text *line, int status);

/* Whether poison may be made here, and physical memory mapped. */
bool poison_allowed(void);
void poison_allow(void);

/* victim_make.c: gives a thread something to do. */
void seat_send(struct seat *seat, const struct touch_order *order, const int *fds, int fd_count);

/* victim_plan.c: the arguments of `victim`; false if they were wrong, and answered. */
bool plan_from_request(struct request *request, struct victim_plan *plan);

/* The same for a partner, whose memory is another's. */
bool partner_plan_from_request(struct request *request, struct victim_plan *plan);

/* victim_order.c: the arguments of `touch`, but for what depends on the victim; never NULL. */
const struct op_shape *order_from_request(struct request *request, struct touch_order *order);

/* victim_answer.c: what a thread answered to what it was told. */
void seat_answered(struct seat *seat, const struct touch_outcome *outcome);

/* The same, of the order that made a partner. */
void seat_divided(struct seat *seat, const struct touch_outcome *outcome);

/* victim_signals.c: all but the closing brace. */
void put_signal(struct text *line, const char *name, const struct victim_signal *signal);

#endif
