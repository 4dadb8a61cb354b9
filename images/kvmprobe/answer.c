// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool refuse(struct answer *answer, const char *message, ...)
{
	va_list words;

	va_start(words, message);
	vsnprintf(answer->message, sizeof(answer->message), message, words);
	va_end(words);
	answer->kind = "usage";
	return false;
}

bool system_failed(struct answer *answer, const char *what, ...)
{
	int error = errno;
	size_t length;
	va_list words;

	va_start(words, what);
	vsnprintf(answer->message, sizeof(answer->message), what, words);
	va_end(words);
	length = strlen(answer->message);
	snprintf(answer->message + length, sizeof(answer->message) - length, ": %s", strerror(error));
	answer->kind = "os";
	answer->error = error;
	return false;
}

const char *string_of(const struct json_value *object, const char *name)
{
	const struct json_value *value = json_member(object, name);

	return value && value->type == JSON_STRING ? value->string.bytes : NULL;
}

bool number_in(const struct json_value *value, uint64_t *number)
{
	char *end;

	if (value->type == JSON_INTEGER) {
		*number = value->integer;
		return true;
	}
	if (value->type != JSON_STRING || strncmp(value->string.bytes, "0x", 2))
		return false;
	errno = 0;
	*number = strtoull(value->string.bytes, &end, 16);
	return !errno && !*end && end > value->string.bytes + 2;
}

bool number_of(const struct json_value *object, const char *name, uint64_t *value)
{
	const struct json_value *found = json_member(object, name);

	return found && number_in(found, value);
}

bool flag_of(const struct json_value *object, const char *name)
{
	const struct json_value *value = json_member(object, name);

	return value && value->type == JSON_TRUE;
}
