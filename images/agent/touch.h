// SPDX-License-Identifier: Apache-2.0
// What the agent and a victim say to each other, over a SOCK_SEQPACKET pair.
#ifndef SEABUS_TOUCH_H
#define SEABUS_TOUCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a victim is, given to it as it is forked. */
struct victim_plan {
	int socket;
	uint32_t handle;
	size_t length;
	bool beyond_eof;
};

/* Its first message. */
struct victim_ready {
	int error;	/* then it has no memory, and ends */
	pid_t tid;
	uint64_t address;
};

/* To the victim: one access to make. */
struct touch_order {
	uint64_t offset;
	uint64_t value;
	uint32_t size;
	bool write;
};

/* From the victim: how the access went. */
struct touch_outcome {
	uint64_t mono_ns;	/* CLOCK_MONOTONIC when it went through or the signal came */
	int signo;		/* 0: it went through, and only the next two count */
	uint64_t value;
	uint64_t ns;
	int code;
	int lsb;
	pid_t tid;
	uint64_t address;
	uint64_t pc;
	uint64_t fault_address;
	uint64_t esr;
	bool has_fault_address;
	bool has_esr;
};

/* The life of a victim process. */
_Noreturn void victim_live(const struct victim_plan *plan);

#endif
