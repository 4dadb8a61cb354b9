// SPDX-License-Identifier: Apache-2.0
// Puts replies, errors and stream messages together.
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"

struct text reply_begin(struct ticket ticket)
{
	struct text line = { 0 };

	put_object(&line, NULL);
	put_number(&line, "id", ticket.id);
	put_object(&line, "ok");
	return line;
}

void reply_end(struct text *line)
{
	text_add(line, "}}\n", 3);
}

void reply_send(struct ticket ticket, struct text *line)
{
	reply_end(line);
	channel_send(ticket.session, line);
}

void reply_empty(struct ticket ticket)
{
	struct text line = reply_begin(ticket);

	reply_send(ticket, &line);
}

static struct text format_error(const struct ticket *ticket, const char *kind, int error,
				const char *format, va_list arguments)
{
	struct text line = { 0 };
	char message[512];
	size_t length;

	vsnprintf(message, sizeof(message), format, arguments);
	length = strlen(message);
	if (error)
		snprintf(message + length, sizeof(message) - length, ": %s", strerror(error));
	put_object(&line, NULL);
	if (ticket)
		put_number(&line, "id", ticket->id);
	else
		put_null(&line, "id");
	put_object(&line, "error");
	put_string(&line, "kind", kind);
	put_string(&line, "message", message);
	if (error)
		put_signed(&line, "errno", error);
	reply_end(&line);
	return line;
}

struct text error_line(const struct ticket *ticket, const char *kind, int error,
		       const char *format, ...)
{
	struct text line;
	va_list arguments;

	va_start(arguments, format);
	line = format_error(ticket, kind, error, format, arguments);
	va_end(arguments);
	return line;
}

void reply_error(struct ticket ticket, const char *kind, int error, const char *format, ...)
{
	struct text line;
	va_list arguments;

	va_start(arguments, format);
	line = format_error(&ticket, kind, error, format, arguments);
	va_end(arguments);
	channel_send(ticket.session, &line);
}

struct text stream_begin(struct ticket ticket)
{
	struct text line = { 0 };

	put_object(&line, NULL);
	put_number(&line, "stream", ticket.id);
	return line;
}

void stream_send(struct ticket ticket, struct text *line)
{
	text_add(line, "}\n", 2);
	channel_send(ticket.session, line);
}
