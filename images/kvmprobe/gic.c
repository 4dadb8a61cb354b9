// SPDX-License-Identifier: Apache-2.0
// Linux Documentation/virt/kvm/devices/arm-vgic-v3.rst.
#include "gic.h"

#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uapi.h"

#ifndef KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ
#define KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ	9
#endif

enum {
	INTERRUPTS = 64,
	MAINTENANCE = 25,	/* PPI 9 */
};

#define DISTRIBUTOR	0x08000000ULL
#define REDISTRIBUTORS	0x080a0000ULL

static bool set(int device, uint32_t group, uint64_t attribute, const void *value)
{
	struct kvm_device_attr attr = { .group = group, .attr = attribute, .addr = (uintptr_t)value };

	return !ioctl(device, KVM_SET_DEVICE_ATTR, &attr);
}

bool gic_make(int vm, int vcpus, bool el2)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t distributor = DISTRIBUTOR;
	uint64_t redistributors = (uint64_t)vcpus << 52 | REDISTRIBUTORS;
	uint32_t interrupts = INTERRUPTS, maintenance = MAINTENANCE;

	bool made;

	if (ioctl(vm, KVM_CREATE_DEVICE, &device))
		return false;
	made = set(device.fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts) &&
	       set(device.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor) &&
	       set(device.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
		   &redistributors) &&
	       (!el2 || set(device.fd, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &maintenance)) &&
	       set(device.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	/* The device stays with the VM. */
	close(device.fd);
	return made;
}
