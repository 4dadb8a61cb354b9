// SPDX-License-Identifier: Apache-2.0
// A victim's memory: how each kind of it is made.
#ifndef SEABUS_MEMORY_H
#define SEABUS_MEMORY_H

#include <sys/syscall.h>
#include <unistd.h>

#include "life.h"

struct memory {
	struct memory_plan plan;
	char *address;
	int fd;			/* of what has a file, else -1 */
	uint64_t filesystem;
};

/* NULL, or what could not be done, and why in errno. */
const char *memory_make(struct memory *memory, const struct memory_plan *plan);

/* In a process just forked: has its own page tables point to what both share. */
void memory_populate(const struct memory *memory);

/* Not the C library's mlock(2), which a sanitizer replaces by nothing. */
static inline int memory_lock(char *address, uint64_t length)
{
	return syscall(SYS_mlock, address, length);
}

static inline int memory_unlock(char *address, uint64_t length)
{
	return syscall(SYS_munlock, address, length);
}

/* Bytes of it that are mapped by huge pages at this moment. */
uint64_t memory_huge(const struct memory *memory);

/* Writes the fill, or as much of it, into the memory. */
void memory_fill(const struct memory *memory, uint64_t offset, uint64_t length);

#endif
