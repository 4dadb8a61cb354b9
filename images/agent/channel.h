// SPDX-License-Identifier: Apache-2.0
// The byte channel to the host: lines in, lines out.
#ifndef SEABUS_CHANNEL_H
#define SEABUS_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

void channel_use_stdio(void);

/* Whoever speaks over standard input may vanish without closing it: after so long a silence we end. */
void channel_end_when_idle(int seconds);

void channel_use_port(const char *name);

/* Called before every poll(2); returns the timeout for it. */
int channel_tend(void);

/* Queues a whole line for the session that asked for it, and frees it. */
void channel_send(uint32_t session, struct text *line);

/* So much waits to be sent that what produces more should rest. */
bool channel_congested(void);

/*
 * A session lasts from one hang-up to the next. What an earlier one asked for
 * is still done, but its replies mean nothing to whoever listens now.
 */
uint32_t channel_session(void);

#endif
