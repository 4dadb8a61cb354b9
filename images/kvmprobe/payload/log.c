/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a record a second time, over the serial line. */
#include <stdint.h>

#include "../layout.h"

static void put(char c)
{
	/* One STRB each, which KVM can emulate for the probe. */
	__asm__ volatile("strb %w0, [%1]" : : "r"(c), "r"((uint64_t)SERIAL) : "memory");
}

static void put_hex(char name, uint64_t value)
{
	int shift = 60;

	put(name);
	while (shift && !(value >> shift & 15))
		shift -= 4;
	for (; shift >= 0; shift -= 4) {
		int digit = value >> shift & 15;

		put(digit < 10 ? '0' + digit : 'a' + digit - 10);
	}
}

void log_record(const uint64_t *record)
{
	put_hex('V', record[RECORD_VECTOR / 8]);
	put_hex('E', record[RECORD_ESR / 8]);
	put_hex('F', record[RECORD_FAR / 8]);
	put_hex('L', record[RECORD_ELR / 8]);
	put_hex('S', record[RECORD_SPSR / 8]);
	put_hex('P', record[RECORD_PSTATE / 8]);
	put('\n');
}
