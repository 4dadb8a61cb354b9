// SPDX-License-Identifier: Apache-2.0
// One cell: an access of the payload, an abort put into the vCPU, and what came of it.
#ifndef SEABUS_CELL_H
#define SEABUS_CELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "answer.h"
#include "entry.h"
#include "layout.h"
#include "signals.h"
#include "vm.h"

/* In the order of the payload. */
#define ACCESS(name, ...)	ACCESS_##name,
enum access {
#include "payload/accesses.h"
	ACCESS_COUNT,
};
#undef ACCESS

enum path {
	PATH_NOTHING,	/* what KVM or the processor does of its own */
	PATH_EVENTS,	/* KVM_SET_VCPU_EVENTS, ext_dabt_pending */
	PATH_REGISTERS,	/* KVM_SET_ONE_REG, as a processor would */
	PATH_SERROR,	/* KVM_SET_VCPU_EVENTS, serror_pending */
	PATH_BOTH,	/* both pending in one call */
	PATH_RELAY,	/* registers, of what the exit tells a VMM, and no more */
};

enum {
	SETS_MAX = 8,
	EXITS_MAX = 4,
	SERIAL_MAX = 512,
};

struct exit {
	int reason;		/* KVM_EXIT_*, or -errno of KVM_RUN */
	uint64_t address;	/* guest-physical; of KVM_EXIT_ARM_SEA, too */
	uint64_t esr;		/* of KVM_EXIT_ARM_NISV (its ISS) and _SEA */
	uint64_t gva;
	uint64_t flags;
	bool write;
	bool has_bus_error;
	struct bus_error bus_error;
	bool has_mmio;
};

struct cell {
	/* Asked for. */
	uint64_t number;
	struct vcpu *vcpu;
	int access;
	uint64_t pstate;
	uint64_t address;	/* guest-virtual */
	const struct regime *regime;	/* NULL: the MMU is off */
	enum path path;
	struct abort abort;
	bool has_esr;		/* of an SError */
	bool before;		/* inject first, then run */
	bool again;		/* once more at each later exit of the access */
	bool careless;		/* registers: leave a pending MMIO pending */
	bool serial;
	bool keep;		/* an SError that is left over */
	uint64_t sctlr;		/* bits that differ from the usual */
	uint64_t hcr;		/* bits set beside the usual, if there is a virtual EL2 */
	int set_count;
	struct {
		uint64_t id;
		uint64_t value;
	} sets[SETS_MAX];

	/* What came of it. */
	const char *failed;	/* a step, with `error`; or NULL */
	int error;
	bool stuck;
	bool pending;		/* an SError is left over */
	bool rung;
	int exit_count;
	struct exit exits[EXITS_MAX];
	uint64_t records;	/* exceptions taken */
	uint64_t record[RECORDS_MAX][RECORD_SIZE / 8];
	uint64_t expected[31];	/* X0 to X30 at the access */
	int serial_length;
	char serial_text[SERIAL_MAX];
	struct text state;	/* of a vCPU that got stuck */
};

/* False: the request is wrong, and the answer says how. */
bool cell_read(const struct json_value *request, struct cell *cell, struct answer *answer);

/* In the vCPU's thread. `kicked` is set by whoever ends KVM_RUN. */
void cell_run(struct cell *cell, atomic_bool *kicked);

void put_cell(struct text *text, const struct cell *cell);

#endif
