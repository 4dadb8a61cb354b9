// SPDX-License-Identifier: Apache-2.0
// Which CPUs are online.
#ifndef SEABUS_CPUS_H
#define SEABUS_CPUS_H

#include <sched.h>

/* Needs _GNU_SOURCE. Those of the first CPU_SETSIZE (1024). */
void cpus_online(cpu_set_t *online);

#endif
