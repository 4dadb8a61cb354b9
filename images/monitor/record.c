// SPDX-License-Identifier: Apache-2.0
// ACPI 6.5, 18.3.2.7.1 "Generic Error Status Block"; UEFI 2.10, appendix N.2.5 "Memory Error Section".
#include "record.h"

enum {
	STATUS_SIZE = 20,
	ENTRY_SIZE = 72,
	SECTION_SIZE = 80,
	ONE_UNCORRECTABLE = 0x11,	/* and one entry */
	RECOVERABLE = 0,
	REVISION = 0x300,
	HAS_ADDRESS_AND_MASK = 6,
};

static const uint8_t memory_section[] = {
	0x14, 0x11, 0xbc, 0xa5, 0x64, 0x6f, 0xde, 0x4e,
	0xb8, 0x63, 0x3e, 0x83, 0xed, 0x7c, 0x83, 0xb1,
};

/* Byte by byte: with the MMU off nothing unaligned is allowed. */
static void put(uint8_t *at, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		at[i] = value >> 8 * i;
}

size_t record_write(uint8_t *block, uint64_t physical)
{
	uint8_t *entry = block + STATUS_SIZE, *section = entry + ENTRY_SIZE;
	size_t size = STATUS_SIZE + ENTRY_SIZE + SECTION_SIZE;

	for (size_t i = 0; i < size; i++)
		block[i] = 0;
	put(block, ONE_UNCORRECTABLE, 4);
	put(block + 12, ENTRY_SIZE + SECTION_SIZE, 4);
	put(block + 16, RECOVERABLE, 4);
	for (size_t i = 0; i < sizeof(memory_section); i++)
		entry[i] = memory_section[i];
	put(entry + 16, RECOVERABLE, 4);
	put(entry + 20, REVISION, 2);
	put(entry + 24, SECTION_SIZE, 4);
	put(section, HAS_ADDRESS_AND_MASK, 8);
	put(section + 16, physical, 8);
	put(section + 24, ~0xfffULL, 8);
	return size;
}
