// SPDX-License-Identifier: Apache-2.0
// A strict JSON reader (RFC 8259) that allocates nothing and cannot be made to recurse deeply.
#include "json.h"

#include <stdbool.h>
#include <string.h>

struct reader {
	struct json *json;
	char *at;
	char *end;
	const char *wrong;
};

static bool fail(struct reader *r, const char *wrong)
{
	r->wrong = wrong;
	return false;
}

static void skip_space(struct reader *r)
{
	while (r->at < r->end && memchr(" \t\r\n", *r->at, 4))
		r->at++;
}

static bool accept(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool digits(struct reader *r)
{
	char *start = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > start;
}

static bool read_number(struct reader *r, struct json_value *value)
{
	char *start = r->at, *first;
	bool whole = !accept(r, '-');

	first = r->at;
	if (!digits(r) || (*first == '0' && r->at - first > 1))
		return fail(r, "malformed number");
	value->type = JSON_NUMBER;
	if (accept(r, '.')) {
		whole = false;
		if (!digits(r))
			return fail(r, "malformed number");
	}
	if (accept(r, 'e') || accept(r, 'E')) {
		whole = false;
		if (!accept(r, '-'))
			accept(r, '+');
		if (!digits(r))
			return fail(r, "malformed number");
	}
	if (!whole)
		return true;
	value->integer = 0;
	for (char *c = start; c < r->at; c++)
		if (__builtin_mul_overflow(value->integer, 10, &value->integer) ||
		    __builtin_add_overflow(value->integer, *c - '0', &value->integer))
			return true;
	value->type = JSON_INTEGER;
	return true;
}

static bool read_hex4(struct reader *r, uint32_t *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++, r->at++) {
		char c = r->at < r->end ? *r->at : 0;

		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			*unit = *unit << 4 | ((c | 0x20) - 'a' + 10);
		else
			return fail(r, "malformed \\u escape");
	}
	return true;
}

/* A surrogate without its other half becomes U+FFFD: UTF-8 cannot carry it. */
static bool read_code_point(struct reader *r, uint32_t *code)
{
	char *after;
	uint32_t low;

	if (!read_hex4(r, code))
		return false;
	if (*code < 0xd800 || *code > 0xdfff)
		return true;
	after = r->at;
	if (*code < 0xdc00 && accept(r, '\\') && accept(r, 'u')) {
		if (!read_hex4(r, &low))
			return false;
		if (low >= 0xdc00 && low <= 0xdfff) {
			*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
			return true;
		}
	}
	r->at = after;
	*code = 0xfffd;
	return true;
}

static char *write_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = code;
		return to;
	}
	if (code < 0x800) {
		*to++ = 0xc0 | code >> 6;
	} else {
		if (code < 0x10000) {
			*to++ = 0xe0 | code >> 12;
		} else {
			*to++ = 0xf0 | code >> 18;
			*to++ = 0x80 | (code >> 12 & 0x3f);
		}
		*to++ = 0x80 | (code >> 6 & 0x3f);
	}
	*to++ = 0x80 | (code & 0x3f);
	return to;
}

static bool read_escape(struct reader *r, char **to)
{
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *name;
	uint32_t code;

	if (accept(r, 'u')) {
		if (!read_code_point(r, &code))
			return false;
		*to = write_utf8(*to, code);
		return true;
	}
	name = r->at < r->end ? memchr(names, *r->at, sizeof(names) - 1) : NULL;
	if (!name)
		return fail(r, "unknown escape in a string");
	r->at++;
	*(*to)++ = meant[name - names];
	return true;
}

/*
 * A string never grows by being decoded, so it is decoded over itself. Bytes
 * that are not UTF-8 are let through: paths and arguments may hold any.
 */
static bool read_string(struct reader *r, struct json_value *value)
{
	char *start = r->at, *to = start;

	while (!accept(r, '"')) {
		if (r->at == r->end)
			return fail(r, "unterminated string");
		if ((unsigned char)*r->at < 0x20)
			return fail(r, "control character in a string");
		if (accept(r, '\\')) {
			if (!read_escape(r, &to))
				return false;
		} else {
			*to++ = *r->at++;
		}
	}
	*to = '\0';
	value->type = JSON_STRING;
	value->string.bytes = start;
	value->string.length = to - start;
	return true;
}

static bool read_word(struct reader *r, struct json_value *value, const char *word,
		      enum json_type type)
{
	size_t length = strlen(word);

	if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length))
		return fail(r, "not a JSON value");
	r->at += length;
	value->type = type;
	return true;
}

static bool read_value(struct reader *r, int depth);

static bool read_name(struct reader *r)
{
	skip_space(r);
	if (r->at == r->end || *r->at != '"')
		return fail(r, "an object's names must be strings");
	if (!read_value(r, 0))
		return false;
	skip_space(r);
	return accept(r, ':') || fail(r, "':' missing");
}

static bool read_container(struct reader *r, struct json_value *value, enum json_type type,
			   int depth)
{
	char close = type == JSON_OBJECT ? '}' : ']';

	value->type = type;
	skip_space(r);
	if (accept(r, close))
		return true;
	do {
		if (type == JSON_OBJECT && !read_name(r))
			return false;
		if (!read_value(r, depth + 1))
			return false;
		skip_space(r);
	} while (accept(r, ','));
	return accept(r, close) || fail(r, "',' or a closing bracket missing");
}

static bool read_value(struct reader *r, int depth)
{
	struct json_value *value;
	bool read;

	if (depth > JSON_DEPTH_MAX)
		return fail(r, "nested too deeply");
	if (r->json->count == JSON_VALUES_MAX)
		return fail(r, "too many values");
	value = &r->json->values[r->json->count++];
	skip_space(r);
	if (accept(r, '{'))
		read = read_container(r, value, JSON_OBJECT, depth);
	else if (accept(r, '['))
		read = read_container(r, value, JSON_ARRAY, depth);
	else if (accept(r, '"'))
		read = read_string(r, value);
	else if (r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')))
		read = read_number(r, value);
	else if (r->at < r->end && *r->at == 't')
		read = read_word(r, value, "true", JSON_TRUE);
	else if (r->at < r->end && *r->at == 'f')
		read = read_word(r, value, "false", JSON_FALSE);
	else
		read = read_word(r, value, "null", JSON_NULL);
	value->span = &r->json->values[r->json->count] - value;
	return read;
}

const char *json_parse(struct json *json, char *text, size_t length)
{
	struct reader r = { .json = json, .at = text, .end = text + length };

	json->count = 0;
	if (!read_value(&r, 0))
		return r.wrong;
	skip_space(&r);
	return r.at == r.end ? NULL : "something follows the JSON value";
}

const struct json_value *json_member(const struct json_value *object, const char *name)
{
	const struct json_value *key, *value, *found = NULL;

	for (key = json_first(object); key != json_end(object); key = json_next(value)) {
		value = json_next(key);
		if (key->string.length == strlen(name) &&
		    !memcmp(key->string.bytes, name, key->string.length))
			found = value;
	}
	return found;
}
