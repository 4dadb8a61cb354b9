// SPDX-License-Identifier: Apache-2.0
// System calls about a victim's pages: advice, locks, moving, bringing to the disk, replacing.
#define _GNU_SOURCE
#include "call.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int mincore_pages(char *address, uint64_t size)
{
	uint64_t step = sysconf(_SC_PAGESIZE);
	int resident = 0;

	for (uint64_t at = 0; at < size; at += step) {
		unsigned char page;

		if (mincore(address + at, step, &page))
			return -1;
		resident += page & 1;
	}
	return resident;
}

/* Only page tables are copied, unless a page must not be shared. */
static int fork_and_end(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

/* All of it, to an address that nothing was at. */
static int move(struct memory *memory)
{
	uint64_t length = memory->plan.length, align = memory->plan.page_size;
	char *room = mmap(NULL, length + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *wanted, *moved;

	if (room == MAP_FAILED)
		return -1;
	wanted = room + -(uintptr_t)room % align;
	moved = mremap(memory->address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, wanted);
	if (wanted > room)
		munmap(room, wanted - room);
	if (moved == MAP_FAILED) {
		int error = errno;

		munmap(wanted, room + length + align - wanted);
		errno = error;
		return -1;
	}
	munmap(wanted + length, room + align - wanted);
	memory->address = moved;
	return 0;
}

/* Gives up the page, and fills the one that comes in its place. */
static int renew(struct call *call)
{
	struct memory *memory = call->memory;
	int advice = memory->plan.shared ? MADV_REMOVE : MADV_DONTNEED;

	/* What is locked cannot be given up. */
	if (memory_unlock(call->address, call->order->size) ||
	    madvise(call->address, call->order->size, advice))
		return -1;
	if (memory->plan.writable && memory->plan.fill == FILL_PATTERN)
		memory_fill(memory, call->order->offset, call->order->size);
	else
		*(volatile char *)call->address;
	return memory->plan.locked ? memory_lock(call->address, call->order->size) : 0;
}

void call_manage(struct call *call)
{
	const struct touch_order *order = call->order;

	switch (order->op) {
	case OP_SYS_FORK:
		call_returned(call, fork_and_end());
		break;
	case OP_SYS_MINCORE:
		call_returned(call, mincore_pages(call->address, order->size));
		break;
	case OP_MADVISE:
		call_returned(call, madvise(call->address, order->size, order->advice));
		break;
	case OP_MLOCK:
		call_returned(call, memory_lock(call->address, order->size));
		break;
	case OP_MUNLOCK:
		call_returned(call, memory_unlock(call->address, order->size));
		break;
	case OP_MUNMAP:
		call_returned(call, munmap(call->address, order->size));
		break;
	case OP_MREMAP:
		call_returned(call, move(call->memory));
		break;
	case OP_MSYNC:
		call_returned(call, msync(call->address, order->size, MS_SYNC));
		break;
	case OP_FSYNC:
		call_returned(call, fsync(call->memory->fd));
		break;
	case OP_RENEW:
		call_returned(call, renew(call));
		break;
	case OP_HUGE:
		call_returned(call, memory_huge(call->memory));
		break;
	default:
		call_returned(call, prctl(PR_MCE_KILL, PR_MCE_KILL_SET, order->advice, 0, 0));
		break;
	}
}
