// SPDX-License-Identifier: Apache-2.0
// Places the vCPU, lets it run into the bad page, injects, and collects what the payload recorded.
#define _GNU_SOURCE
#include "cell.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "registers.h"

/* What a register held before; anything else was written by somebody. */
#define SENTINEL	0x5ea0000000000000ULL
#define SENTINEL_FAR	0x5eafa40000000000ULL

/* SCTLR_EL1: those that are 1 where a feature is missing, and UMA, UCI. */
#define SCTLR_USUAL	0x34d00a00ULL
#define SCTLR_MMU	0x1005ULL	/* I, C, M */

#define PSTATE_EL	0xcULL
#define ESR_DATA_ABORT_LOWER	(0x24ULL << 26 | 1ULL << 25)
#define ESR_DATA_ABORT_SAME	(0x25ULL << 26 | 1ULL << 25)
#define ESR_FNV		(1ULL << 10)
#define ESR_WNR		(1ULL << 6)
#define ESR_EXTERNAL	0x10ULL

/* HCR_EL2: E2H and RW. */
#define HCR_USUAL	(1ULL << 34 | 1ULL << 31)

static void fail(struct cell *cell, const char *step)
{
	cell->failed = step;
	cell->error = errno;
}

static bool set(struct cell *cell, enum reg reg, uint64_t value)
{
	if (!register_set(cell->vcpu->fd, reg, value))
		return true;
	fail(cell, "KVM_SET_ONE_REG");
	return false;
}

static bool place_in_regime(struct cell *cell)
{
	uint64_t sctlr = SCTLR_USUAL ^ cell->sctlr;

	if (!cell->regime)
		return set(cell, REG_SCTLR_EL1, sctlr);
	return set(cell, REG_TCR_EL1, cell->regime->tcr) && set(cell, REG_MAIR_EL1, MAIR) &&
	       set(cell, REG_TTBR0_EL1, cell->regime->ttbr0) &&
	       set(cell, REG_TTBR1_EL1, cell->regime->ttbr1) &&
	       set(cell, REG_SCTLR_EL1, sctlr | SCTLR_MMU);
}

/* What the handler has changed of the last cell, or everything. */
static bool place_data(struct cell *cell)
{
	int last = cell->vcpu->stale ? 30 : 5;

	for (int i = 0; i <= 30; i++) {
		cell->expected[i] = i ? SENTINEL + i : cell->address;
		if (i <= last && !set(cell, REG_X0 + i, cell->expected[i]))
			return false;
	}
	cell->vcpu->stale = cell->serial;
	return true;
}

/* A guest hypervisor in VHE mode, the only one that KVM offers by itself. */
static bool place_el2(struct cell *cell, uint64_t data)
{
	return set(cell, REG_HCR_EL2, HCR_USUAL | cell->hcr) && set(cell, REG_SCTLR_EL2, SCTLR_USUAL) &&
	       set(cell, REG_VBAR_EL2, CODE + VECTORS) && set(cell, REG_TPIDR_EL2, data) &&
	       set(cell, REG_SP_EL2, data + DATA_SIZE) && set(cell, REG_FAR_EL2, SENTINEL_FAR) &&
	       set(cell, REG_ESR_EL2, 0) && set(cell, REG_ELR_EL2, SENTINEL) &&
	       set(cell, REG_SPSR_EL2, 0);
}

static bool place(struct cell *cell)
{
	uint64_t data = DATA + cell->vcpu->index * DATA_SIZE;
	uint64_t *told = data_of(cell->vcpu);

	told[DATA_COUNT / 8] = 0;
	told[DATA_FEATURES / 8] = vm.features;
	told[DATA_SERIAL / 8] = cell->serial;
	if (!place_data(cell) || !place_in_regime(cell) || !set(cell, REG_TPIDR_EL1, data) ||
	    !set(cell, REG_SP_EL1, data + DATA_SIZE) || !set(cell, REG_VBAR_EL1, CODE + VECTORS) ||
	    !set(cell, REG_FAR_EL1, SENTINEL_FAR) || !set(cell, REG_ESR_EL1, 0) ||
	    !set(cell, REG_ELR_EL1, SENTINEL) || !set(cell, REG_SPSR_EL1, 0) ||
	    (vm.el2 && !place_el2(cell, data)) ||
	    !set(cell, REG_PC, CODE + ACCESSES + cell->access * ACCESS_SIZE) ||
	    !set(cell, REG_PSTATE, cell->pstate))
		return false;
	for (int i = 0; i < cell->set_count; i++) {
		if (register_set_id(cell->vcpu->fd, cell->sets[i].id, cell->sets[i].value)) {
			fail(cell, "KVM_SET_ONE_REG");
			return false;
		}
	}
	return true;
}

/* Lets KVM finish an MMIO or step over it, without running the guest. */
static void complete(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
}

/*
 * As a processor would: the access did not happen, so neither the PC nor the
 * register of a load may move. Yet a pending MMIO must be completed first:
 * KVM would do so at the next KVM_RUN, after our registers are in place.
 */
static bool take_by_registers(struct cell *cell)
{
	struct vcpu *vcpu = cell->vcpu;
	uint64_t pc, x2;

	if (vcpu->run->exit_reason == KVM_EXIT_MMIO && !cell->careless && !cell->before) {
		if (register_get(vcpu->fd, REG_PC, &pc) || register_get(vcpu->fd, REG_X0 + 2, &x2)) {
			fail(cell, "KVM_GET_ONE_REG");
			return false;
		}
		complete(vcpu);
		if (!set(cell, REG_PC, pc) || !set(cell, REG_X0 + 2, x2))
			return false;
	}
	if (!entry_take(vcpu->fd, vm.features, &cell->abort))
		return true;
	fail(cell, "KVM_SET_ONE_REG");
	return false;
}

/* An External abort, of which this exit names no virtual address, and perhaps the direction. */
static bool relay(struct cell *cell)
{
	const struct kvm_run *run = cell->vcpu->run;
	const struct exit *exit = &cell->exits[cell->exit_count - 1];
	uint64_t pstate;
	bool write = false;

	if (exit->has_mmio)
		write = exit->write;
	else if (exit->reason == KVM_EXIT_ARM_NISV)
		write = run->arm_nisv.esr_iss & ESR_WNR;
	if (register_get(cell->vcpu->fd, REG_PSTATE, &pstate)) {
		fail(cell, "KVM_GET_ONE_REG");
		return false;
	}
	cell->abort.esr = (pstate & PSTATE_EL ? ESR_DATA_ABORT_SAME : ESR_DATA_ABORT_LOWER) |
			  ESR_FNV | ESR_EXTERNAL | (write ? ESR_WNR : 0);
	return take_by_registers(cell);
}

static bool inject(struct cell *cell)
{
	struct kvm_vcpu_events events = { 0 };

	if (cell->path == PATH_RELAY)
		return relay(cell);
	if (cell->path == PATH_REGISTERS)
		return take_by_registers(cell);
	if (cell->path == PATH_EVENTS || cell->path == PATH_BOTH)
		events.exception.ext_dabt_pending = 1;
	if (cell->path == PATH_SERROR || cell->path == PATH_BOTH) {
		events.exception.serror_pending = 1;
		events.exception.serror_has_esr = cell->has_esr;
		events.exception.serror_esr = cell->abort.esr;
	}
	if (!ioctl(cell->vcpu->fd, KVM_SET_VCPU_EVENTS, &events))
		return true;
	fail(cell, "KVM_SET_VCPU_EVENTS");
	return false;
}

/* Whether this exit is the payload's speech; then it is dealt with. */
static bool spoken(struct cell *cell, const struct kvm_run *run)
{
	if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write)
		return false;
	if (run->mmio.phys_addr == DOORBELL) {
		cell->rung = true;
		return true;
	}
	if (run->mmio.phys_addr != SERIAL)
		return false;
	if (cell->serial_length < SERIAL_MAX - 1)
		cell->serial_text[cell->serial_length++] = run->mmio.data[0];
	return true;
}

static void note_exit(struct cell *cell, int result, unsigned bus_errors)
{
	struct kvm_run *run = cell->vcpu->run;
	struct exit *exit = &cell->exits[cell->exit_count++];

	exit->has_bus_error = bus_error_here(bus_errors, &exit->bus_error);
	exit->reason = result ? -errno : (int)run->exit_reason;
	if (result)
		return;
	if (run->exit_reason == KVM_EXIT_MMIO) {
		exit->has_mmio = true;
		exit->address = run->mmio.phys_addr;
		exit->write = run->mmio.is_write;
		memset(run->mmio.data, 0xa5, sizeof(run->mmio.data));
	} else if (run->exit_reason == KVM_EXIT_ARM_NISV) {
		exit->esr = run->arm_nisv.esr_iss;
		exit->address = run->arm_nisv.fault_ipa;
	} else if (run->exit_reason == KVM_EXIT_ARM_SEA) {
		const struct arm_sea *sea = (const void *)&run->mmio;

		exit->flags = sea->flags;
		exit->esr = sea->esr;
		exit->gva = sea->gva;
		exit->address = sea->gpa;
	}
}

/* An exit of the access itself, upon which a VMM injects: MMIO, no syndrome, or SIGBUS. */
static bool is_consumption(const struct exit *exit)
{
	return exit->has_mmio || exit->has_bus_error || exit->reason == KVM_EXIT_ARM_NISV ||
	       exit->reason == KVM_EXIT_ARM_SEA;
}

static void run(struct cell *cell, atomic_bool *kicked)
{
	bool injected = cell->before || cell->path == PATH_NOTHING;

	if (cell->before && !inject(cell))
		return;
	while (!cell->rung && cell->exit_count < EXITS_MAX) {
		unsigned bus_errors = bus_error_count();
		int result = ioctl(cell->vcpu->fd, KVM_RUN, 0);

		if (!result && spoken(cell, cell->vcpu->run))
			continue;
		if (result && errno == EINTR && atomic_load(kicked)) {
			cell->stuck = true;
			return;
		}
		if (result && errno == EINTR && bus_error_count() == bus_errors)
			continue;	/* a kick that came too late, for the cell before */
		note_exit(cell, result, bus_errors);
		if (!is_consumption(&cell->exits[cell->exit_count - 1]))
			return;
		if ((!injected || cell->again) && !inject(cell))
			return;
		if (injected && !cell->again)
			return;		/* the access is made again, as if nothing had happened */
		injected = true;
	}
}

/* A pending SError cannot be taken back, not even by KVM_ARM_VCPU_INIT: the payload must take it. */
static bool drained(struct vcpu *vcpu, atomic_bool *kicked)
{
	struct kvm_vcpu_events events = { 0 };
	struct cell unmask = {
		.vcpu = vcpu,
		.access = ACCESS_unmask,
		.pstate = 0x3c5,
		.path = PATH_NOTHING,
	};

	if (place(&unmask))
		run(&unmask, kicked);
	complete(vcpu);
	return !ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events) && !events.exception.serror_pending;
}

void cell_run(struct cell *cell, atomic_bool *kicked)
{
	struct vcpu *vcpu = cell->vcpu;
	struct kvm_vcpu_events events = { 0 };
	uint64_t *data = data_of(vcpu);

	vcpu->run->immediate_exit = 0;
	if (place(cell))
		run(cell, kicked);
	cell->records = data[DATA_COUNT / 8];
	memcpy(cell->record, (char *)data + DATA_RECORDS, sizeof(cell->record));
	if (!cell->rung && cell->exit_count < EXITS_MAX && !cell->failed)
		put_registers(&cell->state, vcpu->fd);
	complete(vcpu);
	if (!ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events))
		cell->pending = events.exception.serror_pending;
	if (!cell->rung || cell->records > RECORDS_MAX)
		vcpu_reset(vcpu);
	if (cell->pending && !cell->keep && !drained(vcpu, kicked)) {
		errno = EBUSY;
		fail(cell, "an SError stays pending");
	}
}
