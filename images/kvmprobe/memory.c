// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25	/* Linux 6.1 */
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB	4U
#endif

enum {
	SHIFT_2M = 21,
	SHIFT_1G = 30,
	HUGE_SHIFT_AT = 26,	/* MAP_HUGE_SHIFT and MFD_HUGE_SHIFT */
};

#define ALIGNMENT	(2UL << 20)

/* Stage 2 maps a huge page only where both addresses are aligned alike. */
static const char *map_aligned(struct memory *memory, int flags, int fd, uint64_t offset)
{
	int protection = PROT_READ | PROT_WRITE;
	char *base = mmap(NULL, memory->size + ALIGNMENT, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at;

	if (base == MAP_FAILED)
		return "mmap";
	memory->base = base;
	memory->reserved = memory->size + ALIGNMENT;
	at = base + (-(uintptr_t)base & (ALIGNMENT - 1));
	if (mmap(at, memory->size, protection, flags | MAP_FIXED, fd, offset) == MAP_FAILED)
		return "mmap";
	memory->at = at;
	return NULL;
}

/* Huge pages choose their own alignment. */
static const char *map_huge(struct memory *memory, int shift)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | shift << HUGE_SHIFT_AT;
	char *at = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (at == MAP_FAILED)
		return "mmap of huge pages (are any reserved?)";
	memory->at = memory->base = at;
	memory->reserved = memory->size;
	return NULL;
}

static const char *map_memfd(struct memory *memory, unsigned flags)
{
	memory->fd = memfd_create("seabus", MFD_CLOEXEC | flags);
	if (memory->fd < 0)
		return "memfd_create";
	if (ftruncate(memory->fd, memory->size))
		return "ftruncate";
	return map_aligned(memory, MAP_SHARED, memory->fd, 0);
}

static const char *map_physical(struct memory *memory, uint64_t physical)
{
	memory->fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (memory->fd < 0)
		return "/dev/mem";
	return map_aligned(memory, MAP_SHARED, memory->fd, physical);
}

const char *memory_map(struct memory *memory, const char *backing, size_t size, uint64_t physical)
{
	const char *failed;

	*memory = (struct memory){ .size = size, .fd = -1 };
	if (!strcmp(backing, "physical"))
		return map_physical(memory, physical);
	if (!strcmp(backing, "anon") || !strcmp(backing, "thp"))
		failed = map_aligned(memory, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else if (!strcmp(backing, "hugetlb-2M"))
		failed = map_huge(memory, SHIFT_2M);
	else if (!strcmp(backing, "hugetlb-1G"))
		failed = map_huge(memory, SHIFT_1G);
	else if (!strcmp(backing, "memfd"))
		failed = map_memfd(memory, 0);
	else if (!strcmp(backing, "memfd-2M"))
		failed = map_memfd(memory, MFD_HUGETLB | SHIFT_2M << HUGE_SHIFT_AT);
	else {
		errno = 0;
		return "backing";
	}
	if (failed)
		return failed;
	if (!strcmp(backing, "thp")) {
		if (madvise(memory->at, size, MADV_HUGEPAGE))
			return "madvise(MADV_HUGEPAGE)";
	} else if (!strcmp(backing, "anon")) {
		/* A kernel without transparent huge pages refuses, and has none. */
		madvise(memory->at, size, MADV_NOHUGEPAGE);
	}
	memset(memory->at, 0, size);
	if (!strcmp(backing, "thp"))
		madvise(memory->at, size, MADV_COLLAPSE);	/* memory_huge() tells */
	return NULL;
}

void memory_unmap(struct memory *memory)
{
	if (memory->base)
		munmap(memory->base, memory->reserved);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = (struct memory){ .fd = -1 };
}

uint64_t memory_huge(const struct memory *memory)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start = 0, end = 0, kib;
	uint64_t huge = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			continue;
		if (start < (uintptr_t)memory->at + memory->size && end > (uintptr_t)memory->at &&
		    (sscanf(line, "AnonHugePages: %lu", &kib) == 1 ||
		     sscanf(line, "Private_Hugetlb: %lu", &kib) == 1 ||
		     sscanf(line, "Shared_Hugetlb: %lu", &kib) == 1))
			huge += kib << 10;
	}
	if (file)
		fclose(file);
	return huge;
}

uint64_t memory_physical(const char *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uintptr_t address = (uintptr_t)at;
	size_t page = sysconf(_SC_PAGESIZE);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), address / page * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	/* Linux Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bits 54-0 the PFN. */
	return entry >> 63 ? (entry & ((1ULL << 55) - 1)) * page + address % page : 0;
}
