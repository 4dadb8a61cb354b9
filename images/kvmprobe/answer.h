// SPDX-License-Identifier: Apache-2.0
// What a verb hands back: members of "ok", or one error.
#ifndef SEABUS_ANSWER_H
#define SEABUS_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "../agent/json.h"
#include "../agent/text.h"

struct answer {
	struct text ok;		/* "{...", open */
	const char *kind;	/* of the error, or NULL */
	int error;		/* errno of an "os" error */
	char message[160];
};

/* Each returns false, so that `return refuse(...)` ends a verb. */
bool refuse(struct answer *answer, const char *message, ...)
	__attribute__((format(printf, 2, 3)));
bool system_failed(struct answer *answer, const char *what, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Arguments of a request. A number may be an integer or a "0x..." string.
 * Absent or of another type: NULL or false, and the value is left alone.
 */
const char *string_of(const struct json_value *object, const char *name);
bool number_of(const struct json_value *object, const char *name, uint64_t *value);
bool flag_of(const struct json_value *object, const char *name);
bool number_in(const struct json_value *value, uint64_t *number);

#endif
