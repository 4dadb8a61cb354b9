// SPDX-License-Identifier: Apache-2.0
/*
 * Firmware-first in four steps: an External abort at EL0 is taken to EL3, which
 * writes an error record and enters EL2 as if EL2 had taken the abort itself;
 * EL2 enters the guest's EL1 in the same way.
 *
 * QEMU's TCG takes the abort to EL1 whatever SCR_EL3.EA says. Then EL1 says so,
 * and hands it over by SMC: everything from there on is as it would be.
 */
#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "record.h"
#include "serial.h"

#define READ(reg) ({ uint64_t v_; __asm__ volatile("mrs %0, " #reg : "=r"(v_)); v_; })
#define WRITE(reg, value) __asm__ volatile("msr " #reg ", %0" : : "r"((uint64_t)(value)))

enum {
	VECTOR_LOWER = 0x400,
	EC_SMC64 = 0x17,
	PSTATE_EL2H = 0x3c9,
	PSTATE_EL1H = 0x3c5,
};

struct taken {
	uint64_t esr, far, elr, spsr;
};

void hand_over(void);
void leave(void);
void taken_el1(uint64_t offset);
void taken_el2(uint64_t offset);
void taken_el3(uint64_t offset);

static volatile bool handed_over, injected;

static void tell(const char *level, const char *how, uint64_t offset, const struct taken *taken)
{
	say(level);
	say(" ");
	say(how);
	say(" ");
	say_hex("vector", offset);
	say_hex("esr", taken->esr);
	say_hex("far", taken->far);
	say_hex("elr", taken->elr);
	say_hex("spsr", taken->spsr);
	say_hex("daif", READ(daif));
	say("\n");
}

static struct taken of_el1(void)
{
	return (struct taken){ READ(esr_el1), READ(far_el1), READ(elr_el1), READ(spsr_el1) };
}

/* A level calls its C function from the vector, and goes on by ERET from there. */
void taken_el1(uint64_t offset)
{
	struct taken taken = of_el1();

	if (injected) {
		tell("EL1", "injected", offset, &taken);
		end(offset == VECTOR_LOWER ? 0 : 1);
	}
	tell("EL1", "taken", offset, &taken);
	if (offset != VECTOR_LOWER)
		end(2);
	handed_over = true;
	hand_over();
}

void taken_el3(uint64_t offset)
{
	struct taken taken = { READ(esr_el3), READ(far_el3), READ(elr_el3), READ(spsr_el3) };
	bool by_call = handed_over && taken.esr >> 26 == EC_SMC64;

	if (by_call)
		taken = of_el1();
	tell("EL3", by_call ? "handed" : "taken", offset, &taken);
	if (offset != VECTOR_LOWER)
		end(3);
	record_write((uint8_t *)STATUS_BLOCK, taken.far);
	WRITE(esr_el2, taken.esr);
	WRITE(far_el2, taken.far);
	WRITE(elr_el2, taken.elr);
	WRITE(spsr_el2, taken.spsr);
	WRITE(elr_el3, READ(vbar_el2) + VECTOR_LOWER);
	WRITE(spsr_el3, PSTATE_EL2H);
	leave();
}

void taken_el2(uint64_t offset)
{
	struct taken taken = { READ(esr_el2), READ(far_el2), READ(elr_el2), READ(spsr_el2) };
	const uint8_t *record = (const uint8_t *)STATUS_BLOCK;

	tell("EL2", "entered", offset, &taken);
	if (offset != VECTOR_LOWER)
		end(4);
	say_bytes("record", record, 20 + record[12]);
	injected = true;
	WRITE(esr_el1, taken.esr);
	WRITE(far_el1, taken.far);
	WRITE(elr_el1, taken.elr);
	WRITE(spsr_el1, taken.spsr);
	WRITE(elr_el2, READ(vbar_el1) + VECTOR_LOWER);
	WRITE(spsr_el2, PSTATE_EL1H);
	leave();
}
