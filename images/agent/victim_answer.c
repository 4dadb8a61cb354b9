// SPDX-License-Identifier: Apache-2.0
// What came of a touch: told, and remembered for what is to be expected of the memory.
#define _GNU_SOURCE
#include <sys/mman.h>

#include "victim.h"

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
