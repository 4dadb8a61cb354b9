// SPDX-License-Identifier: Apache-2.0
// The agent's reading of requests, for a fuzzer: any bytes are lines, and each line has one answer, which is
// JSON. The verbs are stand-ins that take arguments of every type and do nothing: this machine is not a guest.
//
// libFuzzer calls LLVMFuzzerTestOneInput(); with -DREPLAY main() gives it the files it is named.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "limits.h"
#include "request.h"
#include "verbs.h"
#include "victim.h"

static unsigned answers;

uint32_t channel_session(void)
{
	return 1;
}

void channel_send(uint32_t session, struct text *line)
{
	static struct json json;
	const char *wrong;

	assert(session == 1);
	assert(line->length && line->bytes[line->length - 1] == '\n');
	assert(!memchr(line->bytes, '\n', line->length - 1));
	/* What is sent is read by the same rules. */
	wrong = json_parse(&json, line->bytes, line->length - 1);
	if (wrong) {
		fprintf(stderr, "an answer is no JSON: %s\n", wrong);
		abort();
	}
	assert(json_member(json.values, "ok") || json_member(json.values, "error"));
	text_free(line);
	answers++;
}

static void put_bytes(struct text *line, const char *name, struct bytes bytes)
{
	if (bytes.data)
		put_base64(line, name, bytes.data, bytes.length);
}

/* Every type of argument, taken and said again. */
static void take_all(struct request *request)
{
	uint64_t number = need_number(request, "number", 1, 1000);
	uint64_t other = may_number(request, "other", 0, UINT64_MAX, 7);
	uint64_t address = need_hex(request, "address");
	const char *path = may_string(request, "path");
	struct bytes data = may_bytes(request, "data");
	bool flag = may_bool(request, "flag", true);
	uint64_t wide[2];
	struct text line;

	need_wide_hex(request, "value", wide);
	if (!request_valid(request))
		return;
	assert(number >= 1 && number <= 1000);
	line = reply_begin(request->ticket);
	put_number(&line, "number", number);
	put_number(&line, "other", other);
	put_hex(&line, "address", address);
	put_wide_hex(&line, "value", wide);
	put_bool(&line, "flag", flag);
	if (path)
		put_string(&line, "path", path);
	put_bytes(&line, "data", data);
	reply_send(request->ticket, &line);
}

#define STAND_IN(verb) void verb(struct request *request) { take_all(request); }
STAND_IN(verb_hello)
STAND_IN(verb_clock)
STAND_IN(verb_leap)
STAND_IN(verb_tick)
STAND_IN(verb_exec)
STAND_IN(verb_alive)
STAND_IN(verb_kill)
STAND_IN(verb_threads)
STAND_IN(verb_read)
STAND_IN(verb_write)
STAND_IN(verb_follow)
STAND_IN(verb_stop)
STAND_IN(verb_pagemap)
STAND_IN(verb_end)
STAND_IN(verb_signals)

/* The two whose arguments have rules among themselves; these rules are the agent's own. */
void verb_victim(struct request *request)
{
	struct victim_plan plan;

	if (may_value(request, "partner_of") ? !partner_plan_from_request(request, &plan) :
					       !plan_from_request(request, &plan))
		return;
	assert(plan.threads >= 1 && plan.threads <= LIMIT_THREADS);
	assert(strlen(plan.memory.path) < sizeof(plan.memory.path));
	reply_empty(request->ticket);
}

void verb_touch(struct request *request)
{
	struct touch_order order = { 0 };
	const struct op_shape *shape = order_from_request(request, &order);

	if (!request_valid(request))
		return;
	assert(shape && order.size <= 1 << 30);
	reply_empty(request->ticket);
}

static bool is_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!memchr(" \t\r", line[i], 3))
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;
		/* No byte more than it has: what reads on is seen. */
		char *line = malloc(length ? length : 1);
		bool blank;

		memcpy(line, data, length);
		blank = is_blank(line, length);
		answers = 0;
		request_handle(line, length);
		assert(answers == !blank);
		free(line);
		data += length;
		size -= length;
		if (size) {
			data++;
			size--;
		}
	}
	return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		static uint8_t bytes[LIMIT_REQUEST];
		FILE *file = fopen(argv[i], "rb");

		if (!file) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
	}
	return 0;
}
#endif
