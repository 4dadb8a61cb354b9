/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of KVM's interface that may be newer than this computer's headers. */
#ifndef SEABUS_UAPI_H
#define SEABUS_UAPI_H

#include <linux/kvm.h>

/* Linux include/uapi/linux/kvm.h, 6.16, 6.18; arch/arm64/include/uapi/asm/kvm.h, 6.16. */
#ifndef KVM_CAP_ARM_EL2
#define KVM_CAP_ARM_EL2			240
#define KVM_ARM_VCPU_HAS_EL2		7
#endif
#ifndef KVM_CAP_ARM_SEA_TO_USER
#define KVM_CAP_ARM_SEA_TO_USER		245
#define KVM_EXIT_ARM_SEA		41
#endif

/* What `union` of struct kvm_run holds for KVM_EXIT_ARM_SEA. */
struct arm_sea {
	__u64 flags;	/* 1: `gpa` is valid */
	__u64 esr;
	__u64 gva;
	__u64 gpa;
};

#endif
