// SPDX-License-Identifier: Apache-2.0
// Reads the list of online CPUs.
#define _GNU_SOURCE
#include "cpus.h"

#include <stdio.h>
#include <unistd.h>

/* "0-3,5\n" */
void cpus_online(cpu_set_t *online)
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	unsigned int first, last;

	CPU_ZERO(online);
	while (file && fscanf(file, "%u", &first) == 1) {
		last = first;
		if (fscanf(file, "-%u", &last) == EOF)
			last = first;
		for (unsigned int cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, online);
		if (fgetc(file) != ',')
			break;
	}
	if (file)
		fclose(file);
	/* Without sysfs they are as good as always numbered from 0. */
	if (!CPU_COUNT(online))
		for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
			CPU_SET(cpu, online);
}
