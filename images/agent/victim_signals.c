// SPDX-License-Identifier: Apache-2.0
// What signals a victim got: read from the log it keeps, so that it need not answer.
#include <signal.h>

#include "verbs.h"
#include "victim.h"

void put_signal(struct text *line, const char *name, const struct victim_signal *signal)
{
	put_object(line, name);
	put_signed(line, "signo", signal->signo);
	put_signed(line, "code", signal->code);
	put_hex(line, "address", signal->address);
	if (signal->signo == SIGBUS &&
	    (signal->code == BUS_MCEERR_AR || signal->code == BUS_MCEERR_AO))
		put_signed(line, "lsb", signal->lsb);
	else
		put_null(line, "lsb");
	put_hex(line, "pc", signal->pc);
	if (signal->has_fault_address)
		put_hex(line, "fault_address", signal->fault_address);
	else
		put_null(line, "fault_address");
	if (signal->has_esr)
		put_hex(line, "esr", signal->esr);
	else
		put_null(line, "esr");
	put_signed(line, "tid", signal->tid);
}

/* False if it was overwritten, or is being written at this moment. */
static bool take(const struct victim_log *log, uint64_t number, struct victim_signal *signal)
{
	uint64_t slot = (number - 1) % VICTIM_SIGNALS_KEPT;

	if (atomic_load(&log->kept[slot].number) != number)
		return false;
	*signal = log->kept[slot].signal;
	return atomic_load(&log->kept[slot].number) == number;
}

static uint64_t oldest_kept(uint64_t count)
{
	return count > VICTIM_SIGNALS_KEPT ? count - VICTIM_SIGNALS_KEPT : 0;
}

/*
 * How many signals are written down. One that is being written at this moment does not count yet, nor
 * does any behind it: whoever asks what came since would never be told of it.
 */
static uint64_t written(const struct victim_log *log)
{
	uint64_t count = atomic_load(&log->count);

	for (uint64_t number = oldest_kept(count) + 1; number <= count; number++)
		if (atomic_load(&log->kept[(number - 1) % VICTIM_SIGNALS_KEPT].number) < number)
			return number - 1;
	return count;
}

static void put_kept(struct text *line, const struct victim *victim, uint64_t since, uint64_t count)
{
	uint64_t first = oldest_kept(count);

	put_array(line, "signals");
	for (uint64_t number = (since > first ? since : first) + 1; number <= count; number++) {
		struct victim_signal signal;

		if (!take(victim->log, number, &signal))
			continue;
		put_signal(line, NULL, &signal);
		put_number(line, "number", number);
		put_number(line, "mono_ns", signal.mono_ns);
		put_bool(line, "touching", signal.touching);
		put_end(line, '}');
	}
	put_end(line, ']');
}

void verb_signals(struct request *request)
{
	uint64_t handle = need_number(request, "victim", 1, UINT32_MAX);
	uint64_t since = may_number(request, "since", 0, INT64_MAX, 0);
	struct victim *victim;
	struct text line;
	uint64_t count;

	if (!request_valid(request))
		return;
	victim = victim_of(request, handle);
	if (!victim)
		return;
	count = written(victim->log);
	line = reply_begin(request->ticket);
	put_kept(&line, victim, since, count);
	put_number(&line, "count", count);
	put_array(&line, "threads");
	for (uint32_t i = 0; i < victim->plan.threads; i++) {
		put_object(&line, NULL);
		put_signed(&line, "tid", victim->tids[i]);
		put_bool(&line, "touching", victim->seats[i].touching);
		put_number(&line, "accesses", atomic_load(&victim->log->threads[i].accesses));
		put_end(&line, '}');
	}
	put_end(&line, ']');
	if (victim->state == DEAD)
		put_died(&line, victim->status);
	reply_send(request->ticket, &line);
	victim->told = count;
}
