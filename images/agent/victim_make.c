// SPDX-License-Identifier: Apache-2.0
// How a victim comes to be: forked off the agent, or off another victim as its partner.
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "verbs.h"
#include "victim.h"

static uint32_t last_handle;

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

/* All of it but the process. NULL if the request has been answered. */
static struct victim *victim_new(struct request *request, const struct victim_plan *plan)
{
	struct victim *victim;

	if (!victim_admitted(request, plan))
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
	victim_register(victim);
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
