// SPDX-License-Identifier: Apache-2.0
// Shows that every CPU runs and that its timer fires.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "cpus.h"
#include "loop.h"
#include "pipes.h"
#include "verbs.h"

#define NS_DEFAULT	1000000ULL
#define NS_MAX		(3600 * 1000000000ULL)

/* What each CPU's child reports, in one write(2) that no other can split. */
struct waking {
	int cpu;
	int error;
};

struct tick {
	struct child child;	/* first: a child that ends is its tick */
	struct watch watch;
	struct ticket ticket;
	cpu_set_t woken;
	int error;
};

/* How long to sleep, and whether until a moment of the day: see verb_leap(). */
struct sleep {
	uint64_t ns;
	bool anchored;
};

static int sleep_well(const struct sleep *sleep)
{
	struct timespec time = { 0 };

	if (sleep->anchored)
		clock_gettime(CLOCK_REALTIME, &time);
	time.tv_sec += sleep->ns / 1000000000;
	time.tv_nsec += sleep->ns % 1000000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	if (sleep->anchored)
		return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL);
	return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static _Noreturn void sleep_on(int cpu, const struct sleep *sleep, int pipe)
{
	struct waking waking = { .cpu = cpu };
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		waking.error = errno;
	else
		waking.error = sleep_well(sleep);
	pipe_write(pipe, &waking, sizeof(waking));
	_exit(0);
}

/* In a child of the agent's, so that there is but one to wait for. */
static _Noreturn void tick_live(const struct sleep *sleep, int pipe)
{
	cpu_set_t online;

	cpus_online(&online);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		struct waking failed = { .cpu = cpu };
		pid_t pid;

		if (!CPU_ISSET(cpu, &online))
			continue;
		pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sleep_on(cpu, sleep, pipe);
		}
		if (pid < 0) {
			failed.error = errno;
			pipe_write(pipe, &failed, sizeof(failed));
		}
	}
	while (wait(NULL) > 0)
		;
	_exit(0);
}

/* Returns false when there is nothing more for now. */
static bool take_waking(struct tick *tick)
{
	struct waking waking;
	struct text line;

	if (read(tick->watch.fd, &waking, sizeof(waking)) != sizeof(waking))
		return false;
	if (waking.error) {
		tick->error = waking.error;
		return true;
	}
	CPU_SET(waking.cpu, &tick->woken);
	line = stream_begin(tick->ticket);
	put_signed(&line, "cpu", waking.cpu);
	stream_send(tick->ticket, &line);
	return true;
}

static void on_waking(struct watch *watch)
{
	struct tick *tick = (struct tick *)((char *)watch - offsetof(struct tick, watch));

	if (!take_waking(tick))
		watch_stop(watch);	/* all have closed it: SIGCHLD tells the rest */
}

static void tick_free(struct tick *tick)
{
	watch_stop(&tick->watch);
	close(tick->watch.fd);
	free(tick);
}

static void tick_ended(struct child *child, int status)
{
	struct tick *tick = (struct tick *)child;
	struct text line;

	while (take_waking(tick))
		;
	if (tick->error) {
		reply_error(tick->ticket, OS, tick->error, "a CPU cannot be used");
	} else if (WIFSIGNALED(status)) {
		reply_error(tick->ticket, GONE, 0, "killed by signal %d", WTERMSIG(status));
	} else {
		line = reply_begin(tick->ticket);
		put_array(&line, "cpus");
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &tick->woken))
				put_signed(&line, NULL, cpu);
		put_end(&line, ']');
		reply_send(tick->ticket, &line);
	}
	tick_free(tick);
}

void verb_tick(struct request *request)
{
	struct sleep sleep = {
		.ns = may_number(request, "ns", 0, NS_MAX, NS_DEFAULT),
		.anchored = may_bool(request, "anchored", false),
	};
	struct tick *tick;
	int ends[2], error;

	if (!request_valid(request) || !command_allowed(request->ticket))
		return;
	if (!pipe_make(ends)) {
		reply_error(request->ticket, OS, errno, "pipe");
		return;
	}
	tick = calloc(1, sizeof(*tick));
	if (!tick)
		abort();
	tick->ticket = request->ticket;
	tick->watch = (struct watch){ .fd = ends[0], .events = POLLIN, .yields = true,
				      .ready = on_waking };
	watch_start(&tick->watch);
	if (!child_start(&tick->child, CHILD_COMMAND, tick_ended)) {
		child_keep_only(ends[1]);
		tick_live(&sleep, ends[1]);
	}
	error = errno;
	close(ends[1]);
	if (tick->child.pid < 0) {
		reply_error(request->ticket, OS, error, "fork");
		tick_free(tick);
	}
}
