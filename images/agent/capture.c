// SPDX-License-Identifier: Apache-2.0
// Reads a child's output as it comes and keeps the beginning of it.
#define _GNU_SOURCE
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pipes.h"

static void capture_close(struct capture *capture)
{
	if (capture->watch.fd <= 0)
		return;
	watch_stop(&capture->watch);
	close(capture->watch.fd);
	capture->watch.fd = -1;
}

/* What does not fit is read all the same, lest the child wait for ever. */
static void capture_read(struct watch *watch)
{
	struct capture *capture = (struct capture *)watch;
	static char chunk[64 << 10];
	size_t room = capture->limit - capture->kept.length;
	ssize_t got = read(watch->fd, chunk, sizeof(chunk));

	if (got > 0) {
		text_add(&capture->kept, chunk, (size_t)got < room ? (size_t)got : room);
		capture->truncated |= (size_t)got > room;
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		capture_close(capture);
	}
}

bool capture_start(struct capture *capture, size_t limit, int *write_end)
{
	int ends[2];

	if (!pipe_make(ends))
		return false;
	*capture = (struct capture){
		.watch = { .fd = ends[0], .events = POLLIN, .yields = true,
			   .ready = capture_read },
		.limit = limit,
	};
	watch_start(&capture->watch);
	*write_end = ends[1];
	return true;
}

/*
 * A descendant may keep the pipe open, and writing, for ever. What counts is
 * what the child itself had written, and that is in the pipe by now.
 */
void capture_finish(struct capture *capture)
{
	int left = 0;

	if (capture->watch.fd > 0)
		ioctl(capture->watch.fd, FIONREAD, &left);
	for (int round = 0; capture->watch.fd > 0 && round * (64 << 10) < left; round++)
		capture_read(&capture->watch);
	capture_close(capture);
}

void capture_free(struct capture *capture)
{
	capture_close(capture);
	text_free(&capture->kept);
}
