// SPDX-License-Identifier: Apache-2.0
// Regimes of translation for the guest's EL1&0, each with a bad page at every place where one can be.
#ifndef SEABUS_TABLES_H
#define SEABUS_TABLES_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BAD_MAX = 4,
	LEVEL_MIN = -1,
	LEVEL_MAX = 3,
};

struct regime {
	const char *granule;	/* "4k", "4k-52" (FEAT_LPA2), "16k", "64k" */
	uint64_t bad;		/* guest-physical address of the bad page */
	uint64_t tcr;
	uint64_t ttbr0;
	uint64_t ttbr1;
	uint64_t leaf_el1;	/* the bad page, for EL1 only */
	uint64_t leaf_el0;	/* the bad page, for both; EL1 cannot execute it */
	bool has_walk[LEVEL_MAX - LEVEL_MIN + 1];
	uint64_t walk[LEVEL_MAX - LEVEL_MIN + 1];	/* addresses whose table of that level it is */
};

#define REGIMES_MAX	(4 * BAD_MAX)
#define MAIR		0x00ff	/* 0: normal memory, 1: device */

/*
 * Builds the regimes of each granule that ID_AA64MMFR0_EL1 offers, times each
 * bad page, into the guest's RAM. Returns how many.
 */
int tables_build(struct regime regimes[REGIMES_MAX], char *ram, uint64_t mmfr0,
		 const uint64_t *bad, int bad_count);

#endif
