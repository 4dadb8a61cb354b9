// SPDX-License-Identifier: Apache-2.0
// Reads and writes files, in a child: in sysfs and debugfs either may take long, or be fatal.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errand.h"
#include "limits.h"
#include "verbs.h"

struct read_details {
	const char *path;
	off_t offset;
	size_t length;
};

struct write_details {
	const char *path;
	struct bytes data;
	int flags;
	mode_t mode;
};

/*
 * O_NONBLOCK so that what never ends, as /dev/kmsg, gives what it has. From
 * the start plain read(2), which also works on what cannot seek.
 */
static struct text do_read(struct ticket ticket, const void *argument)
{
	const struct read_details *details = argument;
	static char data[LIMIT_READ];
	struct text line;
	size_t have = 0;
	ssize_t got = 1;
	int fd;

	fd = open(details->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return error_line(&ticket, OS, errno, "open %s", details->path);
	while (have < details->length && got > 0) {
		if (details->offset)
			got = pread(fd, data + have, details->length - have,
				    details->offset + have);
		else
			got = read(fd, data + have, details->length - have);
		if (got > 0)
			have += got;
	}
	/* After some bytes an error can wait: the next read will meet it again. */
	if (got < 0 && errno != EAGAIN && !have)
		return error_line(&ticket, OS, errno, "read %s", details->path);
	line = reply_begin(ticket);
	put_base64(&line, "data", data, have);
	put_bool(&line, "eof", got == 0);
	reply_end(&line);
	return line;
}

void verb_read(struct request *request)
{
	struct read_details details = {
		.path = need_string(request, "path"),
		.offset = may_number(request, "offset", 0, INT64_MAX - LIMIT_READ, 0),
		.length = may_number(request, "length", 0, LIMIT_READ, LIMIT_READ),
	};

	if (request_valid(request))
		errand_run(request->ticket, do_read, &details);
}

/* In one write(2) if the file will have it: sysfs and debugfs take each as a command. */
static struct text do_write(struct ticket ticket, const void *argument)
{
	const struct write_details *details = argument;
	size_t written = 0;
	struct text line;
	ssize_t put;
	int fd;

	umask(0);
	fd = open(details->path, details->flags, details->mode);
	if (fd < 0)
		return error_line(&ticket, OS, errno, "open %s", details->path);
	do {
		put = write(fd, details->data.data + written, details->data.length - written);
		if (put < 0)
			return error_line(&ticket, OS, errno, "write %s after %zu bytes",
					  details->path, written);
		written += put;
	} while (put && written < details->data.length);
	if (close(fd))
		return error_line(&ticket, OS, errno, "close %s", details->path);
	line = reply_begin(ticket);
	put_number(&line, "written", written);
	reply_end(&line);
	return line;
}

void verb_write(struct request *request)
{
	struct write_details details = {
		.path = need_string(request, "path"),
		.data = need_bytes(request, "data"),
		.flags = O_WRONLY | O_NOCTTY | O_CLOEXEC,
		.mode = may_number(request, "mode", 0, 07777, 0644),
	};

	details.flags |= may_bool(request, "append", false) ? O_APPEND : O_TRUNC;
	details.flags |= may_bool(request, "create", true) ? O_CREAT : 0;
	if (request_valid(request))
		errand_run(request->ticket, do_write, &details);
}
