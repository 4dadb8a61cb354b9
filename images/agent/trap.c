// SPDX-License-Identifier: Apache-2.0
// The handler of SIGBUS and SIGSEGV: writes down what came, and leaves the access that met it.
#define _GNU_SOURCE
#include "trap.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	/* Room for the largest SVE and SME frames; untouched pages of it cost nothing. */
	STACK_SIZE = 256 << 10,
	/* A call meets its page once or twice; more is an access of our own, faulting for ever. */
	CALL_SIGNALS_MAX = 8,
};

static struct victim_log *log_;
static _Atomic uint64_t last_between;	/* number of the last signal between touches */
static _Atomic uint64_t told_between;

static __thread struct {
	sigjmp_buf landing;
	volatile sig_atomic_t mode;
	volatile sig_atomic_t caught;
	struct victim_signal first;
} trap;

uint64_t trap_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

#ifdef __aarch64__
static void describe_machine_state(struct victim_signal *signal, const ucontext_t *context)
{
	const mcontext_t *machine = &context->uc_mcontext;
	const unsigned char *records = machine->__reserved;
	size_t at = 0;

	signal->pc = machine->pc;
	signal->fault_address = machine->fault_address;
	signal->has_fault_address = true;
	while (at + sizeof(struct _aarch64_ctx) <= sizeof(machine->__reserved)) {
		struct _aarch64_ctx head;
		struct esr_context esr;

		memcpy(&head, records + at, sizeof(head));
		if (!head.magic || head.size < sizeof(head) ||
		    head.size > sizeof(machine->__reserved) - at)
			break;
		if (head.magic == ESR_MAGIC && head.size >= sizeof(esr)) {
			memcpy(&esr, records + at, sizeof(esr));
			signal->esr = esr.esr;
			signal->has_esr = true;
			break;
		}
		at += head.size;
	}
}
#else
static void describe_machine_state(struct victim_signal *signal, const ucontext_t *context)
{
#ifdef __x86_64__
	signal->pc = context->uc_mcontext.gregs[REG_RIP];
#else
	(void)signal;
	(void)context;
#endif
}
#endif

/* Gives the number of the signal, from 1. */
static uint64_t write_down(const struct victim_signal *signal)
{
	uint64_t number = atomic_fetch_add(&log_->count, 1) + 1;
	uint64_t slot = (number - 1) % VICTIM_SIGNALS_KEPT;

	atomic_store(&log_->kept[slot].number, 0);
	log_->kept[slot].signal = *signal;
	atomic_store(&log_->kept[slot].number, number);
	return number;
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	int error = errno;
	struct victim_signal caught = {
		.mono_ns = trap_now(),
		.signo = signo,
		.code = info->si_code,
		.address = (uintptr_t)info->si_addr,
		.tid = gettid(),
		.touching = trap.mode != TRAP_IDLE,
	};
	uint64_t number;

	/* What kill(2) sends has its sender where the address would be. */
	if (info->si_code <= 0)
		caught.address = 0;
	if (signo == SIGBUS &&
	    (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO))
		caught.lsb = info->si_addr_lsb;
	describe_machine_state(&caught, context);
	number = write_down(&caught);
	if (trap.mode != TRAP_IDLE && !trap.caught++)
		trap.first = caught;
	if (trap.mode == TRAP_ACCESS ||
	    (trap.mode == TRAP_CALL && trap.caught > CALL_SIGNALS_MAX))
		siglongjmp(trap.landing, 1);
	/*
	 * Between touches only an asynchronous signal is expected, and the next
	 * touch tells of it. Any other comes from our own code: die of it.
	 */
	if (trap.mode == TRAP_IDLE) {
		if (info->si_code <= 0 || (signo == SIGBUS && info->si_code == BUS_MCEERR_AO))
			atomic_store(&last_between, number);
		else
			signal(signo, SIG_DFL);
	}
	errno = error;
}

bool trap_guard(enum trap_mode mode, void (*work)(void *argument), void *argument,
		struct victim_signal *caught)
{
	bool done = true;

	trap.caught = 0;
	memset(&trap.first, 0, sizeof(trap.first));
	if (sigsetjmp(trap.landing, 1)) {
		done = false;
	} else {
		trap.mode = mode;
		work(argument);
	}
	trap.mode = TRAP_IDLE;
	*caught = trap.first;
	return done;
}

bool trap_pending(uint64_t told, struct victim_signal *signal)
{
	uint64_t number = atomic_load(&last_between);

	if (number <= told || number <= atomic_load(&told_between))
		return false;
	atomic_store(&told_between, number);
	*signal = log_->kept[(number - 1) % VICTIM_SIGNALS_KEPT].signal;
	return true;
}

void trap_begin(struct victim_log *log, enum disposition disposition)
{
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	log_ = log;
	atomic_store(&last_between, 0);
	atomic_store(&told_between, 0);
	sigaddset(&action.sa_mask, SIGBUS);
	sigaddset(&action.sa_mask, SIGSEGV);
	sigaction(SIGSEGV, &action, NULL);
	if (disposition == DISPOSITION_DEFAULT)
		signal(SIGBUS, SIG_DFL);
	else if (disposition == DISPOSITION_IGNORE)
		signal(SIGBUS, SIG_IGN);
	else
		sigaction(SIGBUS, &action, NULL);
}

void trap_thread(enum disposition disposition)
{
	stack_t stack = { .ss_size = STACK_SIZE };
	sigset_t blocked;

	stack.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp != MAP_FAILED)
		sigaltstack(&stack, NULL);
	sigemptyset(&blocked);
	if (disposition == DISPOSITION_BLOCK)
		sigaddset(&blocked, SIGBUS);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}
