// SPDX-License-Identifier: Apache-2.0
// The table of ops, and of the advice that madvise takes.
#define _GNU_SOURCE
#include "op.h"

#include <linux/mman.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum {
	BYTES_1 = 1 << 0,
	BYTES_2 = 1 << 1,
	BYTES_4 = 1 << 2,
	BYTES_8 = 1 << 3,
	BYTES_16 = 1 << 4,
	WORDS = BYTES_1 | BYTES_2 | BYTES_4 | BYTES_8,
};

static const struct op_shape shapes[] = {
	{ "read", OP_READ, WORDS, 0, EFFECT_LOAD, 0 },
	{ "write", OP_WRITE, WORDS, 0, EFFECT_STORE, 0 },
	{ "load-pair", OP_LOAD_PAIR, BYTES_8 | BYTES_16, 16, EFFECT_LOAD, 0 },
	{ "store-pair", OP_STORE_PAIR, BYTES_8 | BYTES_16, 16, EFFECT_STORE, 0 },
	{ "atomic-add", OP_ATOMIC_ADD, WORDS, 8, EFFECT_ADD, 0 },
	{ "exclusive-add", OP_EXCLUSIVE_ADD, WORDS, 8, EFFECT_ADD, 0 },
	{ "simd-load", OP_SIMD_LOAD, BYTES_16, 16, EFFECT_LOAD, 0 },
	{ "simd-store", OP_SIMD_STORE, BYTES_16, 16, EFFECT_STORE, 0 },
	{ "fetch", OP_FETCH, BYTES_8, 8, EFFECT_CALL, 0 },
	{ "prefetch", OP_PREFETCH, BYTES_1, 1, EFFECT_NONE, 0 },
	{ "clean", OP_CLEAN, BYTES_1, 1, EFFECT_NONE, 0 },
	{ "clean-invalidate", OP_CLEAN_INVALIDATE, BYTES_1, 1, EFFECT_NONE, 0 },
	{ "invalidate-code", OP_INVALIDATE_CODE, BYTES_1, 1, EFFECT_NONE, 0 },
	{ "zero", OP_ZERO, BYTES_1, 1, EFFECT_ZERO, 0 },
	{ "sys-write", OP_SYS_WRITE, OP_ANY_SIZE, 8, EFFECT_LOAD, MAY_PATH },
	{ "sys-read", OP_SYS_READ, OP_ANY_SIZE, 8, EFFECT_FEED, MAY_PATH },
	{ "sys-pread", OP_SYS_PREAD, OP_ANY_SIZE, 8, EFFECT_LOAD, 0 },
	{ "sys-direct-write", OP_SYS_DIRECT_WRITE, OP_PAGES, 0, EFFECT_NONE, NEED_PATH },
	{ "sys-vmsplice", OP_SYS_VMSPLICE, OP_ANY_SIZE, 8, EFFECT_LOAD, 0 },
	{ "sys-vm-read", OP_SYS_VM_READ, OP_ANY_SIZE, 8, EFFECT_LOAD, MAY_TARGET },
	{ "sys-ptrace-peek", OP_SYS_PTRACE_PEEK, BYTES_8, 8, EFFECT_LOAD,
	  MAY_TARGET | NEED_OTHER },
	{ "sys-futex-wait", OP_SYS_FUTEX_WAIT, BYTES_4, 4, EFFECT_NONE, NEED_EXPECTED },
	{ "sys-futex-wake-op", OP_SYS_FUTEX_WAKE_OP, BYTES_4, 4, EFFECT_NONE, 0 },
	{ "sys-futex-requeue", OP_SYS_FUTEX_REQUEUE, BYTES_4, 4, EFFECT_NONE, NEED_EXPECTED },
	{ "sys-fork", OP_SYS_FORK, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "sys-mincore", OP_SYS_MINCORE, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "madvise", OP_MADVISE, OP_PAGES, 0, EFFECT_NONE, NEED_ADVICE },
	{ "mlock", OP_MLOCK, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "munlock", OP_MUNLOCK, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "munmap", OP_MUNMAP, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "mremap", OP_MREMAP, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "msync", OP_MSYNC, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "fsync", OP_FSYNC, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "renew", OP_RENEW, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "huge", OP_HUGE, OP_PAGES, 0, EFFECT_NONE, 0 },
	{ "mce-kill", OP_MCE_KILL, OP_PAGES, 0, EFFECT_NONE, NEED_POLICY },
};

/* Linux include/uapi/asm-generic/mman-common.h; the C library may know fewer. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

static const struct {
	const char *name;
	int advice;
} advices[] = {
	{ "dontneed", MADV_DONTNEED },
	{ "remove", MADV_REMOVE },
	{ "cold", MADV_COLD },
	{ "pageout", MADV_PAGEOUT },
	{ "hugepage", MADV_HUGEPAGE },
	{ "nohugepage", MADV_NOHUGEPAGE },
	{ "collapse", MADV_COLLAPSE },
	{ "populate-read", MADV_POPULATE_READ },
	{ "populate-write", MADV_POPULATE_WRITE },
	{ "dontfork", MADV_DONTFORK },
	{ "dofork", MADV_DOFORK },
	{ "hwpoison", MADV_HWPOISON },
	{ "soft-offline", MADV_SOFT_OFFLINE },
};

const struct op_shape *op_find(const char *name)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (!strcmp(name, shapes[i].name))
			return &shapes[i];
	return NULL;
}

const struct op_shape *op_shape(enum op op)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].op == op)
			return &shapes[i];
	return NULL;
}

int advice_find(const char *name)
{
	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (!strcmp(name, advices[i].name))
			return advices[i].advice;
	return -1;
}

int policy_find(const char *name)
{
	if (!strcmp(name, "early"))
		return PR_MCE_KILL_EARLY;
	if (!strcmp(name, "late"))
		return PR_MCE_KILL_LATE;
	return strcmp(name, "default") ? -1 : PR_MCE_KILL_DEFAULT;
}

bool advice_poisons(int advice)
{
	return advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE;
}
