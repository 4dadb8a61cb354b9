// SPDX-License-Identifier: Apache-2.0
// futex(2) on a word of a victim: the kernel reads it, and for WAKE_OP writes it.
#define _GNU_SOURCE
#include "call.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_NS = 10 * 1000 * 1000 };

void call_futex(struct call *call)
{
	static uint32_t other;
	struct timespec timeout = { .tv_nsec = WAIT_NS };
	uint32_t expected = call->order->expected[0];

	switch (call->order->op) {
	case OP_SYS_FUTEX_WAIT:
		call_returned(call, syscall(SYS_futex, call->address, FUTEX_WAIT, expected,
					    &timeout, NULL, 0));
		break;
	case OP_SYS_FUTEX_WAKE_OP:
		/* Adds 0: read and written, and left as it was. */
		call_returned(call, syscall(SYS_futex, &other, FUTEX_WAKE_OP, 1, 1,
					    call->address,
					    FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0)));
		break;
	default:
		call_returned(call, syscall(SYS_futex, call->address, FUTEX_CMP_REQUEUE, 0, 0,
					    &other, expected));
		break;
	}
}
