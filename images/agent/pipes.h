// SPDX-License-Identifier: Apache-2.0
// Pipes between a child and the agent, which never waits on its end.
#ifndef SEABUS_PIPES_H
#define SEABUS_PIPES_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/* Needs _GNU_SOURCE. ends[0] is the agent's. */
static inline bool pipe_make(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		return false;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return true;
}

/* For a child, which may wait. */
static inline void pipe_write(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length) {
		ssize_t put = write(fd, at, length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return;
		at += put;
		length -= put;
	}
}

#endif
