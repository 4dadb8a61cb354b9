// SPDX-License-Identifier: Apache-2.0
// `touch`: one thing for a thread of a victim to do.
#include <errno.h>
#include <string.h>

#include "verbs.h"
#include "victim.h"

/* Why the memory is not such that this can be done to it; NULL if it is. */
static const char *out_of_place(const struct op_shape *shape, struct touch_order *order,
				const struct memory_plan *memory)
{
	if (shape->sizes == OP_PAGES) {
		if (!order->size)
			order->size = memory->page_size;
		if (order->offset % 4096 || order->size % 4096)
			return "offset and size must be of whole pages";
		if (order->op == OP_MREMAP && (order->offset || order->size != memory->page_size))
			return "mremap moves all of the memory";
	}
	/* Neither alone can be too large for the sum. */
	if (order->offset + order->size > memory->length)
		return "offset must be within the victim's memory";
	return NULL;
}

static void touch(struct request *request, struct victim *victim, uint32_t thread,
		  struct victim *target, const struct op_shape *shape, struct touch_order *order)
{
	struct seat *seat = &victim->seats[thread];
	bool compares = shape->effect == EFFECT_LOAD || shape->needs & NEED_EXPECTED;

	seat->asked = request->ticket;
	seat->shape = shape;
	seat->size = order->size;
	seat->offset = order->offset;
	memcpy(seat->value, order->value, sizeof(seat->value));
	seat->advice = order->advice;
	seat->loops = order->loop;
	seat->target = target->handle;
	seat->partner = 0;
	order->told = victim->told;
	order->target = target->child.pid;
	order->target_address = target->address + order->offset;
	order->has_expected = compares && order->size <= 16 && shadow_known(target->shadow);
	if (order->has_expected)
		shadow_value(target->shadow, order->offset, order->size, order->expected);
	atomic_store(&victim->log->threads[thread].accesses, 0);
	atomic_store(&victim->log->threads[thread].stop, false);
	seat_send(seat, order, NULL, 0);
}

void verb_touch(struct request *request)
{
	uint64_t handle = need_number(request, "victim", 1, UINT32_MAX);
	uint64_t target_handle = may_number(request, "target", 1, UINT32_MAX, handle);
	uint64_t thread = may_number(request, "thread", 0, LIMIT_THREADS - 1, 0);
	struct touch_order order = { 0 };
	const struct op_shape *shape = order_from_request(request, &order);
	struct victim *victim, *target;
	const char *wrong;

	if (!(shape->needs & MAY_TARGET))
		target_handle = handle;
	if (shape->needs & NEED_OTHER && target_handle == handle)
		request_wrong(request, "target", "another victim");
	if (!request_valid(request))
		return;
	victim = victim_of(request, handle);
	target = victim ? victim_of(request, target_handle) : NULL;
	if (!target)
		return;
	wrong = out_of_place(shape, &order, &target->plan.memory);
	if (thread >= victim->plan.threads)
		wrong = "thread must be one that the victim has";
	if (wrong) {
		reply_error(request->ticket, USAGE, 0, "%s", wrong);
	} else if (order.op == OP_MADVISE && advice_poisons(order.advice) && !poison_allowed()) {
		reply_error(request->ticket, OS, EPERM, "poison is not for this agent");
	} else if (victim->state == DEAD) {
		struct text line = reply_begin(request->ticket);

		put_died(&line, victim->status);
		reply_send(request->ticket, &line);
	} else if (target->state == DEAD) {
		reply_error(request->ticket, GONE, 0, "the target has died");
	} else if (victim->seats[thread].touching) {
		reply_error(request->ticket, BUSY, 0, "the victim is still touching");
	} else {
		touch(request, victim, thread, target, shape, &order);
	}
}

void stop_loop(struct request *request)
{
	uint64_t handle = need_number(request, "victim", 1, UINT32_MAX);
	uint64_t thread = may_number(request, "thread", 0, LIMIT_THREADS - 1, 0);
	struct victim *victim;

	if (!request_valid(request))
		return;
	victim = victim_of(request, handle);
	if (!victim)
		return;
	if (thread >= victim->plan.threads || !victim->seats[thread].touching ||
	    !victim->seats[thread].loops) {
		reply_error(request->ticket, GONE, 0, "no such loop");
		return;
	}
	/* Its touch is answered as it ends. */
	atomic_store(&victim->log->threads[thread].stop, true);
	reply_empty(request->ticket);
}
