// SPDX-License-Identifier: Apache-2.0
// A GICv3 in a VM.
#ifndef SEABUS_GIC_H
#define SEABUS_GIC_H

#include <stdbool.h>

/* False, and errno. `el2`: with a maintenance interrupt for a guest hypervisor. */
bool gic_make(int vm, int vcpus, bool el2);

#endif
