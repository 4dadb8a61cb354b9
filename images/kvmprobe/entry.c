// SPDX-License-Identifier: Apache-2.0
// Arm ARM DDI 0487, pseudocode AArch64.TakeException(), for a target of EL1.
#include "entry.h"

#include "layout.h"
#include "registers.h"

#define BIT(n)		(1ULL << (n))

enum {
	MODE_MASK = 0x1f,
	MODE_EL0 = 0x00,
	MODE_EL1T = 0x04,
	MODE_EL1H = 0x05,
	MODE_32BIT = 0x10,
	MASK_DAIF = 0x3c0,
	SERROR = 0x180,
};

#define PSTATE_NZCV	(15ULL << 28)
#define PSTATE_TCO	BIT(25)
#define PSTATE_DIT	BIT(24)
#define PSTATE_PAN	BIT(22)
#define PSTATE_SSBS	BIT(12)
#define SCTLR_DSSBS	BIT(44)
#define SCTLR_SPAN	BIT(23)

static uint64_t vector_of(uint64_t pstate)
{
	if (pstate & MODE_32BIT)
		return 0x600;
	switch (pstate & MODE_MASK) {
	case MODE_EL1H:
		return 0x200;
	case MODE_EL1T:
		return 0x000;
	}
	return 0x400;
}

/* UAO, SS, IL and BTYPE become 0, as does all that is not named here. */
static uint64_t pstate_after(uint64_t before, uint64_t sctlr, unsigned features)
{
	uint64_t after = MODE_EL1H | MASK_DAIF;

	after |= before & (PSTATE_NZCV | PSTATE_PAN);
	if (features & BIT(FEATURE_DIT))
		after |= before & PSTATE_DIT;
	if (features & BIT(FEATURE_PAN) && !(sctlr & SCTLR_SPAN))
		after |= PSTATE_PAN;
	if (features & BIT(FEATURE_SSBS) && sctlr & SCTLR_DSSBS)
		after |= PSTATE_SSBS;
	if (features & BIT(FEATURE_MTE))
		after |= PSTATE_TCO;
	return after;
}

int entry_take(int vcpu, unsigned features, const struct abort *abort)
{
	uint64_t pc, pstate, vbar, sctlr;

	if (register_get(vcpu, REG_PC, &pc) || register_get(vcpu, REG_PSTATE, &pstate) ||
	    register_get(vcpu, REG_VBAR_EL1, &vbar) || register_get(vcpu, REG_SCTLR_EL1, &sctlr))
		return -1;
	if (register_set(vcpu, REG_ELR_EL1, pc) || register_set(vcpu, REG_SPSR_EL1, pstate) ||
	    register_set(vcpu, REG_ESR_EL1, abort->esr) ||
	    (abort->has_far && register_set(vcpu, REG_FAR_EL1, abort->far)))
		return -1;
	vbar += vector_of(pstate) + (abort->serror ? SERROR : 0);
	if (register_set(vcpu, REG_PC, vbar))
		return -1;
	return register_set(vcpu, REG_PSTATE, pstate_after(pstate, sctlr, features));
}
