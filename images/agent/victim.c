// SPDX-License-Identifier: Apache-2.0
// Who the victims are: how each is known, heard of, and how it ends.
#define _GNU_SOURCE
#include "victim.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "limits.h"
#include "verbs.h"

static struct victim *victims[LIMIT_VICTIMS];
static bool may_poison;

bool poison_allowed(void)
{
	return may_poison;
}

void poison_allow(void)
{
	may_poison = true;
}

bool victim_admitted(struct request *request, const struct victim_plan *plan)
{
	uint64_t length = plan->memory.length;
	int count = 0;

	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i]) {
			count++;
			length += victims[i]->plan.memory.length;
		}
	if (count == LIMIT_VICTIMS)
		reply_error(request->ticket, BUSY, 0, "there are %d victims", LIMIT_VICTIMS);
	else if (length > LIMIT_VICTIM_MEMORY)
		reply_error(request->ticket, BUSY, 0, "victims may have %d MiB in all",
			    LIMIT_VICTIM_MEMORY >> 20);
	return count < LIMIT_VICTIMS && length <= LIMIT_VICTIM_MEMORY;
}

void victim_register(struct victim *victim)
{
	int i = 0;

	while (victims[i])
		i++;
	victims[i] = victim;
}

struct victim *victim_find_any(uint64_t handle)
{
	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i] && victims[i]->handle == handle)
			return victims[i];
	return NULL;
}

struct victim *victim_find(uint64_t handle)
{
	struct victim *victim = victim_find_any(handle);

	return victim && !victim->ending && victim->state != STARTING ? victim : NULL;
}

struct victim *victim_of(struct request *request, uint64_t handle)
{
	struct victim *victim = victim_find(handle);

	if (!victim)
		reply_error(request->ticket, GONE, 0, "no such victim");
	return victim;
}

static void seats_close(struct victim *victim)
{
	for (uint32_t i = 0; i < victim->plan.threads; i++) {
		if (victim->seats[i].watch.fd < 0)
			continue;
		watch_stop(&victim->seats[i].watch);
		close(victim->seats[i].watch.fd);
		victim->seats[i].watch.fd = -1;
	}
}

void victim_free(struct victim *victim)
{
	seats_close(victim);
	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i] == victim)
			victims[i] = NULL;
	if (victim->log)
		munmap(victim->log, sizeof(*victim->log));
	shadow_free(victim->shadow);
	free(victim);
}

void put_died(struct text *line, int status)
{
	put_object(line, "died");
	put_status(line, status);
	put_end(line, '}');
}

/* Whether another victim is still being divided to make this one. */
static bool divided_for(const struct victim *partner)
{
	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i] && victims[i]->seats[0].touching &&
		    victims[i]->seats[0].partner == partner->handle)
			return true;
	return false;
}

static void release(struct victim *victim);
static void partner_settled(struct victim *partner);

static void seat_died(struct seat *seat, int status)
{
	struct victim *partner = victim_find_any(seat->partner);
	struct text line;

	seat->touching = false;
	/* Of a partner that is not to come, its own end of the line tells. */
	if (seat->partner) {
		if (partner)
			partner_settled(partner);
		return;
	}
	line = reply_begin(seat->asked);
	put_died(&line, status);
	reply_send(seat->asked, &line);
}

/*
 * A dead victim stays known until `end`: that it died, and how, is what a test
 * may be after.
 */
void victim_ended(struct child *child, int status)
{
	struct victim *victim = (struct victim *)child;

	victim->status = status;
	/* Its last words. */
	for (uint32_t i = 0; i < victim->plan.threads; i++)
		if (victim->seats[i].watch.fd >= 0)
			victim->seats[i].watch.ready(&victim->seats[i].watch);
	/* Nothing of it is told while the other is not to be touched. */
	victim->has_ended = divided_for(victim);
	if (victim->has_ended)
		return;
	seats_close(victim);
	release(victim);
	if (victim->state == STARTING && !victim->ending) {
		reply_error(victim->asked, GONE, 0, "the victim died before it was ready");
		victim_free(victim);
		return;
	}
	victim->state = DEAD;
	for (uint32_t i = 0; i < victim->plan.threads; i++)
		if (victim->seats[i].touching)
			seat_died(&victim->seats[i], status);
	if (!victim->ending)
		return;
	if (victim->end.id)
		reply_empty(victim->end);
	victim_free(victim);
}

static void reply_ready(struct victim *victim, const struct victim_ready *ready)
{
	struct text line = reply_begin(victim->asked);

	put_number(&line, "victim", victim->handle);
	put_signed(&line, "pid", victim->child.pid);
	put_signed(&line, "tid", ready->tids[0]);
	put_array(&line, "tids");
	for (uint32_t i = 0; i < victim->plan.threads; i++)
		put_signed(&line, NULL, ready->tids[i]);
	put_end(&line, ']');
	put_hex(&line, "address", ready->address);
	put_number(&line, "length", victim->plan.memory.length);
	put_number(&line, "page_size", victim->plan.memory.page_size);
	put_number(&line, "huge", ready->huge);
	if (ready->filesystem)
		put_hex(&line, "filesystem", ready->filesystem);
	else
		put_null(&line, "filesystem");
	reply_send(victim->asked, &line);
}

static void victim_ready(struct victim *victim, const struct victim_ready *ready)
{
	victim->state = LIVING;
	victim->address = ready->address;
	memcpy(victim->tids, ready->tids, sizeof(victim->tids));
	if (ready->error) {
		reply_error(victim->asked, OS, ready->error, "the victim's %.*s",
			    (int)sizeof(ready->failed), ready->failed);
		victim->ending = true;
	} else if (victim->asked.session != channel_session()) {
		/* Its handle would be told to nobody. */
		victim->ending = true;
		kill(ready->pid, SIGKILL);
	} else {
		victim->child.pid = ready->pid;
		reply_ready(victim, ready);
	}
}

/* A partner is told of when the other can be touched again, not before. */
static void release(struct victim *victim)
{
	struct victim_ready ready = victim->held;

	if (!victim->is_held)
		return;
	victim->is_held = false;
	victim_ready(victim, &ready);
}

/* A partner ended before anybody knew its number, or was never made. */
static void partner_missed(struct victim *victim, int error)
{
	if (error)
		reply_error(victim->asked, OS, error, "fork of the victim");
	else
		reply_error(victim->asked, GONE, 0, "the victim died before it was ready");
	victim_free(victim);
}

/* What was kept back while it was being made. */
static void partner_settled(struct victim *partner)
{
	if (partner->has_ended)
		victim_ended(&partner->child, partner->status);
	else if (partner->is_missed && !partner->child.pid)
		partner_missed(partner, 0);
	else
		release(partner);
}

void seat_speaks(struct watch *watch)
{
	struct seat *seat = (struct seat *)watch;
	struct victim *victim = seat->victim;
	union {
		struct victim_ready ready;
		struct touch_outcome outcome;
	} message;
	ssize_t got = recv(watch->fd, &message, sizeof(message), MSG_DONTWAIT);

	if (victim->state == STARTING && got == sizeof(message.ready)) {
		bool known = victim->child.pid;

		victim->held = message.ready;
		victim->is_held = true;
		if (!divided_for(victim))
			release(victim);
		if (!known)
			child_adopt(&victim->child, message.ready.pid, CHILD_VICTIM, victim_ended);
	} else if (seat->touching && got == sizeof(message.outcome)) {
		seat_answered(seat, &message.outcome);
	} else if (got == 0) {
		watch_stop(watch);	/* it has ended: SIGCHLD tells the rest */
		if (victim->state == STARTING && !victim->child.pid) {
			victim->is_missed = divided_for(victim);
			if (!victim->is_missed)
				partner_missed(victim, 0);
		}
	}
}

/* How the division went, which the partner's own word may have overtaken. */
void seat_divided(struct seat *seat, const struct touch_outcome *outcome)
{
	struct victim *partner = victim_find_any(seat->partner);

	if (!partner || partner->state != STARTING)
		return;
	if (partner->child.pid)
		partner_settled(partner);
	else if (outcome->error)
		partner_missed(partner, outcome->error);
	else
		child_adopt(&partner->child, outcome->result, CHILD_VICTIM, victim_ended);
}

void verb_end(struct request *request)
{
	uint64_t handle = need_number(request, "victim", 1, UINT32_MAX);
	struct victim *victim;

	if (!request_valid(request))
		return;
	victim = victim_of(request, handle);
	if (!victim)
		return;
	if (victim->state == DEAD) {
		reply_empty(request->ticket);
		victim_free(victim);
	} else {
		victim->ending = true;
		victim->end = request->ticket;
		kill(victim->child.pid, SIGKILL);
	}
}
