// SPDX-License-Identifier: Apache-2.0
// SIGBUS as it comes to the probe's threads, and the kick that ends KVM_RUN.
#ifndef SEABUS_PROBE_SIGNALS_H
#define SEABUS_PROBE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "../agent/text.h"

#define KICK	SIGUSR1

struct bus_error {
	int code;
	uint64_t address;
	int lsb;
	int tid;
	bool vcpu;	/* the thread was a vCPU's */
};

enum { BUS_ERRORS_MAX = 64 };

void signals_begin(void);

/* In each vCPU's thread, once: SIGBUS is told apart by it. */
void signals_of_vcpu(void);

/* In any other thread, before a system call that brings one by itself. */
void signals_expected(void);

/* How many have come to any thread, and the one with that number. */
unsigned bus_error_count(void);
struct bus_error bus_error(unsigned number);

/* The last that came to this thread after the first `since` ones. */
bool bus_error_here(unsigned since, struct bus_error *found);

void put_bus_error(struct text *text, const char *name, const struct bus_error *error);

#endif
