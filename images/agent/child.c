// SPDX-License-Identifier: Apache-2.0
// Starts children and notices their end, through a signalfd.
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "limits.h"
#include "loop.h"

static struct child *children;

/* Ends of children that nobody had adopted yet. */
static struct {
	pid_t pid;
	int status;
} strays[16];
static unsigned int stray_next;

static void reap(pid_t pid, int status)
{
	for (struct child **link = &children; *link; link = &(*link)->next) {
		struct child *child = *link;

		if (child->pid == pid) {
			*link = child->next;
			child->ended(child, status);
			return;
		}
	}
	strays[stray_next % 16].pid = pid;
	strays[stray_next++ % 16].status = status;
}

static void on_sigchld(struct watch *watch)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	while (read(watch->fd, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		reap(pid, status);
		/* Every end is a reply: leave the rest for when there is room. */
		if (channel_congested()) {
			raise(SIGCHLD);
			return;
		}
	}
}

void children_begin(void)
{
	static struct watch watch = { .events = POLLIN, .yields = true, .ready = on_sigchld };
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	/* A parent may have left it ignored, and then there would be no zombies. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	watch.fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (watch.fd < 0)
		abort();
	watch_start(&watch);
}

pid_t child_start(struct child *child, enum child_kind kind,
		  void (*ended)(struct child *child, int status))
{
	pid_t agent = getpid();
	sigset_t none;

	child->kind = kind;
	child->ended = ended;
	child->pid = fork();
	if (child->pid > 0) {
		child->next = children;
		children = child;
	}
	if (child->pid)
		return child->pid;
	if (kind != CHILD_DETACHED) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != agent)
			_exit(1);
	}
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

void child_adopt(struct child *child, pid_t pid, enum child_kind kind,
		 void (*ended)(struct child *child, int status))
{
	child->pid = pid;
	child->kind = kind;
	child->ended = ended;
	for (int i = 0; i < 16; i++)
		if (strays[i].pid == pid) {
			strays[i].pid = 0;
			ended(child, strays[i].status);
			return;
		}
	child->next = children;
	children = child;
}

static int ascending(const void *one, const void *other)
{
	return *(const int *)one - *(const int *)other;
}

void child_keep_only(int *fds, int count)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), from = STDERR_FILENO + 1;

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	qsort(fds, count, sizeof(*fds), ascending);
	for (int i = 0; i < count; i++) {
		if (fds[i] > from)
			close_range(from, fds[i] - 1, 0);
		from = fds[i] + 1;
	}
	close_range(from, ~0U, 0);
}

bool command_allowed(struct ticket ticket)
{
	int running = 0;

	for (struct child *child = children; child; child = child->next)
		if (child->kind != CHILD_VICTIM)
			running++;
	if (running >= LIMIT_COMMANDS)
		reply_error(ticket, BUSY, 0, "%d commands are running", running);
	return running < LIMIT_COMMANDS;
}

void put_status(struct text *line, int status)
{
	if (WIFSIGNALED(status))
		put_signed(line, "signal", WTERMSIG(status));
	else
		put_signed(line, "exit", WEXITSTATUS(status));
}
