// SPDX-License-Identifier: Apache-2.0
// Reads the clock and the architected counter behind it.
#include "clock.h"

#include <time.h>

#include "verbs.h"

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

void verb_clock(struct request *request)
{
	struct text line = reply_begin(request->ticket);

	put_clock(&line);
	reply_send(request->ticket, &line);
}
