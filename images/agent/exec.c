// SPDX-License-Identifier: Apache-2.0
// Runs commands: attached ones for their output, detached ones for their own sake.
#define _GNU_SOURCE
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"
#include "child.h"
#include "limits.h"
#include "pipes.h"
#include "verbs.h"

/* All that the child needs to know; it lives until the handler returns. */
struct order {
	const struct json_value *argv;
	const struct json_value *env;
	const char *output_path;
	bool detach;
	bool tied;	/* detached, and killed when the agent ends */
	int input;
	int output;
	int errors;
	int failure;	/* closes by itself when the new program starts */
};

struct failure {
	int error;
	bool at_output;	/* rather than at exec */
};

struct command {
	struct child child;	/* first: a child that ends is its command */
	struct watch failure;	/* the agent's end of order.failure */
	struct ticket ticket;
	bool detach;
	bool settled;	/* detached, and answered */
	struct capture output;
	struct capture errors;
};

static struct {
	pid_t pid;
	int status;
} ended[64];
static unsigned int ended_next;

bool detached_ended(pid_t pid, int *status)
{
	for (size_t i = 0; i < sizeof(ended) / sizeof(ended[0]); i++)
		if (ended[i].pid == pid) {
			*status = ended[i].status;
			return true;
		}
	return false;
}

static void remember_ended(pid_t pid, int status)
{
	ended[ended_next].pid = pid;
	ended[ended_next].status = status;
	ended_next = (ended_next + 1) % (sizeof(ended) / sizeof(ended[0]));
}

/* The number has come round again. */
static void forget_ended(pid_t pid)
{
	for (size_t i = 0; i < sizeof(ended) / sizeof(ended[0]); i++)
		if (ended[i].pid == pid)
			ended[i].pid = 0;
}

static _Noreturn void child_failed(const struct order *order, bool at_output)
{
	struct failure failure = { .error = errno, .at_output = at_output };

	pipe_write(order->failure, &failure, sizeof(failure));
	_exit(127);
}

static _Noreturn void run_child(const struct order *order)
{
	const struct json_value *value, *name;
	char **argv = calloc(order->argv->span, sizeof(*argv)), **next = argv;
	int output = order->output, errors = order->errors;

	if (!argv)
		child_failed(order, false);
	if (order->detach)
		setsid();
	if (order->output_path) {
		output = open(order->output_path,
			      O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0644);
		if (output < 0)
			child_failed(order, true);
		errors = output;
	}
	dup2(order->input, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	for (value = json_first(order->argv); value != json_end(order->argv);
	     value = json_next(value))
		*next++ = value->string.bytes;
	if (order->env)
		for (name = json_first(order->env); name != json_end(order->env);
		     name = json_next(value)) {
			value = json_next(name);
			setenv(name->string.bytes, value->string.bytes, 1);
		}
	execvp(argv[0], argv);
	child_failed(order, false);
}

/* Whether the program could not be started, and why. */
static bool failure_of(struct command *command, struct failure *failure)
{
	return read(command->failure.fd, failure, sizeof(*failure)) == sizeof(*failure);
}

static void command_free(struct command *command)
{
	watch_stop(&command->failure);
	if (command->failure.fd > 0)
		close(command->failure.fd);
	capture_free(&command->output);
	capture_free(&command->errors);
	free(command);
}

static void reply_failure(struct command *command, const struct failure *failure)
{
	reply_error(command->ticket, OS, failure->error, "%s",
		    failure->at_output ? "cannot open the output file"
				       : "cannot run the program");
}

/* A detached command is answered as soon as it is known to run, or not to. */
static void settle(struct command *command)
{
	struct failure failure;
	struct text line;

	if (failure_of(command, &failure)) {
		reply_failure(command, &failure);
	} else {
		forget_ended(command->child.pid);
		line = reply_begin(command->ticket);
		put_signed(&line, "pid", command->child.pid);
		reply_send(command->ticket, &line);
	}
	command->settled = true;
	watch_stop(&command->failure);
}

static void on_failure_pipe(struct watch *watch)
{
	settle((struct command *)((char *)watch - offsetof(struct command, failure)));
}

static void detached_command_ended(struct child *child, int status)
{
	struct command *command = (struct command *)child;

	if (!command->settled)
		settle(command);
	remember_ended(child->pid, status);
	command_free(command);
}

static void command_ended(struct child *child, int status)
{
	struct command *command = (struct command *)child;
	struct capture *output = &command->output, *errors = &command->errors;
	struct failure failure;
	struct text line;

	forget_ended(child->pid);
	if (failure_of(command, &failure)) {
		reply_failure(command, &failure);
	} else {
		capture_finish(output);
		capture_finish(errors);
		line = reply_begin(command->ticket);
		put_status(&line, status);
		put_base64(&line, "stdout", output->kept.bytes, output->kept.length);
		put_base64(&line, "stderr", errors->kept.bytes, errors->kept.length);
		put_bool(&line, "truncated", output->truncated || errors->truncated);
		reply_send(command->ticket, &line);
	}
	command_free(command);
}

/*
 * A file in memory rather than a pipe: there is nothing left to feed, and a
 * detached command can have one too.
 */
static int input_file(struct bytes bytes)
{
	int fd = memfd_create("seabus-stdin", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (bytes.length && write(fd, bytes.data, bytes.length) != (ssize_t)bytes.length) {
		close(fd);
		return -1;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool order_pipes(struct command *command, struct order *order, struct bytes input,
			size_t limit)
{
	int ends[2];

	if (!pipe_make(ends))
		return false;
	command->failure = (struct watch){ .fd = ends[0], .events = POLLIN,
					   .ready = on_failure_pipe };
	order->failure = ends[1];
	order->input = input.data ? input_file(input) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (order->input < 0)
		return false;
	if (order->detach) {
		order->output = order->errors = open("/dev/null", O_WRONLY | O_CLOEXEC);
		return order->output >= 0;
	}
	return capture_start(&command->output, limit, &order->output) &&
	       capture_start(&command->errors, limit, &order->errors);
}

static void order_close(const struct order *order)
{
	if (order->input > 0)
		close(order->input);
	if (order->output > 0)
		close(order->output);
	if (order->errors > 0 && order->errors != order->output)
		close(order->errors);
	if (order->failure > 0)
		close(order->failure);
}

static void command_start(struct ticket ticket, struct order *order, struct bytes input,
			  size_t limit)
{
	struct command *command = calloc(1, sizeof(*command));

	if (!command)
		abort();
	command->ticket = ticket;
	if (!order_pipes(command, order, input, limit)) {
		reply_error(ticket, OS, errno, "cannot make pipes");
		command_free(command);
	} else if (child_start(&command->child, order->tied ? CHILD_TIED :
				      order->detach ? CHILD_DETACHED : CHILD_COMMAND,
			       order->detach ? detached_command_ended : command_ended) < 0) {
		reply_error(ticket, OS, errno, "fork");
		command_free(command);
	} else if (!command->child.pid) {
		run_child(order);
	} else if (order->detach) {
		watch_start(&command->failure);
	}
	order_close(order);
}

/* All members are strings without NUL; with `names`, every first one can name a variable. */
static bool are_strings(const struct json_value *container, bool names)
{
	const struct json_value *value;
	bool name = names;

	for (value = json_first(container); value != json_end(container);
	     value = json_next(value), name = names && !name) {
		if (!is_c_string(value))
			return false;
		if (name && (!value->string.length || strchr(value->string.bytes, '=')))
			return false;
	}
	return true;
}

void verb_exec(struct request *request)
{
	struct order order = {
		.argv = may_value(request, "argv"),
		.env = may_value(request, "env"),
		.output_path = may_string(request, "output"),
		.detach = may_bool(request, "detach", false),
		.tied = may_bool(request, "tied", false),
	};
	struct bytes input = may_bytes(request, "stdin");
	size_t limit = may_number(request, "limit", 0, LIMIT_OUTPUT, LIMIT_OUTPUT);

	if (!order.argv || order.argv->type != JSON_ARRAY || order.argv->span == 1 ||
	    !are_strings(order.argv, false))
		request_wrong(request, "argv", "an array of one or more strings");
	if (order.env && (order.env->type != JSON_OBJECT || !are_strings(order.env, true)))
		request_wrong(request, "env", "an object of strings");
	if (order.tied && !order.detach)
		request_wrong(request, "tied", "left out unless detach is true");
	if (order.output_path && !order.detach)
		request_wrong(request, "output", "left out unless detach is true");
	if (request_valid(request) && command_allowed(request->ticket))
		command_start(request->ticket, &order, input, limit);
}
