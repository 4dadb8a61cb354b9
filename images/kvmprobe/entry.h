// SPDX-License-Identifier: Apache-2.0
// Takes an exception as a processor does, by writing the registers of a vCPU.
#ifndef SEABUS_ENTRY_H
#define SEABUS_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

struct abort {
	uint64_t esr;
	uint64_t far;
	bool has_far;		/* else FAR is left as it is */
	bool to_el2;		/* a virtual EL2 takes it */
	bool serror;		/* at the vector of SError: an SError, or EASE */
};

/* From the state that the vCPU is in. 0, or -1 and errno. */
int entry_take(int vcpu, unsigned features, const struct abort *abort);

#endif
