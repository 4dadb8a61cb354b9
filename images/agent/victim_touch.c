// SPDX-License-Identifier: Apache-2.0
// `touch`: what a victim is told to do, and what it says came of it.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "verbs.h"
#include "victim.h"

enum { CPU_MAX = 1023 };

static bool discards(const struct seat *seat)
{
	return seat->shape->op == OP_RENEW ||
	       (seat->shape->op == OP_MADVISE &&
		(seat->advice == MADV_DONTNEED || seat->advice == MADV_REMOVE));
}

/* What is there once its pages were given up. */
static void shadow_discarded(struct victim *victim, const struct seat *seat)
{
	const struct memory_plan *memory = &victim->plan.memory;
	bool refilled = seat->shape->op == OP_RENEW && memory->writable &&
			memory->fill == FILL_PATTERN;

	if (refilled || (!memory->shared && memory->source == SOURCE_FILE))
		shadow_refill(victim->shadow, seat->offset, seat->size);
	else if (!memory->shared || seat->shape->op == OP_RENEW || seat->advice == MADV_REMOVE)
		shadow_zero(victim->shadow, seat->offset, seat->size);
}

/* Little-endian sum of the low bytes. */
static uint64_t added(uint64_t old, uint64_t addend, uint64_t times, uint32_t size)
{
	uint64_t sum = old + addend * times;

	return size < 8 ? sum & ((1ULL << size * 8) - 1) : sum;
}

/* Keeps the shadow true to the memory. */
static void shadow_touched(struct victim *victim, const struct seat *seat,
			   const struct touch_outcome *outcome)
{
	uint64_t value[2];

	switch (seat->shape->effect) {
	case EFFECT_STORE:
		if (outcome->accesses)
			shadow_write(victim->shadow, seat->offset, seat->size, seat->value);
		break;
	case EFFECT_ADD:
		shadow_value(victim->shadow, seat->offset, seat->size, value);
		value[0] = added(value[0], seat->value[0], outcome->accesses, seat->size);
		if (outcome->accesses)
			shadow_write(victim->shadow, seat->offset, seat->size, value);
		break;
	case EFFECT_ZERO:
		if (outcome->accesses && outcome->result > 0)
			shadow_zero(victim->shadow,
				    seat->offset - seat->offset % outcome->result,
				    outcome->result);
		break;
	case EFFECT_FEED:
		value[0] = value[1] = seat->value[0];
		if (!outcome->error && outcome->result > 0)
			shadow_write(victim->shadow, seat->offset, outcome->result, value);
		break;
	default:
		if (!outcome->error && outcome->done && discards(seat))
			shadow_discarded(victim, seat);
	}
}

static void put_expected(struct text *line, const struct seat *seat, const struct victim *target,
			 const uint64_t before[2])
{
	uint64_t returns[2] = { code_returns(seat->offset / 8), 0 };

	if (seat->shape->effect == EFFECT_STORE)
		put_wide_hex(line, "expected", seat->value);
	else if (!target || !shadow_known(target->shadow))
		put_null(line, "expected");
	else if (seat->shape->effect != EFFECT_CALL)
		put_wide_hex(line, "expected", before);
	else if (target->plan.memory.fill == FILL_CODE && seat->offset % 8 == 0)
		put_wide_hex(line, "expected", returns);
	else
		put_null(line, "expected");
}

/* The access that went through, or the system call's result. */
static void put_done(struct text *line, const struct seat *seat, const struct victim *target,
		     const struct touch_outcome *outcome, const uint64_t before[2])
{
	if (outcome->error)
		put_signed(line, "errno", outcome->error);
	else if (!op_is_access(seat->shape->op) || !outcome->has_value)
		put_signed(line, "result", outcome->result);
	if (outcome->has_value && !outcome->error) {
		put_wide_hex(line, "value", outcome->value);
		put_expected(line, seat, target, before);
	}
	put_number(line, "ns", outcome->ns);
}

void seat_answered(struct seat *seat, const struct touch_outcome *outcome)
{
	struct victim *victim = seat->victim, *target = victim_find(seat->target);
	uint64_t before[2] = { 0 };
	struct text line;

	seat->touching = false;
	if (seat->partner) {
		seat_divided(seat, outcome);
		seat->partner = 0;
		return;
	}
	if (target && seat->size)
		shadow_value(target->shadow, seat->offset, seat->size < 8 ? seat->size :
			     op_is_access(seat->shape->op) ? seat->size : 8, before);
	if (target == victim)
		shadow_touched(victim, seat, outcome);
	line = reply_begin(seat->asked);
	put_number(&line, "mono_ns", outcome->mono_ns);
	if (outcome->done)
		put_done(&line, seat, target, outcome, before);
	if (seat->loops) {
		put_number(&line, "accesses", outcome->accesses);
		put_number(&line, "wrong", outcome->wrong);
	}
	if (seat->shape->op == OP_MREMAP && outcome->done && !outcome->error) {
		victim->address = outcome->value[0];
		put_hex(&line, "address", victim->address);
	}
	if (outcome->signal.signo) {
		put_signal(&line, "signal", &outcome->signal);
		put_end(&line, '}');
	}
	reply_send(seat->asked, &line);
}

static bool is_size(const struct op_shape *shape, uint64_t size)
{
	if (shape->sizes & OP_ANY_SIZE)
		return size <= OP_BULK_MAX;
	return !(size & (size - 1)) && size <= 16 && shape->sizes & 1U << __builtin_ctzll(size);
}

static uint32_t take_size(struct request *request, const struct op_shape *shape)
{
	uint64_t size;

	if (shape->sizes == OP_PAGES)	/* known once the victim is */
		return may_number(request, "size", 1, 1ULL << 30, 0);
	size = shape->usual_size ?
		       may_number(request, "size", 1, OP_BULK_MAX, shape->usual_size) :
		       need_number(request, "size", 1, OP_BULK_MAX);
	if (!is_size(shape, size))
		request_wrong(request, "size", "one that this op has");
	return size;
}

static void take_value(struct request *request, const struct op_shape *shape,
		       struct touch_order *order)
{
	if (shape->effect != EFFECT_STORE && shape->effect != EFFECT_ADD &&
	    shape->effect != EFFECT_FEED)
		return;
	if (shape->effect == EFFECT_STORE || may_value(request, "value"))
		need_wide_hex(request, "value", order->value);
	else
		order->value[0] = 1;
	if ((order->size < 8 && shape->effect != EFFECT_FEED &&
	     order->value[0] >> order->size % 8 * 8) ||
	    (order->size != 16 && order->value[1]))
		request_wrong(request, "value", "no larger than its size");
}

static void take_path(struct request *request, const struct op_shape *shape,
		      struct touch_order *order)
{
	const char *path = NULL;

	if (shape->needs & NEED_PATH)
		path = need_string(request, "path");
	else if (shape->needs & MAY_PATH)
		path = may_string(request, "path");
	if (!path)
		return;
	if (!*path || strlen(path) >= VICTIM_PATH_MAX)
		request_wrong(request, "path", "of 1 to 255 bytes");
	else
		strcpy(order->path, path);
}

static void take_choice(struct request *request, const struct op_shape *shape,
			struct touch_order *order)
{
	if (shape->needs & NEED_ADVICE) {
		order->advice = advice_find(need_string(request, "advice"));
		if (order->advice < 0)
			request_wrong(request, "advice", "one that madvise takes");
	}
	if (shape->needs & NEED_POLICY) {
		order->advice = policy_find(need_string(request, "policy"));
		if (order->advice < 0)
			request_wrong(request, "policy", "\"early\", \"late\" or \"default\"");
	}
}

/* Everything but what depends on the victim. */
static const struct op_shape *take_order(struct request *request, struct touch_order *order)
{
	const struct op_shape *shape = op_find(need_string(request, "op"));
	uint64_t cpu = may_number(request, "cpu", 0, CPU_MAX, CPU_MAX + 1);

	if (!shape) {
		request_wrong(request, "op",
			      "one of those that docs/reference/agent-protocol.md lists");
		shape = op_shape(OP_READ);
	}
	order->op = shape->op;
	order->cpu = cpu > CPU_MAX ? -1 : (int32_t)cpu;
	order->size = take_size(request, shape);
	order->offset = shape->sizes == OP_PAGES ?
				may_number(request, "offset", 0, INT64_MAX, 0) :
				need_number(request, "offset", 0, INT64_MAX);
	order->loop = may_bool(request, "loop", false);
	if (order->loop && !op_is_access(order->op))
		request_wrong(request, "loop", "of an access at EL0");
	take_value(request, shape, order);
	take_path(request, shape, order);
	take_choice(request, shape, order);
	return shape;
}

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
	const struct op_shape *shape = take_order(request, &order);
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
