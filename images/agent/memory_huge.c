// SPDX-License-Identifier: Apache-2.0
// How much of the memory is huge, by the kernel's own account.
#include "memory.h"

#include <stdio.h>

/* One field of /proc/self/smaps, in KiB. */
static uint64_t smaps_field(const char *line)
{
	static const char *const fields[] = {
		"AnonHugePages: %lu", "ShmemPmdMapped: %lu", "FilePmdMapped: %lu",
		"Shared_Hugetlb: %lu", "Private_Hugetlb: %lu",
	};
	unsigned long kib;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (sscanf(line, fields[i], &kib) == 1)
			return kib;
	return 0;
}

uint64_t memory_huge(const struct memory *memory)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	uintptr_t start = (uintptr_t)memory->address;
	uint64_t kib = 0;
	bool inside = false;
	char line[512];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from < start + memory->plan.length && to > start;
		else if (inside)
			kib += smaps_field(line);
	}
	fclose(file);
	return kib << 10;
}
