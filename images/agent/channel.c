// SPDX-License-Identifier: Apache-2.0
// Keeps a line-oriented conversation going over a port that comes and goes.
#include "channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"
#include "limits.h"
#include "loop.h"
#include "request.h"

#define PORTS "/sys/class/virtio-ports"

enum {
	QUEUE_CONGESTED = 8 << 20,
	QUEUE_MAX = 32 << 20,
	RETRY_MIN_MS = 10,
	RETRY_MAX_MS = 100,
};

static void receive(struct watch *watch);
static void transmit(struct watch *watch);

static const char *port;	/* NULL: standard input and output */
static uint32_t session = 1;
static bool hung_up;		/* no host at the other end, or no port yet */
static bool ending;		/* standard input has ended */
static bool overrun;
static int idle_seconds;	/* 0: silence means nothing */
static time_t last_heard;
static int retry_ms = RETRY_MIN_MS;

static struct watch input = { .fd = -1, .events = POLLIN, .ready = receive };
static struct watch output = { .fd = -1, .events = POLLOUT, .ready = transmit };

static char line[LIMIT_REQUEST + 1];
static size_t line_length;
static bool skipping;		/* the rest of an over-long line */

static struct text queue;
static size_t queue_sent;

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

uint32_t channel_session(void)
{
	return session;
}

bool channel_congested(void)
{
	return queue.length - queue_sent >= QUEUE_CONGESTED;
}

static void queue_clear(void)
{
	text_free(&queue);
	queue_sent = 0;
	watch_stop(&output);
}

static void hang_up(void)
{
	if (hung_up)
		return;
	hung_up = true;
	retry_ms = RETRY_MIN_MS;
	session++;
	line_length = 0;
	skipping = false;
	queue_clear();
	watch_stop(&input);
	follow_end_session();
}

static void connected(void)
{
	if (!hung_up)
		return;
	hung_up = false;
	watch_start(&input);
}

static void close_port(void)
{
	hang_up();
	close(input.fd);
	input.fd = output.fd = -1;
}

/*
 * Takes complete lines out of the buffer. A line may hold anything at all; it
 * is the request's business to be a request.
 */
static void take_lines(size_t fresh)
{
	char *start = line, *end = line + line_length, *newline;

	while ((newline = memchr(end - fresh, '\n', fresh))) {
		if (skipping)
			skipping = false;
		else
			request_handle(start, newline - start);
		start = newline + 1;
		fresh = end - start;
	}
	line_length = end - start;
	memmove(line, start, line_length);
	if (skipping) {
		line_length = 0;
	} else if (line_length == sizeof(line)) {
		request_refuse("line longer than 1 MiB");
		skipping = true;
		line_length = 0;
	}
}

/*
 * On a virtio port read(2) tells all: 0 is "no host", EAGAIN "a host, and
 * nothing from it". So the lines of a host that left at once are still taken,
 * and only what is half-received when it is gone for certain is dropped.
 */
static void receive(struct watch *watch)
{
	ssize_t got = read(watch->fd, line + line_length, sizeof(line) - line_length);

	if (got > 0) {
		last_heard = now();
		connected();
		line_length += got;
		take_lines(got);
	} else if (got == 0 && port) {
		hang_up();
	} else if (got == 0) {
		ending = true;
		watch_stop(&input);
	} else if (errno == EAGAIN) {
		connected();
	} else if (errno != EINTR) {
		if (!port)
			exit(1);
		close_port();
	}
}

static void transmit(struct watch *watch)
{
	ssize_t put = write(watch->fd, queue.bytes + queue_sent, queue.length - queue_sent);

	if (put < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		if (!port)
			exit(1);
		close_port();
		return;
	}
	queue_sent += put;
	if (queue_sent == queue.length)
		queue_clear();
}

void channel_send(uint32_t to, struct text *text)
{
	if (to == session && !hung_up && !overrun) {
		if (queue.length - queue_sent + text->length > QUEUE_MAX) {
			/* Acted upon in channel_tend(): not under a caller's feet. */
			overrun = true;
		} else {
			if (!queue.length)
				watch_start(&output);
			/* Moves less than was sent since the last time. */
			if (queue_sent > queue.length / 2) {
				queue.length -= queue_sent;
				memmove(queue.bytes, queue.bytes + queue_sent, queue.length);
				queue_sent = 0;
			}
			text_add(&queue, text->bytes, text->length);
		}
	}
	text_free(text);
}

static bool port_is_named(const char *directory)
{
	char path[sizeof(PORTS) + NAME_MAX + 8], name[256] = "";
	FILE *file;
	bool found;

	snprintf(path, sizeof(path), PORTS "/%s/name", directory);
	file = fopen(path, "re");
	if (!file)
		return false;
	found = fgets(name, sizeof(name), file);
	fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return found && !strcmp(name, port);
}

static int open_port(void)
{
	DIR *ports = opendir(PORTS);
	struct dirent *entry;
	int fd = -1;

	if (!ports)
		return -1;
	while (fd < 0 && (entry = readdir(ports))) {
		char path[sizeof("/dev/") + NAME_MAX];

		if (entry->d_name[0] == '.' || !port_is_named(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	closedir(ports);
	return fd;
}

/*
 * Without a host poll(2) would return at once for ever, so the port is then
 * left out of it and tried now and again. With one, there is no timeout: an
 * idle agent must not cost an emulated machine anything.
 */
int channel_tend(void)
{
	int timeout;

	if (overrun) {
		if (!port)
			exit(1);
		close_port();
		overrun = false;
	}
	if (ending && !queue.length)
		exit(0);
	if (idle_seconds) {
		time_t left = last_heard + idle_seconds - now();

		if (left <= 0)
			exit(1);
		return left * 1000;
	}
	if (!hung_up)
		return -1;
	if (input.fd < 0)
		input.fd = output.fd = open_port();
	if (input.fd >= 0)
		receive(&input);
	if (!hung_up)
		return -1;
	timeout = retry_ms;
	retry_ms = timeout * 2 < RETRY_MAX_MS ? timeout * 2 : RETRY_MAX_MS;
	return timeout;
}

void channel_use_stdio(void)
{
	input.fd = STDIN_FILENO;
	output.fd = STDOUT_FILENO;
	fcntl(input.fd, F_SETFL, fcntl(input.fd, F_GETFL) | O_NONBLOCK);
	fcntl(output.fd, F_SETFL, fcntl(output.fd, F_GETFL) | O_NONBLOCK);
	watch_start(&input);
}

void channel_end_when_idle(int seconds)
{
	idle_seconds = seconds;
	last_heard = now();
}

void channel_use_port(const char *name)
{
	port = name;
	hung_up = true;
}
