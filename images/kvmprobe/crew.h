// SPDX-License-Identifier: Apache-2.0
// The threads that run vCPUs, one each, and the deadline of what they run.
#ifndef SEABUS_CREW_H
#define SEABUS_CREW_H

#include "cell.h"

/* Runs a cell in its vCPU's thread; after `within_ms` it is stopped and counts as stuck. */
void crew_run(struct cell *cell, unsigned within_ms);

#endif
