// SPDX-License-Identifier: Apache-2.0
// Reads one JSON document of bounded depth and size, in place.
#ifndef SEABUS_JSON_H
#define SEABUS_JSON_H

#include <stddef.h>
#include <stdint.h>

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_INTEGER,	/* 0 to 2^64-1 */
	JSON_NUMBER,	/* any other number: the protocol has no use for its value */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,	/* its names and values alternate */
};

/*
 * A document is an array of values in the order they were written, so that
 * what an array or object holds follows it directly.
 */
struct json_value {
	enum json_type type;
	uint32_t span;	/* this value and all that is in it, counted in values */
	union {
		uint64_t integer;
		struct {
			char *bytes;	/* ends in a NUL that `length` leaves out */
			size_t length;
		} string;
	};
};

enum {
	JSON_DEPTH_MAX = 16,
	JSON_VALUES_MAX = 16384,
};

struct json {
	uint32_t count;
	struct json_value values[JSON_VALUES_MAX];
};

/*
 * Parses and changes `text`, which the values' strings point into from then
 * on. Returns NULL, or what is wrong with it.
 */
const char *json_parse(struct json *json, char *text, size_t length);

/* A named value of an object, the last one if there are several, or NULL. */
const struct json_value *json_member(const struct json_value *object, const char *name);

/* for (v = json_first(c); v != json_end(c); v = json_next(v)) */
static inline const struct json_value *json_first(const struct json_value *container)
{
	return container + 1;
}

static inline const struct json_value *json_next(const struct json_value *value)
{
	return value + value->span;
}

static inline const struct json_value *json_end(const struct json_value *container)
{
	return container + container->span;
}

#endif
