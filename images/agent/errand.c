// SPDX-License-Identifier: Apache-2.0
// Sends a child on an errand: one system call on a poisoned page must not take the agent with it.
#define _GNU_SOURCE
#include "errand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "capture.h"
#include "channel.h"
#include "child.h"
#include "pipes.h"

enum { LINE_MAX_ERRAND = 1 << 20 };

struct job {
	struct child child;	/* first: a child that ends is its job */
	struct ticket ticket;
	struct capture line;
};

static void job_ended(struct child *child, int status)
{
	struct job *job = (struct job *)child;
	struct text *line = &job->line.kept;

	capture_finish(&job->line);
	if (line->length && line->bytes[line->length - 1] == '\n')
		channel_send(job->ticket.session, line);
	else if (WIFSIGNALED(status))
		reply_error(job->ticket, GONE, 0, "the process at work on it was killed by signal %d",
			    WTERMSIG(status));
	else
		reply_error(job->ticket, GONE, 0, "the process at work on it left without a word");
	capture_free(&job->line);
	free(job);
}

void errand_run(struct ticket ticket, errand run, const void *details)
{
	struct job *job;
	int write_end, error;

	if (!command_allowed(ticket))
		return;
	job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	job->ticket = ticket;
	if (!capture_start(&job->line, LINE_MAX_ERRAND, &write_end)) {
		reply_error(ticket, OS, errno, "pipe");
		free(job);
		return;
	}
	if (!child_start(&job->child, CHILD_COMMAND, job_ended)) {
		struct text line;

		child_keep_only(&write_end, 1);
		line = run(ticket, details);
		pipe_write(write_end, line.bytes, line.length);
		_exit(0);
	}
	error = errno;
	close(write_end);
	if (job->child.pid < 0) {
		reply_error(ticket, OS, error, "fork");
		capture_free(&job->line);
		free(job);
	}
}
