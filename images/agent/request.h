// SPDX-License-Identifier: Apache-2.0
// One request: which verb, and its arguments checked.
#ifndef SEABUS_REQUEST_H
#define SEABUS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "reply.h"

struct request {
	struct ticket ticket;
	const struct json_value *arguments;
	const char *wrong;	/* the first wrong argument, and what it should have been */
	const char *should;
};

struct bytes {
	char *data;
	size_t length;
};

/* Takes one line, without its '\n', and changes it in passing. */
void request_handle(char *line, size_t length);

/* Answers something that was not a request. */
void request_refuse(const char *reason);

/*
 * need_ takes an argument that must be there, may_ one that need not (null is
 * as good as absent). They note what is wrong and return something harmless;
 * a handler takes all its arguments, then asks request_valid(), which has
 * answered the request if it returns false. Strings and bytes live until the
 * handler returns.
 */
uint64_t need_number(struct request *request, const char *name, uint64_t least, uint64_t most);
uint64_t may_number(struct request *request, const char *name, uint64_t least, uint64_t most,
		    uint64_t otherwise);
uint64_t need_hex(struct request *request, const char *name);
/* Up to 128 bits, the low ones first. Changes the argument: take it once. */
void need_wide_hex(struct request *request, const char *name, uint64_t value[2]);
const char *need_string(struct request *request, const char *name);
const char *may_string(struct request *request, const char *name);
struct bytes need_bytes(struct request *request, const char *name);
struct bytes may_bytes(struct request *request, const char *name);
bool may_bool(struct request *request, const char *name, bool otherwise);
const struct json_value *may_value(struct request *request, const char *name);
void request_wrong(struct request *request, const char *name, const char *should);
bool request_valid(struct request *request);

/* A string that can be passed to a system call: one without NUL bytes. */
bool is_c_string(const struct json_value *value);

#endif
