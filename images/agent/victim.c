// SPDX-License-Identifier: Apache-2.0
// The agent's side of victims: who they are, what they are asked, what they should answer.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "child.h"
#include "limits.h"
#include "loop.h"
#include "pattern.h"
#include "touch.h"
#include "verbs.h"

enum {
	PAGES_MAX = 4096,
	SHADOW_PAGE = 4096,
};

struct victim {
	struct child child;	/* first: a child that ends is its victim */
	struct watch watch;	/* our end of the socket pair */
	uint32_t handle;
	size_t length;
	enum { STARTING, IDLE, TOUCHING, DEAD } state;
	bool ending;		/* `end` has been asked for */
	int status;		/* once dead */
	struct ticket asked;	/* what it is starting or touching for */
	struct ticket end;
	struct touch_order order;
	uint8_t **shadow;	/* what was written since the fill, by page; mostly NULL */
};

static struct victim *victims[LIMIT_VICTIMS];
static uint32_t last_handle;

static struct victim *victim_find(uint64_t handle)
{
	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i] && victims[i]->handle == handle && !victims[i]->ending &&
		    victims[i]->state != STARTING)
			return victims[i];
	return NULL;
}

static void victim_free(struct victim *victim)
{
	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i] == victim)
			victims[i] = NULL;
	for (size_t i = 0; i < victim->length / SHADOW_PAGE; i++)
		free(victim->shadow[i]);
	free(victim->shadow);
	free(victim);
}

static uint8_t filled_byte(const struct victim *victim, size_t offset)
{
	return pattern_word(victim->handle, offset / 8) >> offset % 8 * 8;
}

static uint8_t expected_byte(const struct victim *victim, size_t offset)
{
	const uint8_t *page = victim->shadow[offset / SHADOW_PAGE];

	return page ? page[offset % SHADOW_PAGE] : filled_byte(victim, offset);
}

static uint64_t expected_value(const struct victim *victim, const struct touch_order *order)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < order->size; i++)
		value |= (uint64_t)expected_byte(victim, order->offset + i) << i * 8;
	return value;
}

static void shadow_byte(struct victim *victim, size_t offset, uint8_t byte)
{
	uint8_t **page = &victim->shadow[offset / SHADOW_PAGE];

	if (!*page) {
		*page = malloc(SHADOW_PAGE);
		if (!*page)
			abort();
		for (size_t i = 0; i < SHADOW_PAGE; i++)
			(*page)[i] = filled_byte(victim,
						 offset / SHADOW_PAGE * SHADOW_PAGE + i);
	}
	(*page)[offset % SHADOW_PAGE] = byte;
}

static void victim_ready(struct victim *victim, const struct victim_ready *ready)
{
	struct text line;

	if (ready->error) {
		reply_error(victim->asked, OS, ready->error, "cannot map the victim's memory");
		victim->ending = true;
		return;
	}
	victim->state = IDLE;
	/* Its handle would be told to nobody. */
	if (victim->asked.session != channel_session()) {
		victim->ending = true;
		kill(victim->child.pid, SIGKILL);
		return;
	}
	line = reply_begin(victim->asked);
	put_number(&line, "victim", victim->handle);
	put_signed(&line, "pid", victim->child.pid);
	put_signed(&line, "tid", ready->tid);
	put_hex(&line, "address", ready->address);
	put_number(&line, "length", victim->length);
	reply_send(victim->asked, &line);
}

static void put_fault(struct text *line, const struct touch_outcome *outcome)
{
	put_object(line, "signal");
	put_signed(line, "signo", outcome->signo);
	put_signed(line, "code", outcome->code);
	put_hex(line, "address", outcome->address);
	if (outcome->signo == SIGBUS &&
	    (outcome->code == BUS_MCEERR_AR || outcome->code == BUS_MCEERR_AO))
		put_signed(line, "lsb", outcome->lsb);
	else
		put_null(line, "lsb");
	put_hex(line, "pc", outcome->pc);
	if (outcome->has_fault_address)
		put_hex(line, "fault_address", outcome->fault_address);
	else
		put_null(line, "fault_address");
	if (outcome->has_esr)
		put_hex(line, "esr", outcome->esr);
	else
		put_null(line, "esr");
	put_signed(line, "tid", outcome->tid);
	put_end(line, '}');
}

static void victim_touched(struct victim *victim, const struct touch_outcome *outcome)
{
	struct text line = reply_begin(victim->asked);

	victim->state = IDLE;
	put_number(&line, "mono_ns", outcome->mono_ns);
	if (outcome->signo) {
		put_fault(&line, outcome);
	} else {
		if (victim->order.write)
			for (uint32_t i = 0; i < victim->order.size; i++)
				shadow_byte(victim, victim->order.offset + i,
					    victim->order.value >> i * 8);
		put_hex(&line, "value", outcome->value);
		put_number(&line, "ns", outcome->ns);
		put_hex(&line, "expected", expected_value(victim, &victim->order));
	}
	reply_send(victim->asked, &line);
}

static void victim_speaks(struct watch *watch)
{
	struct victim *victim = (struct victim *)((char *)watch - offsetof(struct victim, watch));
	union {
		struct victim_ready ready;
		struct touch_outcome outcome;
	} message;
	ssize_t got = recv(watch->fd, &message, sizeof(message), MSG_DONTWAIT);

	if (victim->state == STARTING && got == sizeof(message.ready))
		victim_ready(victim, &message.ready);
	else if (victim->state == TOUCHING && got == sizeof(message.outcome))
		victim_touched(victim, &message.outcome);
	else if (got == 0)
		watch_stop(watch);	/* it has ended: SIGCHLD tells the rest */
}

static void reply_died(struct ticket ticket, int status)
{
	struct text line = reply_begin(ticket);

	put_object(&line, "died");
	put_status(&line, status);
	put_end(&line, '}');
	reply_send(ticket, &line);
}

/*
 * A dead victim stays known until `end`: that it died, and how, is what a test
 * may be after.
 */
static void victim_ended(struct child *child, int status)
{
	struct victim *victim = (struct victim *)child;

	victim_speaks(&victim->watch);	/* its last words */
	watch_stop(&victim->watch);
	close(victim->watch.fd);
	if (victim->state == STARTING && !victim->ending) {
		reply_error(victim->asked, GONE, 0, "the victim died before it was ready");
		victim_free(victim);
		return;
	}
	if (victim->state == TOUCHING)
		reply_died(victim->asked, status);
	victim->state = DEAD;
	victim->status = status;
	if (!victim->ending)
		return;
	if (victim->end.id)
		reply_empty(victim->end);
	victim_free(victim);
}

static void victim_start(struct request *request, int slot, bool beyond_eof, size_t length)
{
	struct victim *victim;
	int sockets[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)) {
		reply_error(request->ticket, OS, errno, "socketpair");
		return;
	}
	victim = calloc(1, sizeof(*victim));
	if (!victim)
		abort();
	victim->watch = (struct watch){ .fd = sockets[0], .events = POLLIN,
					.ready = victim_speaks };
	victim->handle = ++last_handle;
	victim->length = length;
	victim->asked = request->ticket;
	victim->shadow = calloc(length / SHADOW_PAGE, sizeof(*victim->shadow));
	if (!victim->shadow)
		abort();
	if (!child_start(&victim->child, CHILD_VICTIM, victim_ended)) {
		struct victim_plan plan = {
			.socket = sockets[1],
			.handle = victim->handle,
			.length = length,
			.beyond_eof = beyond_eof,
		};

		child_keep_only(plan.socket);
		victim_live(&plan);
	}
	error = errno;
	close(sockets[1]);
	if (victim->child.pid < 0) {
		reply_error(request->ticket, OS, error, "fork");
		close(sockets[0]);
		victim_free(victim);
		return;
	}
	victims[slot] = victim;
	watch_start(&victim->watch);
}

void verb_victim(struct request *request)
{
	const char *kind = need_string(request, "kind");
	uint64_t pages = need_number(request, "pages", 1, PAGES_MAX);
	bool beyond_eof = !strcmp(kind, "beyond-eof");
	int slot = 0;

	if (!beyond_eof && strcmp(kind, "anon"))
		request_wrong(request, "kind", "\"anon\" or \"beyond-eof\"");
	if (!request_valid(request))
		return;
	while (slot < LIMIT_VICTIMS && victims[slot])
		slot++;
	if (slot == LIMIT_VICTIMS)
		reply_error(request->ticket, BUSY, 0, "there are %d victims", LIMIT_VICTIMS);
	else
		victim_start(request, slot, beyond_eof, pages * sysconf(_SC_PAGESIZE));
}

void verb_touch(struct request *request)
{
	uint64_t handle = need_number(request, "victim", 1, UINT32_MAX);
	const char *op = need_string(request, "op");
	struct touch_order order = {
		.offset = need_number(request, "offset", 0, INT64_MAX),
		.size = need_number(request, "size", 1, 8),
		.write = !strcmp(op, "write"),
	};
	struct victim *victim;

	if (!order.write && strcmp(op, "read"))
		request_wrong(request, "op", "\"read\" or \"write\"");
	if (order.size & (order.size - 1))
		request_wrong(request, "size", "1, 2, 4 or 8");
	if (order.write)
		order.value = need_hex(request, "value");
	if (order.size < 8 && order.value >> order.size % 8 * 8)
		request_wrong(request, "value", "no larger than its size");
	if (!request_valid(request))
		return;
	victim = victim_find(handle);
	if (!victim) {
		reply_error(request->ticket, GONE, 0, "no such victim");
	} else if (order.offset + order.size > victim->length) {
		reply_error(request->ticket, USAGE, 0, "offset must be within the victim's memory");
	} else if (victim->state == DEAD) {
		reply_died(request->ticket, victim->status);
	} else if (victim->state == TOUCHING) {
		reply_error(request->ticket, BUSY, 0, "the victim is still touching");
	} else {
		victim->order = order;
		victim->asked = request->ticket;
		victim->state = TOUCHING;
		/* If it has just died there is no one to take this: its end answers. */
		send(victim->watch.fd, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

void verb_end(struct request *request)
{
	uint64_t handle = need_number(request, "victim", 1, UINT32_MAX);
	struct victim *victim;

	if (!request_valid(request))
		return;
	victim = victim_find(handle);
	if (!victim) {
		reply_error(request->ticket, GONE, 0, "no such victim");
	} else if (victim->state == DEAD) {
		reply_empty(request->ticket);
		victim_free(victim);
	} else {
		victim->ending = true;
		victim->end = request->ticket;
		kill(victim->child.pid, SIGKILL);
	}
}
