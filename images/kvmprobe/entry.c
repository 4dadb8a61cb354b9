// SPDX-License-Identifier: Apache-2.0
// Arm ARM DDI 0487, pseudocode AArch64.TakeException(), for a target of EL1 or EL2.
#include "entry.h"

#include "layout.h"
#include "registers.h"

#define BIT(n)		(1ULL << (n))

enum {
	MODE_MASK = 0x1f,
	MODE_EL1H = 0x05,
	MODE_EL2H = 0x09,
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

struct target {
	uint64_t mode;		/* with its own stack pointer; without bit 0: with SP_EL0 */
	enum reg vbar, sctlr, elr, spsr, esr, far;
};

static const struct target targets[] = {
	{ MODE_EL1H, REG_VBAR_EL1, REG_SCTLR_EL1, REG_ELR_EL1, REG_SPSR_EL1, REG_ESR_EL1, REG_FAR_EL1 },
	{ MODE_EL2H, REG_VBAR_EL2, REG_SCTLR_EL2, REG_ELR_EL2, REG_SPSR_EL2, REG_ESR_EL2, REG_FAR_EL2 },
};

static uint64_t vector_of(uint64_t pstate, uint64_t mode)
{
	if (pstate & MODE_32BIT)
		return 0x600;
	if ((pstate & MODE_MASK) == mode)
		return 0x200;
	return (pstate & MODE_MASK) == (mode & ~1ULL) ? 0x000 : 0x400;
}

/* UAO, SS, IL and BTYPE become 0, as does all that is not named here. */
static uint64_t pstate_after(uint64_t before, uint64_t mode, uint64_t sctlr, unsigned features)
{
	uint64_t after = mode | MASK_DAIF;

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
	const struct target *target = &targets[abort->to_el2];
	uint64_t pc, pstate, vbar, sctlr;

	if (register_get(vcpu, REG_PC, &pc) || register_get(vcpu, REG_PSTATE, &pstate) ||
	    register_get(vcpu, target->vbar, &vbar) || register_get(vcpu, target->sctlr, &sctlr))
		return -1;
	if (register_set(vcpu, target->elr, pc) || register_set(vcpu, target->spsr, pstate) ||
	    register_set(vcpu, target->esr, abort->esr) ||
	    (abort->has_far && register_set(vcpu, target->far, abort->far)))
		return -1;
	vbar += vector_of(pstate, target->mode) + (abort->serror ? SERROR : 0);
	if (register_set(vcpu, REG_PC, vbar))
		return -1;
	return register_set(vcpu, REG_PSTATE, pstate_after(pstate, target->mode, sctlr, features));
}
