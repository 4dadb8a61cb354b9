// SPDX-License-Identifier: Apache-2.0
// System calls that copy a victim's memory: write(2), read(2), vmsplice(2), O_DIRECT.
#define _GNU_SOURCE
#include "call.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

static __thread char scratch[OP_BULK_MAX];

/* What went into the pipe is what the kernel read. */
static void take_back(struct call *call, int fd)
{
	ssize_t got = read(fd, scratch, sizeof(scratch));

	if (got > 0 && (uint64_t)got >= (call->order->size < 8 ? call->order->size : 8))
		call_gives(call, scratch);
}

static void write_to_file(struct call *call)
{
	int fd = open(call->order->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY |
		      O_NONBLOCK, 0644);

	if (call_returned(call, fd) < 0)
		return;
	call_returned(call, write(fd, call->address, call->order->size));
	close(fd);
}

static void write_to_pipe(struct call *call, const int ends[2])
{
	if (call_returned(call, write(ends[1], call->address, call->order->size)) > 0)
		take_back(call, ends[0]);
}

/* The pipe holds the pages themselves: they are read when the pipe is. */
static void splice_to_pipe(struct call *call, const int ends[2])
{
	struct iovec piece = { .iov_base = call->address, .iov_len = call->order->size };

	if (call_returned(call, vmsplice(ends[1], &piece, 1, SPLICE_F_NONBLOCK)) <= 0)
		return;
	if (call_returned(call, read(ends[0], scratch, sizeof(scratch))) >=
	    (call->order->size < 8 ? call->order->size : 8))
		call_gives(call, scratch);
}

/* What is read into the memory: the value over and over. */
static ssize_t feed(const struct call *call, int fd)
{
	uint64_t word = htole64(call->order->value[0]);

	for (size_t at = 0; at < sizeof(scratch); at += sizeof(word))
		memcpy(scratch + at, &word, sizeof(word));
	return write(fd, scratch, call->order->size);
}

static void read_from_pipe(struct call *call, const int ends[2])
{
	ssize_t fed = feed(call, ends[1]);

	if (call_returned(call, fed) > 0)
		call_returned(call, read(ends[0], call->address, fed));
}

static void read_from_file(struct call *call)
{
	int fd = open(call->order->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY |
		      O_NONBLOCK, 0644);
	ssize_t fed;

	if (call_returned(call, fd) < 0)
		return;
	fed = feed(call, fd);
	if (call_returned(call, fed) > 0)
		call_returned(call, pread(fd, call->address, fed, 0));
	close(fd);
}

/* Its own file, through the page cache. */
static void read_file(struct call *call)
{
	ssize_t got = pread(call->memory->fd, scratch, call->order->size, call->order->offset);

	if (call_returned(call, got) >= (call->order->size < 8 ? call->order->size : 8))
		call_gives(call, scratch);
}

static void write_directly(struct call *call)
{
	int fd = open(call->order->path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC | O_NOCTTY,
		      0644);

	if (call_returned(call, fd) < 0)
		return;
	call_returned(call, write(fd, call->address, call->order->size));
	close(fd);
}

void call_transfer(struct call *call)
{
	int ends[2];

	switch (call->order->op) {
	case OP_SYS_PREAD:
		read_file(call);
		return;
	case OP_SYS_DIRECT_WRITE:
		write_directly(call);
		return;
	case OP_SYS_WRITE:
		if (*call->order->path) {
			write_to_file(call);
			return;
		}
		break;
	case OP_SYS_READ:
		if (*call->order->path) {
			read_from_file(call);
			return;
		}
		break;
	default:
		break;
	}
	if (call_returned(call, pipe2(ends, O_CLOEXEC | O_NONBLOCK)) < 0)
		return;
	if (call->order->op == OP_SYS_WRITE)
		write_to_pipe(call, ends);
	else if (call->order->op == OP_SYS_READ)
		read_from_pipe(call, ends);
	else
		splice_to_pipe(call, ends);
	close(ends[0]);
	close(ends[1]);
}
