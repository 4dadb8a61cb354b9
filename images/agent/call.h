// SPDX-License-Identifier: Apache-2.0
// One system call that a victim makes on its memory, or about it.
#ifndef SEABUS_CALL_H
#define SEABUS_CALL_H

#include <errno.h>
#include <string.h>

#include "life.h"
#include "memory.h"

struct call {
	const struct touch_order *order;
	struct memory *memory;
	char *address;		/* where it starts: memory + offset */
	int64_t result;
	int32_t error;		/* then `result` says nothing */
	bool has_value;
	uint64_t value[2];	/* what the kernel read there */
};

/* Notes how a system call went. */
static inline int64_t call_returned(struct call *call, int64_t result)
{
	call->result = result;
	call->error = result < 0 ? errno : 0;
	return result;
}

/* The first bytes of what the kernel copied. */
static inline void call_gives(struct call *call, const void *bytes)
{
	memcpy(call->value, bytes, call->order->size < 8 ? call->order->size : 8);
	call->has_value = true;
}

void call_transfer(struct call *call);	/* call_transfer.c: the kernel copies the memory */
void call_futex(struct call *call);	/* call_futex.c: the kernel uses a word of it */
void call_peer(struct call *call);	/* call_peer.c: on another process's memory */
void call_manage(struct call *call);	/* call_manage.c: about its pages */

#endif
