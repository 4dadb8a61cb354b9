// SPDX-License-Identifier: Apache-2.0
// Shows that every CPU runs and that its timer fires.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cpus.h"
#include "loop.h"
#include "verbs.h"

#define NS_DEFAULT	1000000ULL
#define NS_MAX		(3600 * 1000000000ULL)

/* One CPU's timer. It fires on the CPU on which it was armed. */
struct alarm {
	struct watch watch;	/* first: what is ready is its alarm */
	struct tick *tick;
	int cpu;
};

struct tick {
	struct ticket ticket;
	cpu_set_t cpus;
	int waiting;
	struct alarm alarms[];
};

static int running;	/* alarms of all ticks */

static void alarm_stop(struct alarm *alarm)
{
	watch_stop(&alarm->watch);
	close(alarm->watch.fd);
	running--;
}

static void tick_finish(struct tick *tick)
{
	struct text line = reply_begin(tick->ticket);

	put_array(&line, "cpus");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &tick->cpus))
			put_signed(&line, NULL, cpu);
	put_end(&line, ']');
	reply_send(tick->ticket, &line);
	free(tick);
}

static void alarm_rings(struct watch *watch)
{
	struct alarm *alarm = (struct alarm *)watch;
	struct tick *tick = alarm->tick;
	struct text line = stream_begin(tick->ticket);

	put_signed(&line, "cpu", alarm->cpu);
	stream_send(tick->ticket, &line);
	alarm_stop(alarm);
	if (--tick->waiting == 0)
		tick_finish(tick);
}

/*
 * Arms a timer on a CPU by doing so there. An anchored one waits for a moment
 * of the time of day, see verb_leap(). Returns its descriptor, or -1.
 */
static int alarm_arm(int cpu, uint64_t ns, bool anchored)
{
	clockid_t clock = anchored ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	struct itimerspec when = { 0 };
	cpu_set_t here;
	int fd;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		return -1;
	fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -1;
	clock_gettime(clock, &when.it_value);
	when.it_value.tv_sec += ns / 1000000000;
	when.it_value.tv_nsec += ns % 1000000000;
	if (when.it_value.tv_nsec >= 1000000000) {
		when.it_value.tv_sec++;
		when.it_value.tv_nsec -= 1000000000;
	}
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void tick_fail(struct tick *tick, int error)
{
	for (int i = 0; i < tick->waiting; i++)
		alarm_stop(&tick->alarms[i]);
	reply_error(tick->ticket, OS, error, "a CPU cannot be used");
	free(tick);
}

void verb_tick(struct request *request)
{
	uint64_t ns = may_number(request, "ns", 0, NS_MAX, NS_DEFAULT);
	bool anchored = may_bool(request, "anchored", false);
	cpu_set_t online, before;
	struct tick *tick;
	int error = 0;

	if (!request_valid(request))
		return;
	cpus_online(&online);
	if (running + CPU_COUNT(&online) > LIMIT_ALARMS) {
		reply_error(request->ticket, BUSY, 0, "%d timers are running", running);
		return;
	}
	tick = calloc(1, sizeof(*tick) + CPU_COUNT(&online) * sizeof(tick->alarms[0]));
	if (!tick)
		abort();
	tick->ticket = request->ticket;
	tick->cpus = online;
	sched_getaffinity(0, sizeof(before), &before);
	for (int cpu = 0; cpu < CPU_SETSIZE && !error; cpu++) {
		struct alarm *alarm = &tick->alarms[tick->waiting];

		if (!CPU_ISSET(cpu, &online))
			continue;
		*alarm = (struct alarm){
			.watch = { .fd = alarm_arm(cpu, ns, anchored), .events = POLLIN,
				   .yields = true, .ready = alarm_rings },
			.tick = tick,
			.cpu = cpu,
		};
		if (alarm->watch.fd < 0) {
			error = errno;
			break;
		}
		watch_start(&alarm->watch);
		running++;
		tick->waiting++;
	}
	sched_setaffinity(0, sizeof(before), &before);
	if (error)
		tick_fail(tick, error);
}
