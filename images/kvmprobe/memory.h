// SPDX-License-Identifier: Apache-2.0
// The memory behind a slot, of every kind a VMM may use.
#ifndef SEABUS_PROBE_MEMORY_H
#define SEABUS_PROBE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
	char *at;
	size_t size;
	size_t reserved;	/* mapped in all, from `base` */
	char *base;
	int fd;			/* or -1 */
};

/*
 * Backings: "anon" (never huge), "thp", "hugetlb-2M", "hugetlb-1G", "memfd",
 * "memfd-2M", "physical" (/dev/mem from `physical` on). Returns NULL or the
 * name of the step that failed, with errno; errno 0: there is no such backing.
 */
const char *memory_map(struct memory *memory, const char *backing, size_t size, uint64_t physical);
void memory_unmap(struct memory *memory);

/* Bytes of it that huge pages map now. */
uint64_t memory_huge(const struct memory *memory);

/* The physical address behind one of its bytes, 0 if unknown. */
uint64_t memory_physical(const char *at);

#endif
