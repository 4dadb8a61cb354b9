// SPDX-License-Identifier: Apache-2.0
// A victim process: its memory, its threads, and how it divides into two.
#define _GNU_SOURCE
#include "life.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "touch.h"
#include "trap.h"

enum { FDS_MAX = LIMIT_THREADS + 1 };

static struct victim_plan self;
static struct victim_log *log_;
static struct memory memory;
static pthread_barrier_t all_started;
static pid_t tids[LIMIT_THREADS];

static struct victim_log *map_log(int fd)
{
	struct victim_log *log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				      0);

	close(fd);
	if (log == MAP_FAILED)
		_exit(1);
	return log;
}

static _Noreturn void serve(uint32_t thread);

static void *thread_begin(void *argument)
{
	uint32_t thread = (uintptr_t)argument;

	trap_thread(self.disposition);
	tids[thread] = gettid();
	pthread_barrier_wait(&all_started);
	serve(thread);
}

static int start_threads(void)
{
	pthread_barrier_init(&all_started, NULL, self.threads);
	tids[0] = gettid();
	for (uintptr_t thread = 1; thread < self.threads; thread++) {
		pthread_t made;
		int error = pthread_create(&made, NULL, thread_begin, (void *)thread);

		if (error)
			return error;
	}
	pthread_barrier_wait(&all_started);
	return 0;
}

static void fail(struct victim_ready *ready, const char *what, int error)
{
	snprintf(ready->failed, sizeof(ready->failed), "%s", what);
	ready->error = error;
}

/* All but its memory, which a partner has from the one it was forked off. */
static void settle(struct victim_ready *ready)
{
	int error;

	trap_begin(log_, self.disposition);
	trap_thread(self.disposition);
	if (!touch_pin(self.cpu))
		fail(ready, "sched_setaffinity", errno);
	else if (self.mce_kill >= 0 &&
		 prctl(PR_MCE_KILL, PR_MCE_KILL_SET, self.mce_kill, 0, 0))
		fail(ready, "prctl PR_MCE_KILL", errno);
	else if ((error = start_threads()))
		fail(ready, "pthread_create", error);
}

static _Noreturn void report_and_serve(struct victim_ready *ready)
{
	ready->pid = getpid();
	memcpy(ready->tids, tids, sizeof(tids));
	ready->address = (uintptr_t)memory.address;
	ready->filesystem = memory.filesystem;
	send(self.sockets[0], ready, sizeof(*ready), MSG_NOSIGNAL);
	if (ready->error)
		_exit(1);
	serve(0);
}

/* In the new process: what it shares with the other is its memory, and nothing else. */
static _Noreturn void partner_live(const struct victim_plan *plan, pid_t agent)
{
	struct victim_ready ready = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != agent)
		_exit(1);
	for (uint32_t i = 0; i < self.threads; i++)
		close(self.sockets[i]);
	self = *plan;
	munmap(log_, sizeof(*log_));
	log_ = map_log(self.log);
	if (memory.plan.shared)
		memory_populate(&memory);
	settle(&ready);
	ready.huge = memory_huge(&memory);
	report_and_serve(&ready);
}

/*
 * The partner is the agent's child, not ours: the agent must see its end. The
 * C library's fork(2) has no way to ask for that.
 */
static void make_partner(const struct victim_plan *plan, struct touch_outcome *outcome)
{
	pid_t agent = getppid();
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid)
		partner_live(plan, agent);
	outcome->done = true;
	outcome->result = pid;
	outcome->error = pid < 0 ? errno : 0;
	outcome->mono_ns = trap_now();
	for (uint32_t i = 0; i < plan->threads; i++)
		close(plan->sockets[i]);
	close(plan->log);
}

/* Takes the descriptors that came with an order for a partner. */
static void take_descriptors(struct msghdr *message, struct victim_plan *plan)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);
	int fds[FDS_MAX];

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN((plan->threads + 1) * sizeof(int)))
		_exit(1);
	memcpy(fds, CMSG_DATA(head), (plan->threads + 1) * sizeof(int));
	memcpy(plan->sockets, fds, plan->threads * sizeof(int));
	plan->log = fds[plan->threads];
}

static void receive(int socket, struct touch_order *order)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec piece = { .iov_base = order, .iov_len = sizeof(*order) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	ssize_t got;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != sizeof(*order))
		_exit(0);
	if (order->op == OP_PARTNER)
		take_descriptors(&message, &order->partner);
}

static _Noreturn void serve(uint32_t thread)
{
	for (;;) {
		struct touch_outcome outcome = { 0 };
		struct touch_order order;

		receive(self.sockets[thread], &order);
		if (order.op == OP_PARTNER)
			make_partner(&order.partner, &outcome);
		else
			touch(&memory, log_, thread, &order, &outcome);
		send(self.sockets[thread], &outcome, sizeof(outcome), MSG_NOSIGNAL);
	}
}

_Noreturn void victim_live(struct victim_plan *plan)
{
	struct victim_ready ready = { 0 };
	struct rlimit no_core = { 0 };
	const char *failed;

	self = *plan;
	log_ = map_log(self.log);
	/* Dying of a default disposition is its business, not the disk's. */
	setrlimit(RLIMIT_CORE, &no_core);
	failed = memory_make(&memory, &self.memory);
	if (failed) {
		fail(&ready, failed, errno);
	} else {
		ready.huge = memory_huge(&memory);
		settle(&ready);
	}
	report_and_serve(&ready);
}
