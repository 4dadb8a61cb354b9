// SPDX-License-Identifier: Apache-2.0
// One VM on /dev/kvm: slots, vCPUs, GIC, and the payload in its RAM.
#ifndef SEABUS_VM_H
#define SEABUS_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "answer.h"
#include "memory.h"
#include "tables.h"
#include "uapi.h"

enum {
	VCPUS_MAX = 4,
	SLOTS_MAX = 5,		/* the first is the RAM */
};

struct vcpu {
	int fd;
	int index;
	struct kvm_run *run;
	struct kvm_vcpu_init init;
	bool stale;		/* its X registers are not the ones set last */
};

struct slot {
	uint64_t address;	/* guest-physical */
	struct memory memory;
};

struct vm {
	int kvm;
	int fd;
	int run_size;
	int vcpu_count;
	struct vcpu vcpus[VCPUS_MAX];
	int slot_count;
	struct slot slots[SLOTS_MAX];
	int regime_count;
	struct regime regimes[REGIMES_MAX];
	unsigned features;	/* 1 << FEATURE_* of layout.h */
	bool el2;		/* the vCPUs have a virtual EL2 */
};

extern struct vm vm;

/* The verbs. */
bool vm_hello(const struct json_value *request, struct answer *answer);
bool vm_make(const struct json_value *request, struct answer *answer);
bool vm_capability(const struct json_value *request, struct answer *answer);
bool vm_enable(const struct json_value *request, struct answer *answer);
bool vm_reset(const struct json_value *request, struct answer *answer);

/* As after a reset. 0, or -1 and errno. */
int vcpu_reset(struct vcpu *vcpu);

/* The pages of the VMM where a vCPU's data, or a guest-physical address, lie. */
uint64_t *data_of(const struct vcpu *vcpu);
char *host_address(uint64_t guest_physical);

#endif
