// SPDX-License-Identifier: Apache-2.0
// Linux Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG; encodings: Arm ARM DDI 0487, D24.
#include "registers.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "uapi.h"

#define CORE(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(member))
#define SYS(...)	ARM64_SYS_REG(__VA_ARGS__)
#define X(n)		{ "x" #n, CORE(regs.regs[n]) }

static const struct {
	const char *name;
	uint64_t id;
} registers[] = {
	X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10),
	X(11), X(12), X(13), X(14), X(15), X(16), X(17), X(18), X(19), X(20),
	X(21), X(22), X(23), X(24), X(25), X(26), X(27), X(28), X(29), X(30),
	[REG_SP_EL0] = { "sp_el0", CORE(regs.sp) },
	[REG_PC] = { "pc", CORE(regs.pc) },
	[REG_PSTATE] = { "pstate", CORE(regs.pstate) },
	[REG_SP_EL1] = { "sp_el1", CORE(sp_el1) },
	[REG_ELR_EL1] = { "elr_el1", CORE(elr_el1) },
	[REG_SPSR_EL1] = { "spsr_el1", CORE(spsr[0]) },
	[REG_ESR_EL1] = { "esr_el1", SYS(3, 0, 5, 2, 0) },
	[REG_FAR_EL1] = { "far_el1", SYS(3, 0, 6, 0, 0) },
	[REG_VBAR_EL1] = { "vbar_el1", SYS(3, 0, 12, 0, 0) },
	[REG_SCTLR_EL1] = { "sctlr_el1", SYS(3, 0, 1, 0, 0) },
	[REG_TCR_EL1] = { "tcr_el1", SYS(3, 0, 2, 0, 2) },
	[REG_TTBR0_EL1] = { "ttbr0_el1", SYS(3, 0, 2, 0, 0) },
	[REG_TTBR1_EL1] = { "ttbr1_el1", SYS(3, 0, 2, 0, 1) },
	[REG_MAIR_EL1] = { "mair_el1", SYS(3, 0, 10, 2, 0) },
	[REG_TPIDR_EL1] = { "tpidr_el1", SYS(3, 0, 13, 0, 4) },
	[REG_ID_AA64PFR0_EL1] = { "id_aa64pfr0_el1", SYS(3, 0, 0, 4, 0) },
	[REG_ID_AA64PFR1_EL1] = { "id_aa64pfr1_el1", SYS(3, 0, 0, 4, 1) },
	[REG_ID_AA64MMFR0_EL1] = { "id_aa64mmfr0_el1", SYS(3, 0, 0, 7, 0) },
	[REG_ID_AA64MMFR1_EL1] = { "id_aa64mmfr1_el1", SYS(3, 0, 0, 7, 1) },
	[REG_ID_AA64MMFR2_EL1] = { "id_aa64mmfr2_el1", SYS(3, 0, 0, 7, 2) },
	[REG_ESR_EL2] = { "esr_el2", SYS(3, 4, 5, 2, 0) },
	[REG_FAR_EL2] = { "far_el2", SYS(3, 4, 6, 0, 0) },
	[REG_ELR_EL2] = { "elr_el2", SYS(3, 4, 4, 0, 1) },
	[REG_SPSR_EL2] = { "spsr_el2", SYS(3, 4, 4, 0, 0) },
	[REG_SP_EL2] = { "sp_el2", SYS(3, 6, 4, 1, 0) },
	[REG_VBAR_EL2] = { "vbar_el2", SYS(3, 4, 12, 0, 0) },
	[REG_SCTLR_EL2] = { "sctlr_el2", SYS(3, 4, 1, 0, 0) },
	[REG_TPIDR_EL2] = { "tpidr_el2", SYS(3, 4, 13, 0, 2) },
	[REG_HCR_EL2] = { "hcr_el2", SYS(3, 4, 1, 1, 0) },
	[REG_COUNT] = { "sctlr2_el1", SYS(3, 0, 1, 0, 3) },
	{ "cpacr_el1", SYS(3, 0, 1, 0, 2) },
	{ "disr_el1", SYS(3, 0, 12, 1, 1) },
	{ "par_el1", SYS(3, 0, 7, 4, 0) },
	{ "tcr2_el1", SYS(3, 0, 2, 0, 3) },
	{ "mdscr_el1", SYS(2, 0, 0, 2, 2) },
	{ "midr_el1", SYS(3, 0, 0, 0, 0) },
	{ "mpidr_el1", SYS(3, 0, 0, 0, 5) },
	{ "id_aa64pfr2_el1", SYS(3, 0, 0, 4, 2) },
	{ "id_aa64isar0_el1", SYS(3, 0, 0, 6, 0) },
	{ "id_aa64isar1_el1", SYS(3, 0, 0, 6, 1) },
	{ "id_aa64mmfr3_el1", SYS(3, 0, 0, 7, 3) },
	{ "hcrx_el2", SYS(3, 4, 1, 2, 2) },
	{ "sctlr2_el2", SYS(3, 4, 1, 0, 3) },
	{ "vsesr_el2", SYS(3, 4, 5, 2, 3) },
};

#define KNOWN	(sizeof(registers) / sizeof(registers[0]))

uint64_t register_id(const char *name)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (!strcmp(registers[i].name, name))
			return registers[i].id;
	return strncmp(name, "0x", 2) ? 0 : strtoull(name, NULL, 16);
}

static int access_by_descriptor(int vcpu, unsigned long request, uint64_t id, uint64_t *value)
{
	return ioctl(vcpu, request, &(struct kvm_one_reg){ id, (uintptr_t)value });
}

int (*register_access)(int vcpu, unsigned long request, uint64_t id, uint64_t *value) = access_by_descriptor;

int register_get_id(int vcpu, uint64_t id, uint64_t *value)
{
	/* Registers of less than 64 bits leave the rest alone. */
	*value = 0;
	return register_access(vcpu, KVM_GET_ONE_REG, id, value);
}

int register_set_id(int vcpu, uint64_t id, uint64_t value)
{
	return register_access(vcpu, KVM_SET_ONE_REG, id, &value);
}

int register_get(int vcpu, enum reg reg, uint64_t *value)
{
	return register_get_id(vcpu, registers[reg].id, value);
}

int register_set(int vcpu, enum reg reg, uint64_t value)
{
	return register_set_id(vcpu, registers[reg].id, value);
}

void put_registers(struct text *text, int vcpu)
{
	for (size_t i = 0; i < KNOWN; i++) {
		uint64_t value;

		if (!register_get_id(vcpu, registers[i].id, &value))
			put_hex(text, registers[i].name, value);
	}
}
