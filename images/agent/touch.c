// SPDX-License-Identifier: Apache-2.0
// What a victim's thread does when told: an access or a system call, guarded, and what came of it.
#define _GNU_SOURCE
#include "touch.h"

#include <errno.h>
#include <sched.h>

#include "access.h"
#include "call.h"
#include "trap.h"

struct access {
	struct memory *memory;
	struct victim_log *log;
	const struct touch_order *order;
	struct touch_outcome *outcome;
	uint32_t thread;
};

static bool differs(const struct touch_order *order, const uint64_t value[2])
{
	return order->has_expected && (value[0] != order->expected[0] ||
				       (order->size == 16 && value[1] != order->expected[1]));
}

/* One access, or one after the other until told to stop. */
static void make_accesses(void *argument)
{
	struct access *access = argument;
	const struct touch_order *order = access->order;
	struct touch_outcome *outcome = access->outcome;
	_Atomic uint64_t *accesses = &access->log->threads[access->thread].accesses;
	char *address = access->memory->address + order->offset;

	do {
		uint64_t value[2] = { order->value[0], order->value[1] };
		int64_t result = access_make(order->op, address, order->size, value);

		if (result < 0) {
			outcome->error = -result;
			return;
		}
		outcome->result = result;
		outcome->value[0] = value[0];
		outcome->value[1] = value[1];
		outcome->wrong += differs(order, value);
		atomic_fetch_add_explicit(accesses, 1, memory_order_relaxed);
	} while (order->loop && !atomic_load(&access->log->threads[access->thread].stop));
	outcome->has_value = op_shape(order->op)->effect != EFFECT_NONE &&
			     op_shape(order->op)->effect != EFFECT_ZERO;
}

static void make_call(void *argument)
{
	struct call *call = argument;

	if (call->order->op < OP_SYS_VM_READ)
		call_transfer(call);
	else if (call->order->op < OP_SYS_FUTEX_WAIT)
		call_peer(call);
	else if (call->order->op < OP_SYS_FORK)
		call_futex(call);
	else
		call_manage(call);
}

bool touch_pin(int32_t cpu)
{
	cpu_set_t cpus;

	if (cpu < 0)
		return true;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

void touch(struct memory *memory, struct victim_log *log, uint32_t thread,
	   const struct touch_order *order, struct touch_outcome *outcome)
{
	struct access access = { .memory = memory, .log = log, .thread = thread, .order = order,
				 .outcome = outcome };
	struct call call = { .order = order, .memory = memory,
			     .address = memory->address + order->offset };
	uint64_t start;

	if (trap_pending(order->told, &outcome->signal)) {
		outcome->mono_ns = outcome->signal.mono_ns;
		return;
	}
	if (!touch_pin(order->cpu)) {
		outcome->error = errno;
		outcome->done = true;
		outcome->mono_ns = trap_now();
		return;
	}
	start = trap_now();
	if (op_is_access(order->op)) {
		outcome->done = trap_guard(TRAP_ACCESS, make_accesses, &access,
					   &outcome->signal);
		outcome->accesses = atomic_load(&log->threads[thread].accesses);
	} else {
		outcome->done = trap_guard(TRAP_CALL, make_call, &call, &outcome->signal);
		outcome->error = call.error;
		outcome->result = call.result;
		outcome->has_value = call.has_value;
		outcome->value[0] = call.value[0];
	}
	outcome->mono_ns = outcome->signal.signo ? outcome->signal.mono_ns : trap_now();
	outcome->ns = trap_now() - start;
	if (order->op == OP_MREMAP)
		outcome->value[0] = (uintptr_t)memory->address;
}
