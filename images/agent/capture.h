// SPDX-License-Identifier: Apache-2.0
// Collects what a child writes into a pipe.
#ifndef SEABUS_CAPTURE_H
#define SEABUS_CAPTURE_H

#include "loop.h"
#include "text.h"

struct capture {
	struct watch watch;
	struct text kept;
	size_t limit;
	bool truncated;	/* there was more than `limit` */
};

/* Gives the end to write to; false with errno set if there can be no pipe. */
bool capture_start(struct capture *capture, size_t limit, int *write_end);

/* Once the writer has ended: takes what the pipe still holds, and closes it. */
void capture_finish(struct capture *capture);

/* Closes it and forgets everything; also right for one never started. */
void capture_free(struct capture *capture);

#endif
