// SPDX-License-Identifier: Apache-2.0
// Reads the clock and the architected counter behind it.
#define _GNU_SOURCE
#include "clock.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "cpus.h"
#include "verbs.h"

#define LEAP_MAX	(86400 * 1000000000ULL)

/* isb: the counter may otherwise be read ahead of what comes before it. */
static uint64_t counter(void)
{
#ifdef __aarch64__
	uint64_t value;

	asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) : : "memory");
	return value;
#else
	return 0;
#endif
}

static uint64_t counter_hz(void)
{
#ifdef __aarch64__
	uint64_t value;

	asm volatile("mrs %0, cntfrq_el0" : "=r"(value));
	return value;
#else
	return 0;
#endif
}

void put_clock(struct text *line)
{
	struct timespec time;
	uint64_t count;

	clock_gettime(CLOCK_MONOTONIC, &time);
	count = counter();
	put_number(line, "mono_ns", time.tv_sec * 1000000000ULL + time.tv_nsec);
	put_number(line, "counter", count);
	put_number(line, "counter_hz", counter_hz());
}

static int leap_on(int cpu, uint64_t ns)
{
	struct timespec time;
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here) || clock_gettime(CLOCK_REALTIME, &time))
		return errno;
	time.tv_sec += ns / 1000000000;
	return clock_settime(CLOCK_REALTIME, &time) ? errno : 0;
}

/*
 * A kernel that was restored with dead timers believes that they are running,
 * and arms none anew. When the time of day is set past a moment that a task on
 * each CPU sleeps for ("tick" with "anchored"), it has to arm them - on all
 * CPUs but the one that sets it, so each does in turn (Linux
 * kernel/time/hrtimer.c, clock_was_set() and retrigger_next_event()).
 */
void verb_leap(struct request *request)
{
	uint64_t ns = need_number(request, "ns", 0, LEAP_MAX);
	cpu_set_t online, before;
	struct text line;
	int error = 0;

	if (!request_valid(request))
		return;
	cpus_online(&online);
	sched_getaffinity(0, sizeof(before), &before);
	for (int cpu = 0; cpu < CPU_SETSIZE && !error; cpu++)
		if (CPU_ISSET(cpu, &online))
			error = leap_on(cpu, ns);
	sched_setaffinity(0, sizeof(before), &before);
	if (error) {
		reply_error(request->ticket, OS, error, "the clock cannot be set");
		return;
	}
	line = reply_begin(request->ticket);
	reply_send(request->ticket, &line);
}

void verb_clock(struct request *request)
{
	struct text line = reply_begin(request->ticket);

	put_clock(&line);
	reply_send(request->ticket, &line);
}
