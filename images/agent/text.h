// SPDX-License-Identifier: Apache-2.0
// A growing byte string, and JSON written into it.
#ifndef SEABUS_TEXT_H
#define SEABUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *bytes;
	size_t length;
	size_t capacity;
};

void text_add(struct text *text, const void *bytes, size_t length);
void text_free(struct text *text);

/*
 * Each put_ writes one JSON value, with its name in an object and with name
 * NULL in an array; the comma before it, if one is due, comes by itself.
 */
void put_object(struct text *text, const char *name);
void put_array(struct text *text, const char *name);
void put_end(struct text *text, char bracket);
void put_null(struct text *text, const char *name);
void put_bool(struct text *text, const char *name, bool value);
void put_number(struct text *text, const char *name, uint64_t value);
void put_signed(struct text *text, const char *name, int64_t value);
void put_hex(struct text *text, const char *name, uint64_t value);
void put_wide_hex(struct text *text, const char *name, const uint64_t value[2]);
void put_string(struct text *text, const char *name, const char *value);
void put_base64(struct text *text, const char *name, const void *bytes, size_t length);

#endif
