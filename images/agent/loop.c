// SPDX-License-Identifier: Apache-2.0
// Waits for whatever is ready and hands it to its owner.
#include "loop.h"

#include <errno.h>
#include <stdlib.h>

#include "channel.h"

static struct watch *watches[WATCHES_MAX];
static int watch_count;

/* What the present round of poll(2) is about; NULL where a watch was stopped meanwhile. */
static struct watch *polled[WATCHES_MAX];
static int polled_count;

void watch_start(struct watch *watch)
{
	if (watch_count == WATCHES_MAX)
		abort();
	watches[watch_count++] = watch;
}

void watch_stop(struct watch *watch)
{
	for (int i = 0; i < watch_count; i++)
		if (watches[i] == watch) {
			watches[i] = watches[--watch_count];
			break;
		}
	for (int i = 0; i < polled_count; i++)
		if (polled[i] == watch)
			polled[i] = NULL;
}

_Noreturn void loop_run(void)
{
	static struct pollfd fds[WATCHES_MAX];

	for (;;) {
		int timeout = channel_tend(), ready;

		polled_count = 0;
		for (int i = 0; i < watch_count; i++) {
			if (watches[i]->yields && channel_congested())
				continue;
			polled[polled_count] = watches[i];
			fds[polled_count++] = (struct pollfd){
				.fd = watches[i]->fd,
				.events = watches[i]->events,
			};
		}
		ready = poll(fds, polled_count, timeout);
		if (ready < 0 && errno != EINTR)
			abort();
		for (int i = 0; ready > 0 && i < polled_count; i++)
			/* Asked again: an earlier one may have filled the channel. */
			if (fds[i].revents && polled[i] &&
			    !(polled[i]->yields && channel_congested()))
				polled[i]->ready(polled[i]);
	}
}
