// SPDX-License-Identifier: Apache-2.0
// The guest's clocks.
#ifndef SEABUS_CLOCK_H
#define SEABUS_CLOCK_H

#include "text.h"

/* "mono_ns", "counter" and "counter_hz", read together. */
void put_clock(struct text *line);

#endif
