// SPDX-License-Identifier: Apache-2.0
// Stands in for a virtio port: two FIFOs, whose reading end hangs up as such a port does.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Linked with --wrap for each of these. $SEABUS_PORT is a folder that holds
 * virtio-ports/vport0p1/name, and the FIFOs vport0p1 (to the agent) and out.
 * A FIFO open for reading alone gives 0 without a writer, EAGAIN with a silent
 * one: what virtio_console does without and with a host.
 */
int __real_open(const char *path, int flags, ...);
DIR *__real_opendir(const char *path);
FILE *__real_fopen(const char *path, const char *mode);
ssize_t __real_write(int fd, const void *bytes, size_t length);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);

static int port = -1, out = -1;

static const char *moved(const char *path, char *buffer, size_t size)
{
	static const char *const roots[] = { "/sys/class/", "/dev/vport" };

	for (int i = 0; i < 2; i++)
		if (!strncmp(path, roots[i], strlen(roots[i]))) {
			snprintf(buffer, size, "%s/%s", getenv("SEABUS_PORT"),
				 path + (i ? strlen("/dev/") : strlen(roots[i])));
			return buffer;
		}
	return path;
}

int __wrap_open(const char *path, int flags, ...)
{
	char buffer[4096];
	va_list rest;
	int mode;

	va_start(rest, flags);
	mode = flags & O_CREAT ? va_arg(rest, int) : 0;
	va_end(rest);
	if (moved(path, buffer, sizeof(buffer)) == path)
		return __real_open(path, flags, mode);
	port = __real_open(buffer, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (port >= 0 && out < 0) {
		moved("/dev/vport0p1", buffer, sizeof(buffer));
		strcpy(strrchr(buffer, '/'), "/out");
		out = __real_open(buffer, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	return port;
}

DIR *__wrap_opendir(const char *path)
{
	char buffer[4096];

	return __real_opendir(moved(path, buffer, sizeof(buffer)));
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	char buffer[4096];

	return __real_fopen(moved(path, buffer, sizeof(buffer)), mode);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	return __real_write(fd == port && port >= 0 ? out : fd, bytes, length);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	for (nfds_t i = 0; i < count; i++)
		if (fds[i].fd == port && fds[i].events & POLLOUT)
			fds[i].fd = out;
	return __real_poll(fds, count, timeout);
}
