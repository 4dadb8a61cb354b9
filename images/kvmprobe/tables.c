// SPDX-License-Identifier: Apache-2.0
// Arm ARM DDI 0487, D8.3 "Translation table descriptor formats"; TCR_EL1; ID_AA64MMFR0_EL1.
#include "tables.h"

#include <string.h>

#include "layout.h"

#define BIT(n)		(1ULL << (n))
#define ENTRY_TABLE	3ULL
#define ENTRY_PAGE	3ULL
#define ENTRY_DEVICE	(1ULL << 2)	/* index in MAIR */
#define ENTRY_EL0	BIT(6)
#define ENTRY_READ_ONLY	BIT(7)
#define ENTRY_SHARED	(3ULL << 8)
#define ENTRY_ACCESSED	BIT(10)
#define ENTRY_NOT_GLOBAL BIT(11)
#define ENTRY_PXN	BIT(53)
#define ENTRY_UXN	BIT(54)
#define ENTRY_NO_CODE	(ENTRY_PXN | ENTRY_UXN)

/* Addresses of the regimes; each has an entry of its own at the level above the table it names. */
#define LEAF_EL1	BIT(40)
#define LEAF_EL0	(BIT(40) + 0x10000000)
#define BAD_LEVEL_3	(BIT(40) + 0x80000000)
#define BAD_LEVEL_2	BIT(45)
#define BAD_LEVEL_1	BIT(47)
#define BAD_LEVEL_0	BIT(48)

struct granule {
	const char *name;
	int shift;
	int va_bits;
	int start;		/* level */
	uint64_t tcr;		/* TG0, TG1, DS */
};

static const struct granule granules[] = {
	{ "4k", 12, 48, 0, 0ULL << 14 | 2ULL << 30 },
	{ "4k-52", 12, 52, -1, 0ULL << 14 | 2ULL << 30 | BIT(59) },
	{ "16k", 14, 48, 0, 2ULL << 14 | 1ULL << 30 },
	{ "64k", 16, 48, 1, 1ULL << 14 | 3ULL << 30 },
};

#define GRANULES	((int)(sizeof(granules) / sizeof(granules[0])))

static bool offered(int granule, uint64_t mmfr0)
{
	int tgran4 = mmfr0 >> 28 & 15, tgran64 = mmfr0 >> 24 & 15, tgran16 = mmfr0 >> 20 & 15;

	switch (granule) {
	case 0:
		return tgran4 != 15;
	case 1:
		return tgran4 == 1;
	case 2:
		return tgran16 != 0;
	}
	return tgran64 != 15;
}

struct builder {
	const struct granule *granule;
	char *ram;
	uint64_t next;		/* guest-physical, of the next table */
	uint64_t root;
};

static uint64_t new_table(struct builder *b)
{
	uint64_t size = 1ULL << b->granule->shift;
	uint64_t at = (b->next + size - 1) & -size;

	memset(b->ram + (at - RAM), 0, size);
	b->next = at + size;
	return at;
}

static uint64_t *entry_of(struct builder *b, uint64_t table, uint64_t va, int level)
{
	int stride = b->granule->shift - 3;
	uint64_t index = va >> (b->granule->shift + (LEVEL_MAX - level) * stride);

	return (uint64_t *)(b->ram + (table - RAM)) + (index & (BIT(stride) - 1));
}

/* The entry for `va` in the table of that level, whatever lies above being made. */
static uint64_t *entry_at(struct builder *b, uint64_t va, int level)
{
	uint64_t table = b->root;

	for (int above = b->granule->start; above < level; above++) {
		uint64_t *entry = entry_of(b, table, va, above);

		if (!*entry)
			*entry = new_table(b) | ENTRY_TABLE;
		table = *entry & ~ENTRY_TABLE;
	}
	return entry_of(b, table, va, level);
}

/* Each a whole unit, so that it is mapped alike with every granule. */
static void map_unit(struct builder *b, uint64_t va, uint64_t pa, uint64_t attributes)
{
	/* With TCR.DS these bits are of the address, and shareability is in TCR. */
	uint64_t shared = b->granule->start < 0 ? 0 : ENTRY_SHARED;

	attributes |= shared | ENTRY_ACCESSED | ENTRY_NOT_GLOBAL | ENTRY_PAGE;
	for (uint64_t offset = 0; offset < UNIT; offset += 1ULL << b->granule->shift)
		*entry_at(b, va + offset, LEVEL_MAX) = (pa + offset) | attributes;
}

static void spoil(struct builder *b, struct regime *regime, uint64_t va, int level)
{
	if (level <= b->granule->start)
		return;
	*entry_at(b, va, level - 1) = regime->bad | ENTRY_TABLE;
	regime->has_walk[level - LEVEL_MIN] = true;
	regime->walk[level - LEVEL_MIN] = va;
}

static void build(struct builder *b, struct regime *regime, int asid)
{
	const struct granule *g = b->granule;
	uint64_t sizes = 64 - g->va_bits;
	/* Write-back and inner shareable in both halves, 40 bits of physical address. */
	uint64_t tcr = g->tcr | 0x3500 | 0x35000000 | 2ULL << 32 | sizes | sizes << 16;

	b->root = new_table(b);
	map_unit(b, CODE, CODE, ENTRY_READ_ONLY | ENTRY_EL0);
	map_unit(b, DATA, DATA, ENTRY_NO_CODE);
	map_unit(b, SERIAL, SERIAL, ENTRY_NO_CODE | ENTRY_DEVICE);
	map_unit(b, DOORBELL, DOORBELL, ENTRY_NO_CODE | ENTRY_DEVICE);
	regime->granule = g->name;
	regime->tcr = tcr;
	regime->ttbr0 = b->root | (uint64_t)asid << 48;
	regime->leaf_el1 = LEAF_EL1;
	regime->leaf_el0 = LEAF_EL0;
	map_unit(b, LEAF_EL1, regime->bad, 0);
	map_unit(b, LEAF_EL0, regime->bad, ENTRY_EL0);
	spoil(b, regime, BAD_LEVEL_3, 3);
	spoil(b, regime, BAD_LEVEL_2, 2);
	spoil(b, regime, BAD_LEVEL_1, 1);
	spoil(b, regime, BAD_LEVEL_0, 0);
	/* The first level of the upper half is the bad page as a whole. */
	regime->ttbr1 = regime->bad;
	regime->has_walk[g->start - LEVEL_MIN] = true;
	regime->walk[g->start - LEVEL_MIN] = -BIT(g->va_bits);
}

int tables_build(struct regime regimes[REGIMES_MAX], char *ram, uint64_t mmfr0,
		 const uint64_t *bad, int bad_count)
{
	struct builder builder = { .ram = ram, .next = TABLES };
	int count = 0;

	memset(regimes, 0, REGIMES_MAX * sizeof(*regimes));
	for (int i = 0; i < GRANULES; i++) {
		if (!offered(i, mmfr0))
			continue;
		builder.granule = &granules[i];
		for (int k = 0; k < bad_count; k++) {
			regimes[count].bad = bad[k];
			build(&builder, &regimes[count], count + 1);
			count++;
		}
	}
	return count;
}
