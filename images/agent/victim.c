// SPDX-License-Identifier: Apache-2.0
// Who the victims are: how each comes to be, alone or as another's partner, and how it ends.
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
static uint32_t last_handle;
static bool may_poison;

bool poison_allowed(void)
{
	return may_poison;
}

void poison_allow(void)
{
	may_poison = true;
}

static struct victim *find_any(uint64_t handle)
{
	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i] && victims[i]->handle == handle)
			return victims[i];
	return NULL;
}

struct victim *victim_find(uint64_t handle)
{
	struct victim *victim = find_any(handle);

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

static void victim_free(struct victim *victim)
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

static void seat_died(struct seat *seat, int status)
{
	struct text line;

	seat->touching = false;
	/* Of a partner that is not to come, its own end of the line tells. */
	if (seat->partner)
		return;
	line = reply_begin(seat->asked);
	put_died(&line, status);
	reply_send(seat->asked, &line);
}

/*
 * A dead victim stays known until `end`: that it died, and how, is what a test
 * may be after.
 */
static void victim_ended(struct child *child, int status)
{
	struct victim *victim = (struct victim *)child;

	/* Its last words. */
	for (uint32_t i = 0; i < victim->plan.threads; i++)
		if (victim->seats[i].watch.fd >= 0)
			victim->seats[i].watch.ready(&victim->seats[i].watch);
	seats_close(victim);
	if (victim->state == STARTING && !victim->ending) {
		reply_error(victim->asked, GONE, 0, "the victim died before it was ready");
		victim_free(victim);
		return;
	}
	victim->state = DEAD;
	victim->status = status;
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

/* A partner ended before anybody knew its number, or was never made. */
static void partner_missed(struct victim *victim)
{
	if (victim->division_error)
		reply_error(victim->asked, OS, victim->division_error, "fork of the victim");
	else
		reply_error(victim->asked, GONE, 0, "the victim died before it was ready");
	victim_free(victim);
}

static void seat_speaks(struct watch *watch)
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

		victim_ready(victim, &message.ready);
		if (!known)
			child_adopt(&victim->child, message.ready.pid, CHILD_VICTIM, victim_ended);
	} else if (seat->touching && got == sizeof(message.outcome)) {
		seat_answered(seat, &message.outcome);
	} else if (got == 0) {
		watch_stop(watch);	/* it has ended: SIGCHLD tells the rest */
		if (victim->state == STARTING && !victim->child.pid)
			partner_missed(victim);
	}
}

/* How the division went, which the partner's own word may have overtaken. */
void seat_divided(struct seat *seat, const struct touch_outcome *outcome)
{
	struct victim *partner = find_any(seat->partner);

	if (!partner || partner->state != STARTING || partner->child.pid)
		return;
	if (outcome->error)
		partner->division_error = outcome->error;
	else
		child_adopt(&partner->child, outcome->result, CHILD_VICTIM, victim_ended);
}

void seat_send(struct seat *seat, const struct touch_order *order, const int *fds, int fd_count)
{
	char control[CMSG_SPACE((LIMIT_THREADS + 1) * sizeof(int))] = { 0 };
	struct iovec piece = { .iov_base = (void *)order, .iov_len = sizeof(*order) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (fd_count) {
		struct cmsghdr *head;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
	}
	seat->touching = true;
	/* If it has just died there is no one to take this: its end answers. */
	sendmsg(seat->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The log, ours and theirs; -1 with errno set if there can be none. */
static int make_log(struct victim *victim)
{
	int fd = memfd_create("seabus-log", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, sizeof(*victim->log))) {
		victim->log = mmap(NULL, sizeof(*victim->log), PROT_READ | PROT_WRITE, MAP_SHARED,
				   fd, 0);
		if (victim->log != MAP_FAILED) {
			/* No other victim has any business with it. */
			madvise(victim->log, sizeof(*victim->log), MADV_DONTFORK);
			return fd;
		}
		victim->log = NULL;
	}
	close(fd);
	return -1;
}

/* Fills in the plan's descriptors, those of the other side. */
static bool make_ends(struct victim *victim)
{
	struct victim_plan *plan = &victim->plan;

	plan->log = make_log(victim);
	if (plan->log < 0)
		return false;
	for (uint32_t i = 0; i < plan->threads; i++) {
		struct seat *seat = &victim->seats[i];
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
			return false;
		plan->sockets[i] = ends[1];
		seat->watch.fd = ends[0];
		watch_start(&seat->watch);
	}
	return true;
}

static void close_their_ends(struct victim_plan *plan)
{
	for (uint32_t i = 0; i < plan->threads; i++)
		if (plan->sockets[i] >= 0)
			close(plan->sockets[i]);
	if (plan->log >= 0)
		close(plan->log);
}

static struct victim **free_slot(struct request *request, const struct victim_plan *plan)
{
	uint64_t length = plan->memory.length;
	struct victim **slot = NULL;

	for (int i = 0; i < LIMIT_VICTIMS; i++)
		if (victims[i])
			length += victims[i]->plan.memory.length;
		else if (!slot)
			slot = &victims[i];
	if (!slot) {
		reply_error(request->ticket, BUSY, 0, "there are %d victims", LIMIT_VICTIMS);
	} else if (length > LIMIT_VICTIM_MEMORY) {
		reply_error(request->ticket, BUSY, 0, "victims may have %d MiB in all",
			    LIMIT_VICTIM_MEMORY >> 20);
		slot = NULL;
	}
	return slot;
}

/* All of it but the process. NULL if the request has been answered. */
static struct victim *victim_new(struct request *request, const struct victim_plan *plan)
{
	struct victim **slot = free_slot(request, plan);
	struct victim *victim;

	if (!slot)
		return NULL;
	victim = calloc(1, sizeof(*victim));
	if (!victim)
		abort();
	victim->handle = last_handle + 1;
	victim->asked = request->ticket;
	victim->plan = *plan;
	for (int i = 0; i < LIMIT_THREADS; i++) {
		victim->plan.sockets[i] = -1;
		victim->seats[i].victim = victim;
		victim->seats[i].watch = (struct watch){ .fd = -1, .events = POLLIN,
							 .ready = seat_speaks };
	}
	if (!make_ends(victim)) {
		reply_error(request->ticket, OS, errno, "the victim's sockets");
		close_their_ends(&victim->plan);
		victim_free(victim);
		return NULL;
	}
	last_handle++;
	*slot = victim;
	return victim;
}

static void victim_start(struct request *request, const struct victim_plan *plan)
{
	struct victim *victim = victim_new(request, plan);
	int error;

	if (!victim)
		return;
	victim->plan.memory.handle = victim->handle;
	victim->shadow = shadow_make(plan->memory.fill, victim->handle, plan->memory.length);
	if (!child_start(&victim->child, CHILD_VICTIM, victim_ended)) {
		int kept[LIMIT_THREADS + 1];

		memcpy(kept, victim->plan.sockets, plan->threads * sizeof(int));
		kept[plan->threads] = victim->plan.log;
		child_keep_only(kept, plan->threads + 1);
		victim_live(&victim->plan);
	}
	error = errno;
	close_their_ends(&victim->plan);
	if (victim->child.pid < 0) {
		reply_error(request->ticket, OS, error, "fork");
		victim_free(victim);
	}
}

/* The victim is told to fork; what comes of it is a victim like any other. */
static void partner_start(struct request *request, struct victim *of,
			  const struct victim_plan *plan)
{
	struct victim *victim = victim_new(request, plan);
	struct touch_order order = { .op = OP_PARTNER };
	int fds[LIMIT_THREADS + 1];

	if (!victim)
		return;
	victim->shadow = plan->memory.shared ? shadow_share(of->shadow) : shadow_copy(of->shadow);
	order.partner = victim->plan;
	memcpy(fds, victim->plan.sockets, plan->threads * sizeof(int));
	fds[plan->threads] = victim->plan.log;
	of->seats[0].partner = victim->handle;
	seat_send(&of->seats[0], &order, fds, plan->threads + 1);
	close_their_ends(&victim->plan);
}

static void verb_partner(struct request *request)
{
	uint64_t handle = need_number(request, "partner_of", 1, UINT32_MAX);
	struct victim_plan plan;
	struct victim *of;

	if (!partner_plan_from_request(request, &plan))
		return;
	of = victim_of(request, handle);
	if (!of)
		return;
	plan.memory = of->plan.memory;
	if (of->state == DEAD)
		reply_error(request->ticket, GONE, 0, "the victim has died");
	else if (of->seats[0].touching)
		reply_error(request->ticket, BUSY, 0, "the victim is still touching");
	else
		partner_start(request, of, &plan);
}

void verb_victim(struct request *request)
{
	struct victim_plan plan;

	if (may_value(request, "partner_of")) {
		verb_partner(request);
		return;
	}
	if (!plan_from_request(request, &plan))
		return;
	if (plan.memory.source == SOURCE_PHYSICAL && !poison_allowed())
		reply_error(request->ticket, OS, EPERM, "physical memory is not for this agent");
	else
		victim_start(request, &plan);
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
