// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "signals.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HOPELESS = 3 };

static struct bus_error errors[BUS_ERRORS_MAX];
static atomic_uint count;
static __thread bool is_vcpu;
static __thread uintptr_t last_pc;
static __thread int repeated;

/*
 * An access of the probe's own that cannot go on would come here for ever; a
 * signal of KVM_RUN comes at its system call, and the probe decides.
 */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
	uintptr_t pc = ((ucontext_t *)context)->uc_mcontext.pc;
	unsigned mine = atomic_fetch_add(&count, 1);

	(void)number;
	errors[mine % BUS_ERRORS_MAX] = (struct bus_error){
		.code = info->si_code,
		.address = (uintptr_t)info->si_addr,
		.lsb = info->si_addr_lsb,
		.tid = syscall(SYS_gettid),
		.vcpu = is_vcpu,
	};
	repeated = !is_vcpu && pc == last_pc ? repeated + 1 : 0;
	last_pc = pc;
	if (repeated > HOPELESS)
		_exit(70);
}

static void on_kick(int number)
{
	(void)number;
}

void signals_begin(void)
{
	struct sigaction bus = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct sigaction kick = { .sa_handler = on_kick };	/* no SA_RESTART */

	sigaction(SIGBUS, &bus, NULL);
	sigaction(KICK, &kick, NULL);
}

void signals_of_vcpu(void)
{
	is_vcpu = true;
}

void signals_expected(void)
{
	repeated = 0;
	last_pc = 0;
}

unsigned bus_error_count(void)
{
	return atomic_load(&count);
}

struct bus_error bus_error(unsigned number)
{
	return errors[number % BUS_ERRORS_MAX];
}

bool bus_error_here(unsigned since, struct bus_error *found)
{
	int tid = syscall(SYS_gettid);
	bool any = false;

	for (unsigned i = since; i < bus_error_count(); i++) {
		if (bus_error(i).tid == tid) {
			*found = bus_error(i);
			any = true;
		}
	}
	return any;
}

void put_bus_error(struct text *text, const char *name, const struct bus_error *error)
{
	put_object(text, name);
	put_number(text, "code", error->code);
	put_hex(text, "address", error->address);
	put_number(text, "lsb", error->lsb);
	put_number(text, "tid", error->tid);
	put_bool(text, "vcpu", error->vcpu);
	put_end(text, '}');
}
