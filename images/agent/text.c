// SPDX-License-Identifier: Apache-2.0
// Writes JSON: always well-formed and always UTF-8, whatever bytes it is given.
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"

/* Grown by doubling, so that a long reply costs a linear number of copies. */
static char *text_room(struct text *text, size_t length)
{
	if (text->capacity - text->length < length) {
		size_t capacity = text->capacity ? text->capacity : 256;

		while (capacity - text->length < length)
			capacity *= 2;
		text->bytes = realloc(text->bytes, capacity);
		if (!text->bytes)
			abort();
		text->capacity = capacity;
	}
	return text->bytes + text->length;
}

void text_add(struct text *text, const void *bytes, size_t length)
{
	if (!length)
		return;
	memcpy(text_room(text, length), bytes, length);
	text->length += length;
}

void text_free(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}

static void add(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

/* The length of the well-formed UTF-8 sequence at `at`, or 0 (RFC 3629). */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		length = 2;
	else if (at[0] >= 0xe0 && at[0] <= 0xef)
		length = 3;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (left < length)
		return 0;
	if (at[0] == 0xe0)	/* over-long */
		low = 0xa0;
	else if (at[0] == 0xed)	/* surrogates */
		high = 0x9f;
	else if (at[0] == 0xf0)	/* over-long */
		low = 0x90;
	else if (at[0] == 0xf4)	/* above U+10FFFF */
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static void add_quoted(struct text *text, const char *string)
{
	const unsigned char *at = (const unsigned char *)string;
	size_t left = strlen(string);

	add(text, "\"");
	while (left) {
		size_t length = utf8_sequence(at, left);

		if (!length) {
			add(text, "\xef\xbf\xbd");	/* U+FFFD */
			length = 1;
		} else if (*at < 0x20 || *at == 0x7f) {
			char escape[8];

			snprintf(escape, sizeof(escape), "\\u%04x", *at);
			add(text, escape);
		} else {
			if (*at == '"' || *at == '\\')
				add(text, "\\");
			text_add(text, at, length);
		}
		at += length;
		left -= length;
	}
	add(text, "\"");
}

static void put_name(struct text *text, const char *name)
{
	/* Only an opening bracket can precede a first value: strings end in '"'. */
	if (text->length && !memchr("{[", text->bytes[text->length - 1], 2))
		add(text, ",");
	if (name) {
		add_quoted(text, name);
		add(text, ":");
	}
}

void put_object(struct text *text, const char *name)
{
	put_name(text, name);
	add(text, "{");
}

void put_array(struct text *text, const char *name)
{
	put_name(text, name);
	add(text, "[");
}

void put_end(struct text *text, char bracket)
{
	text_add(text, &bracket, 1);
}

void put_null(struct text *text, const char *name)
{
	put_name(text, name);
	add(text, "null");
}

void put_bool(struct text *text, const char *name, bool value)
{
	put_name(text, name);
	add(text, value ? "true" : "false");
}

void put_number(struct text *text, const char *name, uint64_t value)
{
	char digits[24];

	put_name(text, name);
	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	add(text, digits);
}

void put_signed(struct text *text, const char *name, int64_t value)
{
	char digits[24];

	put_name(text, name);
	snprintf(digits, sizeof(digits), "%" PRId64, value);
	add(text, digits);
}

void put_hex(struct text *text, const char *name, uint64_t value)
{
	char digits[24];

	put_name(text, name);
	snprintf(digits, sizeof(digits), "\"0x%" PRIx64 "\"", value);
	add(text, digits);
}

void put_wide_hex(struct text *text, const char *name, const uint64_t value[2])
{
	char digits[40];

	if (!value[1]) {
		put_hex(text, name, value[0]);
		return;
	}
	put_name(text, name);
	snprintf(digits, sizeof(digits), "\"0x%" PRIx64 "%016" PRIx64 "\"", value[1], value[0]);
	add(text, digits);
}

void put_string(struct text *text, const char *name, const char *value)
{
	put_name(text, name);
	add_quoted(text, value);
}

void put_base64(struct text *text, const char *name, const void *bytes, size_t length)
{
	put_name(text, name);
	add(text, "\"");
	base64_encode(text_room(text, base64_length(length)), bytes, length);
	text->length += base64_length(length);
	add(text, "\"");
}
