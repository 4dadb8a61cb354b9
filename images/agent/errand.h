// SPDX-License-Identifier: Apache-2.0
// Work that may be slow, or may kill whoever does it: a child does it and words the reply.
#ifndef SEABUS_ERRAND_H
#define SEABUS_ERRAND_H

#include "reply.h"

/* Runs in the child; returns a whole line, from reply_end() or error_line(). */
typedef struct text (*errand)(struct ticket ticket, const void *details);

void errand_run(struct ticket ticket, errand run, const void *details);

#endif
