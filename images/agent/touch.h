// SPDX-License-Identifier: Apache-2.0
// One thing that a thread of a victim is told to do.
#ifndef SEABUS_TOUCH_H
#define SEABUS_TOUCH_H

#include "life.h"
#include "memory.h"

/* Fills in an outcome that is all zero. */
void touch(struct memory *memory, struct victim_log *log, uint32_t thread,
	   const struct touch_order *order, struct touch_outcome *outcome);

/* Has this thread run on that CPU only, unless it is -1; false with errno set. */
bool touch_pin(int32_t cpu);

#endif
