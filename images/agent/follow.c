// SPDX-License-Identifier: Apache-2.0
// Follows a file, as trace_pipe or /dev/kmsg, and streams what comes.
#define _GNU_SOURCE
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "limits.h"
#include "loop.h"
#include "verbs.h"

/* Enough to catch up with a burst, not enough to keep others waiting. */
enum { READS_AT_ONCE = 16 };

struct follow {
	struct watch watch;	/* first: what is ready is its follow */
	struct ticket ticket;
	bool used;
};

static struct follow follows[LIMIT_STREAMS];

static void follow_close(struct follow *follow)
{
	watch_stop(&follow->watch);
	close(follow->watch.fd);
	follow->used = false;
}

static void follow_finish(struct follow *follow, const char *how, int error)
{
	struct text line = reply_begin(follow->ticket);

	put_string(&line, "ended", how);
	if (error)
		put_signed(&line, "errno", error);
	follow_close(follow);
	reply_send(follow->ticket, &line);
}

/* Nothing to read is not the end where poll(2) says when there is more; 0 is. */
static void follow_read(struct watch *watch)
{
	struct follow *follow = (struct follow *)watch;
	static char chunk[LIMIT_CHUNK];
	struct text line;
	ssize_t got;

	for (int i = 0; i < READS_AT_ONCE; i++) {
		got = read(watch->fd, chunk, sizeof(chunk));
		if (got < 0 && errno == EPIPE)
			continue;	/* kmsg: records were overwritten unread */
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			follow_finish(follow, got ? "error" : "eof", got ? errno : 0);
			return;
		}
		line = stream_begin(follow->ticket);
		put_base64(&line, "data", chunk, got);
		stream_send(follow->ticket, &line);
	}
}

void follow_end_session(void)
{
	for (int i = 0; i < LIMIT_STREAMS; i++)
		if (follows[i].used)
			follow_close(&follows[i]);
}

void verb_follow(struct request *request)
{
	const char *path = need_string(request, "path");
	struct follow *follow = NULL;
	int fd;

	if (!request_valid(request))
		return;
	for (int i = 0; i < LIMIT_STREAMS && !follow; i++)
		if (!follows[i].used)
			follow = &follows[i];
	if (!follow) {
		reply_error(request->ticket, BUSY, 0, "%d streams are open", LIMIT_STREAMS);
		return;
	}
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		reply_error(request->ticket, OS, errno, "open %s", path);
		return;
	}
	*follow = (struct follow){
		.watch = { .fd = fd, .events = POLLIN, .yields = true, .ready = follow_read },
		.ticket = request->ticket,
		.used = true,
	};
	watch_start(&follow->watch);
}

void verb_stop(struct request *request)
{
	uint64_t stream;

	if (may_value(request, "victim")) {
		stop_loop(request);
		return;
	}
	stream = need_number(request, "stream", 1, INT64_MAX);
	if (!request_valid(request))
		return;
	for (int i = 0; i < LIMIT_STREAMS; i++)
		if (follows[i].used && follows[i].ticket.id == stream) {
			follow_finish(&follows[i], "stopped", 0);
			reply_empty(request->ticket);
			return;
		}
	reply_error(request->ticket, GONE, 0, "no such stream");
}
