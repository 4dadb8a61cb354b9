// SPDX-License-Identifier: Apache-2.0
// Preloaded: the clock of the day is stepped once, for one process and its children; no other clock is.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec *);

static long number(const char *name)
{
	const char *text = getenv(name);

	return text ? atol(text) : 0;
}

/* SOAK_STEP_MARK: a file that is there once a process has seen the step. */
static void leave_mark(void)
{
	static int left;
	const char *name = left ? NULL : getenv("SOAK_STEP_MARK");

	left = 1;
	if (name)
		close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* SOAK_STEP_AT: in ms of the monotonic clock, which all processes share. */
static long stepped(void)
{
	static long at, by;
	struct timespec now;

	if (!real_gettime) {
		at = number("SOAK_STEP_AT");
		by = number("SOAK_STEP_BY");
		real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	}
	real_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec * 1000 + now.tv_nsec / 1000000 < at)
		return 0;
	leave_mark();
	return by;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	long by = stepped();
	int status = real_gettime(clock, time);

	if (!status && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		time->tv_sec += by;
	return status;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	time->tv_sec = now.tv_sec;
	time->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *result)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (result)
		*result = now.tv_sec;
	return now.tv_sec;
}
