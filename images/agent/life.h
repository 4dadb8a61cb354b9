// SPDX-License-Identifier: Apache-2.0
// What the agent and a victim say to each other: over SOCK_SEQPACKET pairs, one a thread,
// and through a log that both have mapped.
#ifndef SEABUS_LIFE_H
#define SEABUS_LIFE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "limits.h"
#include "op.h"
#include "pattern.h"

enum {
	VICTIM_SIGNALS_KEPT = 256,
	VICTIM_PATH_MAX = 256,
};

/* What stands behind the memory. */
enum source {
	SOURCE_ANONYMOUS,
	SOURCE_HUGETLB,
	SOURCE_MEMFD,
	SOURCE_FILE,
	SOURCE_PHYSICAL,
	SOURCE_BEYOND_EOF,
};

enum disposition {
	DISPOSITION_HANDLE,
	DISPOSITION_DEFAULT,
	DISPOSITION_IGNORE,
	DISPOSITION_BLOCK,
};

/* The memory of a victim. */
struct memory_plan {
	enum source source;
	enum fill fill;
	uint64_t length;
	uint64_t page_size;	/* of the kind: what one page failing takes along */
	uint64_t physical;
	uint32_t handle;	/* whose pattern it is filled with */
	bool shared;
	bool writable;
	bool executable;
	bool locked;
	bool huge;		/* transparent huge pages wanted */
	bool dirty;		/* of a file */
	char path[VICTIM_PATH_MAX];	/* empty: a file without a name, in /tmp */
};

/* What a victim is, given to it as it is forked. */
struct victim_plan {
	struct memory_plan memory;
	uint32_t threads;
	int32_t cpu;		/* -1: any */
	enum disposition disposition;
	int32_t mce_kill;	/* PR_MCE_KILL_..., or -1: as it is */
	int32_t sockets[LIMIT_THREADS];
	int32_t log;
};

/* A victim's first message. */
struct victim_ready {
	int32_t error;		/* if any, or */
	char failed[64];	/* what could not be done: it has no memory, and ends */
	pid_t pid;
	pid_t tids[LIMIT_THREADS];
	uint64_t address;
	uint64_t huge;		/* bytes mapped by huge pages */
	uint64_t filesystem;	/* statfs(2)'s f_type, 0 without a file */
};

/* One signal that a victim got. */
struct victim_signal {
	uint64_t mono_ns;	/* CLOCK_MONOTONIC in the handler */
	uint64_t address;
	uint64_t pc;
	uint64_t fault_address;
	uint64_t esr;
	int32_t signo;		/* 0: none */
	int32_t code;
	int32_t lsb;
	pid_t tid;
	bool has_fault_address;
	bool has_esr;
	bool touching;		/* this thread was at work for a touch */
};

/* Written by the victim, read by the agent even when the victim hangs or is no more. */
struct victim_log {
	_Atomic uint64_t count;	/* signals ever */
	struct {
		_Atomic uint64_t number;	/* of the signal kept here, from 1; 0 while it changes */
		struct victim_signal signal;
	} kept[VICTIM_SIGNALS_KEPT];
	struct {
		_Atomic uint64_t accesses;	/* of a loop */
		_Atomic bool stop;		/* set by the agent: end the loop */
	} threads[LIMIT_THREADS];
};

/* To a victim's thread: one thing to do. */
struct touch_order {
	enum op op;
	uint32_t size;
	uint64_t offset;
	uint64_t value[2];
	uint64_t expected[2];
	bool has_expected;
	bool loop;
	int32_t cpu;		/* -1: wherever it is */
	uint64_t told;		/* signals up to this number are known */
	int32_t advice;		/* or policy */
	pid_t target;		/* whose memory, if not its own */
	uint64_t target_address;
	char path[VICTIM_PATH_MAX];
	struct victim_plan partner;
};

/* From a victim's thread: how that went. */
struct touch_outcome {
	struct victim_signal signal;
	uint64_t mono_ns;	/* CLOCK_MONOTONIC at its end, or when the signal came */
	uint64_t ns;
	uint64_t value[2];
	uint64_t accesses;	/* how many went through */
	uint64_t wrong;		/* how many of them gave another value than expected */
	int64_t result;
	int32_t error;
	bool done;		/* it went through, or has a result or an error */
	bool has_value;
};

/* The life of a victim process, from fork(2) on. */
_Noreturn void victim_live(struct victim_plan *plan);

#endif
