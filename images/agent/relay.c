// SPDX-License-Identifier: Apache-2.0
// Carries a unix socket of this machine over standard input and output: what SSH can reach, it cannot open.
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	ATTEMPTS = 500,	/* whoever listens may still be starting */
	PAUSE_NS = 20 * 1000 * 1000,
	BLOCK = 64 << 10,
};

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timespec pause = { .tv_nsec = PAUSE_NS };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	for (int i = 0; i < ATTEMPTS; i++) {
		if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
			return fd;
		if (errno != ENOENT && errno != ECONNREFUSED)
			break;
		nanosleep(&pause, NULL);
	}
	return -1;
}

/* What there is to read, written in full; false at the end of either. */
static bool pass(int from, int to)
{
	static char block[BLOCK];
	ssize_t got = read(from, block, sizeof(block));

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	for (ssize_t done = 0; done < got; ) {
		ssize_t put = write(to, block + done, got - done);

		if (put < 0 && errno != EINTR)
			return false;
		if (put > 0)
			done += put;
	}
	return got > 0;
}

int relay(const char *path)
{
	int fd = open_socket(path);
	struct pollfd ends[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	if (fd < 0) {
		fprintf(stderr, "cannot connect to %s: %s\n", path, strerror(errno));
		return 1;
	}
	for (;;) {
		if (poll(ends, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (ends[0].revents && !pass(STDIN_FILENO, fd))
			return 0;
		if (ends[1].revents && !pass(fd, STDOUT_FILENO))
			return 0;
	}
}
