// SPDX-License-Identifier: Apache-2.0
// Looks at other processes, and signals them.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "exec.h"
#include "verbs.h"

struct stat_line {
	char comm[64];
	char state[2];
};

/* "PID (comm) S ...", where comm may itself hold parentheses and spaces. */
static bool read_stat(const char *path, struct stat_line *stat)
{
	char buffer[256], *open, *close;
	FILE *file = fopen(path, "re");
	size_t length;

	if (!file)
		return false;
	length = fread(buffer, 1, sizeof(buffer) - 1, file);
	fclose(file);
	buffer[length] = '\0';
	open = strchr(buffer, '(');
	close = strrchr(buffer, ')');
	if (!open || !close || close < open || close[1] != ' ')
		return false;
	snprintf(stat->comm, sizeof(stat->comm), "%.*s", (int)(close - open - 1), open + 1);
	stat->state[0] = close[2];
	stat->state[1] = '\0';
	return true;
}

void verb_alive(struct request *request)
{
	pid_t pid = need_number(request, "pid", 1, INT_MAX);
	struct stat_line stat;
	struct text line;
	char path[64];
	int status;

	if (!request_valid(request))
		return;
	line = reply_begin(request->ticket);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (detached_ended(pid, &status)) {
		put_bool(&line, "alive", false);
		put_null(&line, "comm");
		put_null(&line, "state");
		put_status(&line, status);
	} else if (read_stat(path, &stat)) {
		put_bool(&line, "alive", !strchr("ZXx", stat.state[0]));
		put_string(&line, "comm", stat.comm);
		put_string(&line, "state", stat.state);
	} else {
		put_bool(&line, "alive", false);
		put_null(&line, "comm");
		put_null(&line, "state");
	}
	reply_send(request->ticket, &line);
}

void verb_kill(struct request *request)
{
	pid_t pid = need_number(request, "pid", 1, INT_MAX);
	int signo = need_number(request, "signo", 0, 64);

	if (!request_valid(request))
		return;
	if (kill(pid, signo))
		reply_error(request->ticket, errno == ESRCH ? GONE : OS, errno, "kill %d", pid);
	else
		reply_empty(request->ticket);
}

void verb_threads(struct request *request)
{
	pid_t pid = need_number(request, "pid", 1, INT_MAX);
	struct dirent *entry;
	struct text line;
	char path[64];
	DIR *tasks;

	if (!request_valid(request))
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks) {
		reply_error(request->ticket, errno == ENOENT ? GONE : OS, errno, "%s", path);
		return;
	}
	line = reply_begin(request->ticket);
	put_array(&line, "threads");
	while ((entry = readdir(tasks))) {
		struct stat_line stat;
		int tid = atoi(entry->d_name);

		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
		if (tid <= 0 || !read_stat(path, &stat))
			continue;	/* "." and "..", or gone meanwhile */
		put_object(&line, NULL);
		put_signed(&line, "tid", tid);
		put_string(&line, "comm", stat.comm);
		put_end(&line, '}');
	}
	put_end(&line, ']');
	closedir(tasks);
	reply_send(request->ticket, &line);
}
