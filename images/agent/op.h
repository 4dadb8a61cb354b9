// SPDX-License-Identifier: Apache-2.0
// Everything a victim can be told to do, and what each needs and leaves behind.
#ifndef SEABUS_OP_H
#define SEABUS_OP_H

#include <stdbool.h>
#include <stdint.h>

enum op {
	/* Accesses at EL0: a signal ends them where they are. */
	OP_READ,
	OP_WRITE,
	OP_LOAD_PAIR,
	OP_STORE_PAIR,
	OP_ATOMIC_ADD,
	OP_EXCLUSIVE_ADD,
	OP_SIMD_LOAD,
	OP_SIMD_STORE,
	OP_FETCH,
	OP_PREFETCH,
	OP_CLEAN,
	OP_CLEAN_INVALIDATE,
	OP_INVALIDATE_CODE,
	OP_ZERO,
	OP_LAST_ACCESS = OP_ZERO,
	/* System calls that make the kernel touch the page: a signal comes beside their result. */
	OP_SYS_WRITE,
	OP_SYS_READ,
	OP_SYS_PREAD,
	OP_SYS_DIRECT_WRITE,
	OP_SYS_VMSPLICE,
	OP_SYS_VM_READ,
	OP_SYS_PTRACE_PEEK,
	OP_SYS_FUTEX_WAIT,
	OP_SYS_FUTEX_WAKE_OP,
	OP_SYS_FUTEX_REQUEUE,
	OP_SYS_FORK,
	OP_SYS_MINCORE,
	/* System calls about the page. */
	OP_MADVISE,
	OP_MLOCK,
	OP_MUNLOCK,
	OP_MUNMAP,
	OP_MREMAP,
	OP_MSYNC,
	OP_FSYNC,
	OP_RENEW,
	OP_HUGE,
	OP_MCE_KILL,
	/* Not asked for by name: becomes two processes. */
	OP_PARTNER,
};

/* What an op does with `value` and with what is expected of the memory. */
enum op_effect {
	EFFECT_NONE,
	EFFECT_LOAD,	/* gives a value read from the memory */
	EFFECT_STORE,	/* leaves `value` there, which must be given */
	EFFECT_ADD,	/* gives the old value, leaves the sum */
	EFFECT_CALL,	/* gives what the code there returned */
	EFFECT_ZERO,	/* leaves zeros, as many as its result says */
	EFFECT_FEED,	/* leaves `value` over and over, as many bytes as its result says */
};

/* What it asks besides its size. */
enum op_need {
	NEED_PATH = 1,		/* the file must be named */
	MAY_PATH = 2,
	MAY_TARGET = 4,		/* works on another victim's memory */
	NEED_EXPECTED = 8,	/* compares with what should be there */
	NEED_ADVICE = 16,
	NEED_POLICY = 32,
	NEED_OTHER = 64,	/* cannot be done to oneself */
};

enum {
	OP_ANY_SIZE = 1 << 16,	/* besides powers of two: up to OP_BULK_MAX bytes */
	OP_PAGES = 1 << 17,	/* whole pages, all by itself one of them */
	OP_BULK_MAX = 64 << 10,
};

struct op_shape {
	const char *name;
	enum op op;
	uint32_t sizes;		/* bit n: 1 << n bytes; or OP_ANY_SIZE, OP_PAGES */
	uint32_t usual_size;	/* 0: must be given */
	enum op_effect effect;
	uint32_t needs;
};

/* NULL if there is none of that name. */
const struct op_shape *op_find(const char *name);
const struct op_shape *op_shape(enum op op);

/* How an advice is called in madvise(2), or -1. */
int advice_find(const char *name);

/* PR_MCE_KILL_... of "early", "late" or "default", or -1. */
int policy_find(const char *name);

/* Whether it breaks memory for good, which only a guest made for it should take. */
bool advice_poisons(int advice);

static inline bool op_is_access(enum op op)
{
	return op <= OP_LAST_ACCESS;
}

#endif
