// SPDX-License-Identifier: Apache-2.0
// Reads requests and hands them to their verbs.
#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "channel.h"
#include "verbs.h"

static const struct {
	const char *name;
	void (*handle)(struct request *request);
} verbs[] = {
	{ "alive", verb_alive },
	{ "clock", verb_clock },
	{ "end", verb_end },
	{ "exec", verb_exec },
	{ "follow", verb_follow },
	{ "hello", verb_hello },
	{ "kill", verb_kill },
	{ "pagemap", verb_pagemap },
	{ "read", verb_read },
	{ "signals", verb_signals },
	{ "stop", verb_stop },
	{ "threads", verb_threads },
	{ "tick", verb_tick },
	{ "leap", verb_leap },
	{ "touch", verb_touch },
	{ "victim", verb_victim },
	{ "write", verb_write },
};

void request_refuse(const char *reason)
{
	struct text line = error_line(NULL, PROTOCOL, 0, "%s", reason);

	channel_send(channel_session(), &line);
}

static bool is_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!memchr(" \t\r", line[i], 3))
			return false;
	return true;
}

void request_handle(char *line, size_t length)
{
	static struct json json;
	struct request request = { .ticket.session = channel_session() };
	const struct json_value *id, *verb;
	const char *wrong;

	if (is_blank(line, length))
		return;
	wrong = json_parse(&json, line, length);
	if (wrong) {
		request_refuse(wrong);
		return;
	}
	request.arguments = json.values;
	if (json.values[0].type != JSON_OBJECT) {
		request_refuse("not an object");
		return;
	}
	id = json_member(request.arguments, "id");
	if (!id || id->type != JSON_INTEGER || !id->integer || id->integer > INT64_MAX) {
		request_refuse("id must be a positive integer");
		return;
	}
	request.ticket.id = id->integer;
	verb = json_member(request.arguments, "do");
	if (!verb || verb->type != JSON_STRING) {
		reply_error(request.ticket, PROTOCOL, 0, "do must be a string");
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (is_c_string(verb) && !strcmp(verb->string.bytes, verbs[i].name)) {
			verbs[i].handle(&request);
			return;
		}
	reply_error(request.ticket, USAGE, 0, "unknown verb %s", verb->string.bytes);
}

void request_wrong(struct request *request, const char *name, const char *should)
{
	if (request->wrong)
		return;
	request->wrong = name;
	request->should = should;
}

bool request_valid(struct request *request)
{
	if (request->wrong)
		reply_error(request->ticket, USAGE, 0, "%s must be %s", request->wrong,
			    request->should);
	return !request->wrong;
}

bool is_c_string(const struct json_value *value)
{
	return value->type == JSON_STRING &&
	       strlen(value->string.bytes) == value->string.length;
}

const struct json_value *may_value(struct request *request, const char *name)
{
	const struct json_value *value = json_member(request->arguments, name);

	return value && value->type != JSON_NULL ? value : NULL;
}

static const struct json_value *need_value(struct request *request, const char *name)
{
	const struct json_value *value = may_value(request, name);

	if (!value)
		request_wrong(request, name, "given");
	return value;
}

static uint64_t as_number(struct request *request, const char *name,
			  const struct json_value *value, uint64_t least, uint64_t most)
{
	if (value->type == JSON_INTEGER && value->integer >= least && value->integer <= most)
		return value->integer;
	request_wrong(request, name, "an integer within its range");
	return least;
}

uint64_t need_number(struct request *request, const char *name, uint64_t least, uint64_t most)
{
	const struct json_value *value = need_value(request, name);

	return value ? as_number(request, name, value, least, most) : least;
}

uint64_t may_number(struct request *request, const char *name, uint64_t least, uint64_t most,
		    uint64_t otherwise)
{
	const struct json_value *value = may_value(request, name);

	return value ? as_number(request, name, value, least, most) : otherwise;
}

/* The digits after "0x", or 0 if it is not all hexadecimal. */
static size_t hex_digits(const struct json_value *value)
{
	size_t digits;

	/* strtoull() alone would take spaces, signs and what it cannot hold. */
	if (value->type != JSON_STRING || strncmp(value->string.bytes, "0x", 2))
		return 0;
	digits = strspn(value->string.bytes + 2, "0123456789abcdefABCDEF");
	return digits + 2 == value->string.length ? digits : 0;
}

uint64_t need_hex(struct request *request, const char *name)
{
	const struct json_value *value = need_value(request, name);
	size_t digits;

	if (!value)
		return 0;
	if (value->type == JSON_INTEGER)
		return value->integer;
	digits = hex_digits(value);
	if (digits && digits <= 16)
		return strtoull(value->string.bytes, NULL, 16);
	request_wrong(request, name, "an integer of 64 bits or such a \"0x...\" string");
	return 0;
}

void need_wide_hex(struct request *request, const char *name, uint64_t value[2])
{
	const struct json_value *given = may_value(request, name);
	size_t digits = given ? hex_digits(given) : 0;
	char *low;

	value[1] = 0;
	if (digits <= 16 || digits > 32) {
		value[0] = need_hex(request, name);
		return;
	}
	low = given->string.bytes + given->string.length - 16;
	value[0] = strtoull(low, NULL, 16);
	*low = '\0';
	value[1] = strtoull(given->string.bytes, NULL, 16);
}

static const char *as_string(struct request *request, const char *name,
			     const struct json_value *value)
{
	if (is_c_string(value))
		return value->string.bytes;
	request_wrong(request, name, "a string without NUL");
	return "";
}

const char *need_string(struct request *request, const char *name)
{
	const struct json_value *value = need_value(request, name);

	return value ? as_string(request, name, value) : "";
}

const char *may_string(struct request *request, const char *name)
{
	const struct json_value *value = may_value(request, name);

	return value ? as_string(request, name, value) : NULL;
}

static struct bytes as_bytes(struct request *request, const char *name,
			     const struct json_value *value)
{
	struct bytes bytes = { 0 };

	if (value->type == JSON_STRING) {
		bytes.data = value->string.bytes;
		bytes.length = value->string.length;
		if (base64_decode(bytes.data, &bytes.length))
			return bytes;
	}
	request_wrong(request, name, "base64");
	return (struct bytes){ 0 };
}

struct bytes need_bytes(struct request *request, const char *name)
{
	const struct json_value *value = need_value(request, name);

	return value ? as_bytes(request, name, value) : (struct bytes){ 0 };
}

struct bytes may_bytes(struct request *request, const char *name)
{
	const struct json_value *value = may_value(request, name);

	return value ? as_bytes(request, name, value) : (struct bytes){ 0 };
}

bool may_bool(struct request *request, const char *name, bool otherwise)
{
	const struct json_value *value = may_value(request, name);

	if (!value)
		return otherwise;
	if (value->type != JSON_TRUE && value->type != JSON_FALSE)
		request_wrong(request, name, "true or false");
	return value->type == JSON_TRUE;
}
