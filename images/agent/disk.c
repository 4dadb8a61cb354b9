// SPDX-License-Identifier: Apache-2.0
// One file over FUSE, kept in this process's memory as on a disk: so the kernel's page cache of it
// has pages that are clean, can be dropped and read again, and pages that are dirty and can be lost.
// Source: Linux include/uapi/linux/fuse.h, fs/fuse/.
#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	FILE_NODE = 2,
	FILE_MAX = 16 << 20,
	WRITE_MAX = 128 << 10,
	KEPT_SECONDS = 3600,	/* nobody else changes it: names and sizes hold */
};

static const char file_name[] = "file";
static char content[FILE_MAX];
static uint64_t size;

static char request[WRITE_MAX + FUSE_MIN_READ_BUFFER];
static int device;

static void answer(const struct fuse_in_header *to, int error, const void *data, size_t length)
{
	struct fuse_out_header head = { .len = sizeof(head) + length, .error = -error,
					.unique = to->unique };
	struct iovec pieces[2] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)data, .iov_len = length },
	};

	/* What was interrupted meanwhile is nobody's any more. */
	if (writev(device, pieces, 2) < 0 && errno != ENOENT)
		_exit(1);
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .blksize = 4096 };

	attr.mode = node == FILE_NODE ? S_IFREG | 0755 : S_IFDIR | 0755;
	attr.size = node == FILE_NODE ? size : 0;
	attr.blocks = attr.size / 512;
	return attr;
}

static void look_up(const struct fuse_in_header *head, const char *name)
{
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .entry_valid = KEPT_SECONDS,
					.attr_valid = KEPT_SECONDS,
					.attr = attributes(FILE_NODE) };

	if (strcmp(name, file_name))
		answer(head, ENOENT, NULL, 0);
	else
		answer(head, 0, &entry, sizeof(entry));
}

static void tell_attributes(const struct fuse_in_header *head)
{
	struct fuse_attr_out out = { .attr_valid = KEPT_SECONDS,
				     .attr = attributes(head->nodeid) };

	answer(head, 0, &out, sizeof(out));
}

static void set_attributes(const struct fuse_in_header *head, const struct fuse_setattr_in *in)
{
	if (in->valid & FATTR_SIZE) {
		if (in->size > FILE_MAX) {
			answer(head, EFBIG, NULL, 0);
			return;
		}
		if (in->size < size)
			memset(content + in->size, 0, size - in->size);
		size = in->size;
	}
	tell_attributes(head);
}

static void read_content(const struct fuse_in_header *head, const struct fuse_read_in *in)
{
	uint64_t left = in->offset < size ? size - in->offset : 0;

	answer(head, 0, content + (left ? in->offset : 0), in->size < left ? in->size : left);
}

static void write_content(const struct fuse_in_header *head, const struct fuse_write_in *in)
{
	struct fuse_write_out out = { .size = in->size };

	if (in->offset > FILE_MAX || in->size > FILE_MAX - in->offset || in->size > WRITE_MAX) {
		answer(head, EFBIG, NULL, 0);
		return;
	}
	memcpy(content + in->offset, in + 1, in->size);
	if (in->offset + in->size > size)
		size = in->offset + in->size;
	answer(head, 0, &out, sizeof(out));
}

static void begin(const struct fuse_in_header *head, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor :
								 FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.max_write = WRITE_MAX,
	};

	answer(head, 0, &out, sizeof(out));
}

static void serve(const struct fuse_in_header *head, const void *body)
{
	/* A mapping must keep its pages when somebody else opens the file. */
	struct fuse_open_out opened = { .open_flags = FOPEN_KEEP_CACHE };
	struct fuse_statfs_out statistics = { 0 };

	switch (head->opcode) {
	case FUSE_INIT:
		begin(head, body);
		break;
	case FUSE_LOOKUP:
		look_up(head, body);
		break;
	case FUSE_GETATTR:
		tell_attributes(head);
		break;
	case FUSE_SETATTR:
		set_attributes(head, body);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(head, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		read_content(head, body);
		break;
	case FUSE_WRITE:
		write_content(head, body);
		break;
	case FUSE_STATFS:
		answer(head, 0, &statistics, sizeof(statistics));
		break;
	case FUSE_READDIR:
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		answer(head, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;	/* want no answer */
	default:
		answer(head, ENOSYS, NULL, 0);
		break;
	}
}

int disk_begin(const char *folder)
{
	char options[128];
	pid_t pid;

	mkdir(folder, 0755);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (device < 0 || mount("seabus", folder, "fuse", MS_NOSUID | MS_NODEV, options)) {
		perror(device < 0 ? "/dev/fuse" : folder);
		return 1;
	}
	pid = fork();
	if (pid)
		return pid < 0;
	setsid();
	for (;;) {
		ssize_t got = read(device, request, sizeof(request));

		if (got < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (got < (ssize_t)sizeof(struct fuse_in_header))
			_exit(0);	/* unmounted */
		serve((const struct fuse_in_header *)request,
		      request + sizeof(struct fuse_in_header));
	}
}
