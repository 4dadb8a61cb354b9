// SPDX-License-Identifier: Apache-2.0
// Reads a victim's memory from another process: process_vm_readv(2) and ptrace(2).
#define _GNU_SOURCE
#include "call.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread char scratch[OP_BULK_MAX];

static void read_remotely(struct call *call)
{
	const struct touch_order *order = call->order;
	struct iovec here = { .iov_base = scratch, .iov_len = order->size };
	struct iovec there = { .iov_base = (void *)(uintptr_t)order->target_address,
			       .iov_len = order->size };
	ssize_t got = process_vm_readv(order->target, &here, 1, &there, 1, 0);

	if (call_returned(call, got) >= (order->size < 8 ? order->size : 8))
		call_gives(call, scratch);
}

static bool stop(struct call *call)
{
	int status;

	if (call_returned(call, ptrace(PTRACE_SEIZE, call->order->target, NULL, NULL)) < 0)
		return false;
	if (call_returned(call, ptrace(PTRACE_INTERRUPT, call->order->target, NULL, NULL)) < 0)
		return false;
	if (call_returned(call, waitpid(call->order->target, &status, __WALL)) < 0)
		return false;
	if (WIFSTOPPED(status))
		return true;
	call->error = ESRCH;
	return false;
}

static void peek(struct call *call)
{
	long word;

	if (!stop(call))
		return;
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, call->order->target,
		      (void *)(uintptr_t)call->order->target_address, NULL);
	call_returned(call, errno ? -1 : 0);
	if (!call->error)
		call_gives(call, &word);
	ptrace(PTRACE_DETACH, call->order->target, NULL, NULL);
}

void call_peer(struct call *call)
{
	if (call->order->op == OP_SYS_VM_READ)
		read_remotely(call);
	else
		peek(call);
}
