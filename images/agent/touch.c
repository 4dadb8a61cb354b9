// SPDX-License-Identifier: Apache-2.0
// A victim process: owns memory, touches it when told, and tells what that did to it.
#define _GNU_SOURCE
#include "touch.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "pattern.h"

/* Room for the largest SVE and SME frames; untouched pages of it cost nothing. */
static char alternate_stack[256 << 10] __attribute__((aligned(16)));

static sigjmp_buf landing;
static volatile sig_atomic_t touching;
static volatile sig_atomic_t pending;	/* a signal came between two touches */
static struct touch_outcome fault;

/*
 * On arm64 exactly one load or store of the size asked for, so that the
 * syndrome describes that and nothing a compiler thought up.
 */
#ifdef __aarch64__
static uint64_t load(const char *address, uint32_t size)
{
	uint64_t value;

	switch (size) {
	case 1:
		asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	case 2:
		asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	case 4:
		asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	default:
		asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	}
}

static void store(char *address, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		asm volatile("strb %w0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	case 2:
		asm volatile("strh %w0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	case 4:
		asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	default:
		asm volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	}
}

static void describe_machine_state(const ucontext_t *context)
{
	const mcontext_t *machine = &context->uc_mcontext;
	const unsigned char *records = machine->__reserved;
	size_t at = 0;

	fault.pc = machine->pc;
	fault.fault_address = machine->fault_address;
	fault.has_fault_address = true;
	while (at + sizeof(struct _aarch64_ctx) <= sizeof(machine->__reserved)) {
		struct _aarch64_ctx head;
		struct esr_context esr;

		memcpy(&head, records + at, sizeof(head));
		if (!head.magic || head.size < sizeof(head) ||
		    head.size > sizeof(machine->__reserved) - at)
			break;
		if (head.magic == ESR_MAGIC && head.size >= sizeof(esr)) {
			memcpy(&esr, records + at, sizeof(esr));
			fault.esr = esr.esr;
			fault.has_esr = true;
			break;
		}
		at += head.size;
	}
}
#else
struct unaligned16 { uint16_t value; } __attribute__((packed, may_alias));
struct unaligned32 { uint32_t value; } __attribute__((packed, may_alias));
struct unaligned64 { uint64_t value; } __attribute__((packed, may_alias));

static uint64_t load(const char *address, uint32_t size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)address;
	case 2:
		return ((const volatile struct unaligned16 *)address)->value;
	case 4:
		return ((const volatile struct unaligned32 *)address)->value;
	default:
		return ((const volatile struct unaligned64 *)address)->value;
	}
}

static void store(char *address, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)address = value;
		break;
	case 2:
		((volatile struct unaligned16 *)address)->value = value;
		break;
	case 4:
		((volatile struct unaligned32 *)address)->value = value;
		break;
	default:
		((volatile struct unaligned64 *)address)->value = value;
		break;
	}
}

static void describe_machine_state(const ucontext_t *context)
{
#ifdef __x86_64__
	fault.pc = context->uc_mcontext.gregs[REG_RIP];
#else
	(void)context;
#endif
}
#endif

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	int error = errno;

	memset(&fault, 0, sizeof(fault));
	fault.mono_ns = now();
	fault.signo = signo;
	fault.code = info->si_code;
	fault.address = (uintptr_t)info->si_addr;
	fault.tid = gettid();
	if (signo == SIGBUS &&
	    (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO))
		fault.lsb = info->si_addr_lsb;
	describe_machine_state(context);
	if (touching)
		siglongjmp(landing, 1);
	/*
	 * Between touches only an asynchronous signal is expected, and the next
	 * touch tells of it. Any other comes from our own code: die of it.
	 */
	if (info->si_code <= 0 || (signo == SIGBUS && info->si_code == BUS_MCEERR_AO))
		pending = 1;
	else
		signal(signo, SIG_DFL);
	errno = error;
}

static void touch(char *memory, const struct touch_order *order, struct touch_outcome *outcome)
{
	uint64_t start;

	if (sigsetjmp(landing, 1)) {
		touching = pending = 0;
		*outcome = fault;
		return;
	}
	touching = 1;
	if (pending)
		siglongjmp(landing, 1);
	memset(outcome, 0, sizeof(*outcome));
	start = now();
	if (order->write)
		store(memory + order->offset, order->size, order->value);
	else
		outcome->value = load(memory + order->offset, order->size);
	outcome->mono_ns = now();
	outcome->ns = outcome->mono_ns - start;
	if (order->write)
		outcome->value = order->value;
	touching = 0;
}

/* On transparent huge pages a "page" would not be one. */
static char *map_anonymous(const struct victim_plan *plan)
{
	char *memory = mmap(NULL, plan->length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return MAP_FAILED;
	madvise(memory, plan->length, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < plan->length; at += sizeof(uint64_t)) {
		uint64_t word = htole64(pattern_word(plan->handle, at / sizeof(word)));

		memcpy(memory + at, &word, sizeof(word));
	}
	return memory;
}

/* A file mapped and then cut short: any access is SIGBUS, BUS_ADRERR, everywhere. */
static char *map_beyond_eof(const struct victim_plan *plan)
{
	int fd = memfd_create("seabus-victim", MFD_CLOEXEC);
	char *memory = MAP_FAILED;

	if (fd < 0)
		return MAP_FAILED;
	if (!ftruncate(fd, plan->length))
		memory = mmap(NULL, plan->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED && ftruncate(fd, 0))
		memory = MAP_FAILED;
	return memory;
}

static void catch_faults(void)
{
	stack_t stack = { .ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack) };
	struct sigaction action = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	sigaddset(&action.sa_mask, SIGBUS);
	sigaddset(&action.sa_mask, SIGSEGV);
	sigaltstack(&stack, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

_Noreturn void victim_live(const struct victim_plan *plan)
{
	struct victim_ready ready = { .tid = gettid() };
	struct touch_outcome outcome;
	struct touch_order order;
	char *memory;

	memory = plan->beyond_eof ? map_beyond_eof(plan) : map_anonymous(plan);
	ready.error = memory == MAP_FAILED ? errno : 0;
	ready.address = (uintptr_t)memory;
	catch_faults();
	send(plan->socket, &ready, sizeof(ready), MSG_NOSIGNAL);
	if (ready.error)
		_exit(1);
	for (;;) {
		ssize_t got = recv(plan->socket, &order, sizeof(order), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != sizeof(order))
			_exit(0);
		touch(memory, &order, &outcome);
		send(plan->socket, &outcome, sizeof(outcome), MSG_NOSIGNAL);
	}
}
