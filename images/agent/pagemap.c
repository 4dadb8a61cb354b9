// SPDX-License-Identifier: Apache-2.0
// Which page frames stand behind a process's addresses.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "errand.h"
#include "verbs.h"

enum { PAGES_MAX = 512 };

/* Linux, Documentation/admin-guide/mm/pagemap.rst. */
#define PM_PRESENT	(1ULL << 63)
#define PM_SWAPPED	(1ULL << 62)
#define PM_FILE		(1ULL << 61)
#define PM_EXCLUSIVE	(1ULL << 56)
#define PM_PFN		((1ULL << 55) - 1)

struct details {
	pid_t pid;
	uint64_t address;
	size_t count;
};

static struct text do_pagemap(struct ticket ticket, const void *argument)
{
	const struct details *details = argument;
	uint64_t page_size = sysconf(_SC_PAGESIZE), first = details->address / page_size;
	uint64_t entries[PAGES_MAX];
	struct text line;
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", details->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_line(&ticket, errno == ENOENT ? GONE : OS, errno, "%s", path);
	got = pread(fd, entries, details->count * sizeof(entries[0]),
		    first * sizeof(entries[0]));
	if (got < 0)
		return error_line(&ticket, errno == ESRCH ? GONE : OS, errno, "%s", path);
	line = reply_begin(ticket);
	put_array(&line, "pages");
	for (size_t i = 0; i < got / sizeof(entries[0]); i++) {
		uint64_t entry = entries[i];

		put_object(&line, NULL);
		put_hex(&line, "address", (first + i) * page_size);
		put_bool(&line, "present", entry & PM_PRESENT);
		put_bool(&line, "swapped", entry & PM_SWAPPED);
		put_hex(&line, "pfn", entry & PM_PRESENT ? entry & PM_PFN : 0);
		put_bool(&line, "file", entry & PM_FILE);
		put_bool(&line, "exclusive", entry & PM_EXCLUSIVE);
		put_end(&line, '}');
	}
	put_end(&line, ']');
	reply_end(&line);
	return line;
}

void verb_pagemap(struct request *request)
{
	struct details details = {
		.pid = need_number(request, "pid", 1, INT_MAX),
		.address = need_hex(request, "address"),
		.count = may_number(request, "count", 1, PAGES_MAX, 1),
	};

	if (request_valid(request))
		errand_run(request->ticket, do_pagemap, &details);
}
