// SPDX-License-Identifier: Apache-2.0
// Registers of a vCPU by the architecture's names.
#ifndef SEABUS_REGISTERS_H
#define SEABUS_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "../agent/text.h"

/* Those that the probe itself uses; the others are found by name. */
enum reg {
	REG_X0,
	REG_X30 = REG_X0 + 30,
	REG_SP_EL0,
	REG_PC,
	REG_PSTATE,
	REG_SP_EL1,
	REG_ELR_EL1,
	REG_SPSR_EL1,
	REG_ESR_EL1,
	REG_FAR_EL1,
	REG_VBAR_EL1,
	REG_SCTLR_EL1,
	REG_TCR_EL1,
	REG_TTBR0_EL1,
	REG_TTBR1_EL1,
	REG_MAIR_EL1,
	REG_TPIDR_EL1,
	REG_ID_AA64PFR0_EL1,
	REG_ID_AA64PFR1_EL1,
	REG_ID_AA64MMFR0_EL1,
	REG_ID_AA64MMFR1_EL1,
	REG_ID_AA64MMFR2_EL1,
	REG_ESR_EL2,
	REG_FAR_EL2,
	REG_ELR_EL2,
	REG_SPSR_EL2,
	REG_SP_EL2,
	REG_VBAR_EL2,
	REG_SCTLR_EL2,
	REG_TPIDR_EL2,
	REG_HCR_EL2,
	REG_COUNT,	/* from here on by name only */
};

/* A register's KVM id by name, or written as "0x..."; 0 if there is no such name. */
uint64_t register_id(const char *name);

/*
 * How a vCPU is reached: by its descriptor, unless somebody who is stopped in
 * its KVM_RUN is made to do it. 0, or -1 and errno.
 */
extern int (*register_access)(int vcpu, unsigned long request, uint64_t id, uint64_t *value);

/* 0, or -1 and errno. */
int register_get(int vcpu, enum reg reg, uint64_t *value);
int register_set(int vcpu, enum reg reg, uint64_t value);
int register_set_id(int vcpu, uint64_t id, uint64_t value);
int register_get_id(int vcpu, uint64_t id, uint64_t *value);

/* Every register with a name that this vCPU has, as members of an object. */
void put_registers(struct text *text, int vcpu);

#endif
