// SPDX-License-Identifier: Apache-2.0
// Maps what a victim owns, and fills it.
#define _GNU_SOURCE
#include "memory.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Linux include/uapi/asm-generic/hugetlb_encode.h, and mman-common.h. */
#define HUGE_SHIFT		26
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

static int huge_flag(uint64_t page_size)
{
	return __builtin_ctzll(page_size) << HUGE_SHIFT;
}

void memory_fill(const struct memory *memory, uint64_t offset, uint64_t length)
{
	char *at = memory->address + offset;

	for (uint64_t i = offset / 8; i < (offset + length) / 8; i++, at += 8) {
		uint64_t word = htole64(fill_word(memory->plan.fill, memory->plan.handle, i));

		memcpy(at, &word, sizeof(word));
	}
}

static const char *make_anonymous(struct memory *memory, int protection, int flags)
{
	const struct memory_plan *plan = &memory->plan;
	/* Aligned by cutting it out of more: only so can it be huge. */
	uint64_t slack = plan->huge ? plan->page_size : 0;
	char *all = mmap(NULL, plan->length + slack, protection, flags | MAP_ANONYMOUS, -1, 0);

	memory->address = all;
	if (all == MAP_FAILED)
		return "mmap";
	if (slack) {
		uint64_t before = -(uintptr_t)all % slack;

		memory->address = all + before;
		if (before)
			munmap(all, before);
		munmap(memory->address + plan->length, slack - before);
	}
	/* On transparent huge pages a "page" would not be one. */
	madvise(memory->address, plan->length, plan->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return NULL;
}

static const char *make_hugetlb(struct memory *memory, int protection, int flags)
{
	const struct memory_plan *plan = &memory->plan;

	memory->address = mmap(NULL, plan->length, protection,
			       flags | MAP_ANONYMOUS | MAP_HUGETLB | huge_flag(plan->page_size),
			       -1, 0);
	return memory->address == MAP_FAILED ? "mmap of huge pages" : NULL;
}

static const char *open_memfd(struct memory *memory)
{
	const struct memory_plan *plan = &memory->plan;
	unsigned int flags = MFD_CLOEXEC;

	if (plan->page_size > (uint64_t)sysconf(_SC_PAGESIZE))
		flags |= MFD_HUGETLB | huge_flag(plan->page_size);
	memory->fd = memfd_create("seabus-victim", flags);
	if (memory->fd < 0)
		return "memfd_create";
	return ftruncate(memory->fd, plan->length) ? "ftruncate" : NULL;
}

static const char *write_fill(const struct memory *memory)
{
	for (uint64_t at = 0; at < memory->plan.length;) {
		uint64_t words[512];
		ssize_t put;

		for (int i = 0; i < 512; i++)
			words[i] = htole64(fill_word(memory->plan.fill, memory->plan.handle,
						     at / 8 + i));
		put = pwrite(memory->fd, words, sizeof(words), at);
		if (put != sizeof(words)) {
			errno = put < 0 ? errno : ENOSPC;
			return "write of the file";
		}
		at += put;
	}
	return NULL;
}

/*
 * A clean page of the page cache is one that was read back: written, brought to
 * the disk, dropped, and mapped again.
 */
static const char *open_file(struct memory *memory)
{
	const struct memory_plan *plan = &memory->plan;
	char nameless[64];
	const char *failed;

	if (*plan->path) {
		memory->fd = open(plan->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY,
				  0755);
	} else {
		snprintf(nameless, sizeof(nameless), "/tmp/seabus-victim-%d-%u", getpid(),
			 plan->handle);
		memory->fd = open(nameless, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
		if (memory->fd >= 0)
			unlink(nameless);
	}
	if (memory->fd < 0)
		return "open of the file";
	failed = write_fill(memory);
	if (failed)
		return failed;
	if (fsync(memory->fd))
		return "fsync of the file";
	posix_fadvise(memory->fd, 0, 0, POSIX_FADV_DONTNEED);
	return NULL;
}

static const char *map_descriptor(struct memory *memory, int protection, int flags)
{
	memory->address = mmap(NULL, memory->plan.length, protection, flags, memory->fd, 0);
	return memory->address == MAP_FAILED ? "mmap" : NULL;
}

/* Nothing is filled here, so a failed access is the test's first. */
static const char *make_physical(struct memory *memory, int protection, int flags)
{
	int fd = open("/dev/mem", (memory->plan.writable ? O_RDWR : O_RDONLY) | O_SYNC | O_CLOEXEC);

	if (fd < 0)
		return "open /dev/mem";
	memory->address = mmap(NULL, memory->plan.length, protection, flags, fd,
			       memory->plan.physical);
	return memory->address == MAP_FAILED ? "mmap of /dev/mem" : NULL;
}

/* A file mapped and then cut short: any access is SIGBUS, BUS_ADRERR, everywhere. */
static const char *make_beyond_eof(struct memory *memory, int protection)
{
	const char *failed = open_memfd(memory);

	if (!failed)
		failed = map_descriptor(memory, protection, MAP_SHARED);
	if (!failed && ftruncate(memory->fd, 0))
		failed = "ftruncate";
	close(memory->fd);
	memory->fd = -1;
	return failed;
}

static const char *map(struct memory *memory, int protection, int flags)
{
	const char *failed;

	switch (memory->plan.source) {
	case SOURCE_ANONYMOUS:
		return make_anonymous(memory, protection, flags);
	case SOURCE_HUGETLB:
		return make_hugetlb(memory, protection, flags);
	case SOURCE_MEMFD:
		failed = open_memfd(memory);
		return failed ? failed : map_descriptor(memory, protection, flags);
	case SOURCE_FILE:
		failed = open_file(memory);
		return failed ? failed : map_descriptor(memory, protection, flags);
	case SOURCE_PHYSICAL:
		return make_physical(memory, protection, flags);
	default:
		return make_beyond_eof(memory, protection);
	}
}

static void read_each_page(const struct memory *memory)
{
	uint64_t step = sysconf(_SC_PAGESIZE);

	for (uint64_t at = 0; at < memory->plan.length; at += step)
		*(volatile char *)(memory->address + at);
}

static const char *settle(struct memory *memory, int protection)
{
	const struct memory_plan *plan = &memory->plan;
	bool filled = plan->fill == FILL_PATTERN || plan->fill == FILL_CODE;

	if (plan->source == SOURCE_PHYSICAL || plan->source == SOURCE_BEYOND_EOF)
		return NULL;
	/* A clean file has its fill already, and must not be dirtied. */
	if (filled && (plan->source != SOURCE_FILE || plan->dirty))
		memory_fill(memory, 0, plan->length);
	else
		read_each_page(memory);
	if (plan->executable)
		__builtin___clear_cache(memory->address, memory->address + plan->length);
	if (plan->huge && !memory_huge(memory))
		madvise(memory->address, plan->length, MADV_COLLAPSE);
	if (!plan->writable || plan->executable)
		if (mprotect(memory->address, plan->length, protection))
			return "mprotect";
	if (plan->locked && memory_lock(memory->address, plan->length))
		return "mlock";
	return NULL;
}

const char *memory_make(struct memory *memory, const struct memory_plan *plan)
{
	int protection = PROT_READ | (plan->writable ? PROT_WRITE : 0) |
			 (plan->executable ? PROT_EXEC : 0);
	int flags = plan->shared ? MAP_SHARED : MAP_PRIVATE;
	/* Written first, and restricted then. */
	int first = plan->source == SOURCE_PHYSICAL ? protection : PROT_READ | PROT_WRITE;
	const char *failed;

	*memory = (struct memory){ .plan = *plan, .fd = -1 };
	failed = map(memory, first, flags);
	if (!failed)
		failed = settle(memory, protection);
	if (!failed && memory->fd >= 0) {
		struct statfs found;

		if (!fstatfs(memory->fd, &found))
			memory->filesystem = (uint64_t)found.f_type & 0xffffffff;
	}
	return failed;
}

void memory_populate(const struct memory *memory)
{
	if (memory->plan.source != SOURCE_PHYSICAL)
		madvise(memory->address, memory->plan.length, MADV_POPULATE_READ);
}
