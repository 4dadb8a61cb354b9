// SPDX-License-Identifier: Apache-2.0
// The lines the agent sends: replies, errors and stream messages.
#ifndef SEABUS_REPLY_H
#define SEABUS_REPLY_H

#include <stdint.h>

#include "text.h"

/* Whom a reply is for. Kept by whatever works on a request. */
struct ticket {
	uint64_t id;
	uint32_t session;
};

/* Kinds of error. */
#define PROTOCOL	"protocol"
#define USAGE		"usage"
#define OS		"os"
#define GONE		"gone"
#define BUSY		"busy"

/* {"id": N, "ok": {   ...to be filled in, then given to reply_end(). */
struct text reply_begin(struct ticket ticket);
void reply_end(struct text *line);

/* A whole error line; with no ticket its id is null, with error 0 it has no errno. */
struct text error_line(const struct ticket *ticket, const char *kind, int error,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Completes a reply from reply_begin() and sends it. */
void reply_send(struct ticket ticket, struct text *line);
void reply_empty(struct ticket ticket);
void reply_error(struct ticket ticket, const char *kind, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* {"stream": N   ...likewise. */
struct text stream_begin(struct ticket ticket);
void stream_send(struct ticket ticket, struct text *line);

#endif
