// SPDX-License-Identifier: Apache-2.0
// kvmprobe: a VMM for asking KVM what it makes of aborts. See docs/reference/kvmprobe-protocol.md.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../agent/json.h"
#include "crew.h"
#include "poison.h"
#include "possess.h"
#include "signals.h"
#include "vm.h"

enum {
	LINE_MAX = 1 << 20,
	WITHIN_MS = 2000,
};

static struct json json;
static int marker = -1;

/* Into a trace, so that what follows there can be told apart. */
static void mark(const struct cell *cell)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "cell %lu\n", (unsigned long)cell->number);

	if (marker >= 0 && write(marker, line, length) < 0)
		marker = -1;
}

static bool cells(const struct json_value *request, struct answer *answer)
{
	const struct json_value *list = json_member(request, "cells");
	const char *trace = string_of(request, "mark");
	uint64_t within = WITHIN_MS;

	if (vm.fd < 0)
		return refuse(answer, "make a vm first");
	if (!list || list->type != JSON_ARRAY)
		return refuse(answer, "cells are a list");
	if (trace) {
		marker = open(trace, O_WRONLY | O_CLOEXEC);
		if (marker < 0)
			return system_failed(answer, "%s", trace);
	}
	number_of(request, "within_ms", &within);
	put_array(&answer->ok, "cells");
	for (const struct json_value *v = json_first(list); v != json_end(list); v = json_next(v)) {
		static struct cell cell;

		if (!cell_read(v, &cell, answer))
			return false;
		mark(&cell);
		crew_run(&cell, within);
		put_cell(&answer->ok, &cell);
		text_free(&cell.state);
	}
	put_end(&answer->ok, ']');
	if (marker >= 0)
		close(marker);
	marker = -1;
	return true;
}

static const struct {
	const char *name;
	bool (*carry_out)(const struct json_value *request, struct answer *answer);
} verbs[] = {
	{ "hello", vm_hello },
	{ "capability", vm_capability },
	{ "vm", vm_make },
	{ "enable", vm_enable },
	{ "reset", vm_reset },
	{ "poison", poison },
	{ "cells", cells },
	{ "possess", possess },
};

static void carry_out(const struct json_value *request, struct answer *answer)
{
	const char *name = string_of(request, "do");

	for (size_t i = 0; name && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(verbs[i].name, name)) {
			verbs[i].carry_out(request, answer);
			return;
		}
	}
	refuse(answer, "there is no verb %s", name ? name : "given");
}

static void reply(uint64_t id, struct answer *answer)
{
	struct text line = { 0 };

	put_object(&line, NULL);
	if (id)
		put_number(&line, "id", id);
	else
		put_null(&line, "id");
	if (answer->kind) {
		put_object(&line, "error");
		put_string(&line, "kind", answer->kind);
		put_string(&line, "message", answer->message);
		if (answer->error)
			put_number(&line, "errno", answer->error);
	} else {
		put_object(&line, "ok");
		text_add(&line, answer->ok.bytes + 1, answer->ok.length - 1);
	}
	text_add(&line, "}}\n", 3);
	if (fwrite(line.bytes, 1, line.length, stdout) != line.length || fflush(stdout))
		exit(74);
	text_free(&line);
	text_free(&answer->ok);
}

static void serve(char *line, size_t length)
{
	struct answer answer = { 0 };
	const char *wrong = json_parse(&json, line, length);
	uint64_t id = 0;

	put_object(&answer.ok, NULL);
	if (wrong || json.values[0].type != JSON_OBJECT || !number_of(json.values, "id", &id)) {
		refuse(&answer, "%s", wrong ? wrong : "a request is an object with an id");
		answer.kind = "protocol";
	} else {
		carry_out(json.values, &answer);
	}
	reply(id, &answer);
}

int main(void)
{
	size_t capacity = 0;
	char *line = NULL;
	ssize_t length;

	signals_begin();
	while ((length = getline(&line, &capacity, stdin)) > 0) {
		if (line[length - 1] == '\n')
			length--;
		if (!length)
			continue;
		if (length > LINE_MAX) {
			struct answer answer = { 0 };

			put_object(&answer.ok, NULL);
			refuse(&answer, "a request of more than %d bytes", LINE_MAX);
			answer.kind = "protocol";
			reply(0, &answer);
			continue;
		}
		serve(line, length);
	}
	return 0;
}
