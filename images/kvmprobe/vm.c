// SPDX-License-Identifier: Apache-2.0
// Linux Documentation/virt/kvm/api.rst.
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gic.h"
#include "layout.h"
#include "registers.h"

struct vm vm = { .kvm = -1, .fd = -1 };

static bool open_kvm(struct answer *answer)
{
	if (vm.kvm < 0)
		vm.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm.kvm < 0)
		return system_failed(answer, "/dev/kvm");
	vm.run_size = ioctl(vm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	return true;
}

bool vm_hello(const struct json_value *request, struct answer *answer)
{
	(void)request;
	put_string(&answer->ok, "probe", "kvmprobe");
	put_number(&answer->ok, "pid", getpid());
	if (!open_kvm(answer))
		return false;
	put_number(&answer->ok, "api", ioctl(vm.kvm, KVM_GET_API_VERSION, 0));
	put_number(&answer->ok, "ipa_bits", ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE));
	return true;
}

bool vm_capability(const struct json_value *request, struct answer *answer)
{
	uint64_t number;

	if (!number_of(request, "number", &number))
		return refuse(answer, "capability needs a number");
	if (!open_kvm(answer))
		return false;
	put_signed(&answer->ok, "value", ioctl(vm.fd >= 0 ? vm.fd : vm.kvm, KVM_CHECK_EXTENSION, number));
	return true;
}

bool vm_enable(const struct json_value *request, struct answer *answer)
{
	struct kvm_enable_cap enable = { 0 };
	uint64_t number, flags = 0;

	if (vm.fd < 0)
		return refuse(answer, "make a vm first");
	if (!number_of(request, "number", &number))
		return refuse(answer, "enable needs a number");
	number_of(request, "flags", &flags);
	number_of(request, "argument", (uint64_t *)&enable.args[0]);
	enable.cap = number;
	enable.flags = flags;
	if (ioctl(vm.fd, KVM_ENABLE_CAP, &enable))
		return system_failed(answer, "KVM_ENABLE_CAP %u", enable.cap);
	return true;
}

static void vm_end(void)
{
	for (int i = 0; i < vm.vcpu_count; i++) {
		munmap(vm.vcpus[i].run, vm.run_size);
		close(vm.vcpus[i].fd);
	}
	if (vm.fd >= 0)
		close(vm.fd);
	for (int i = 0; i < vm.slot_count; i++)
		memory_unmap(&vm.slots[i].memory);
	vm = (struct vm){ .kvm = vm.kvm, .fd = -1, .run_size = vm.run_size };
}

static bool add_slot(struct answer *answer, uint64_t address, const char *backing, uint64_t size,
		     uint64_t physical)
{
	struct slot *slot = &vm.slots[vm.slot_count];
	struct kvm_userspace_memory_region region = { .slot = vm.slot_count };
	const char *failed;

	if (vm.slot_count == SLOTS_MAX)
		return refuse(answer, "more than %d slots", SLOTS_MAX - 1);
	failed = memory_map(&slot->memory, backing, size, physical);
	vm.slot_count++;
	if (failed && !errno)
		return refuse(answer, "there is no backing %s", backing);
	if (failed)
		return system_failed(answer, "memory of backing %s: %s", backing, failed);
	slot->address = address;
	region.guest_phys_addr = address;
	region.memory_size = size;
	region.userspace_addr = (uintptr_t)slot->memory.at;
	if (ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region))
		return system_failed(answer, "KVM_SET_USER_MEMORY_REGION");
	return true;
}

static bool add_slots(const struct json_value *list, struct answer *answer)
{
	for (const struct json_value *v = json_first(list); v != json_end(list); v = json_next(v)) {
		uint64_t address, size, physical = 0;
		const char *backing = string_of(v, "backing");

		if (!backing || !number_of(v, "address", &address) || !number_of(v, "size", &size))
			return refuse(answer, "a slot needs address, size and backing");
		number_of(v, "physical", &physical);
		if (!add_slot(answer, address, backing, size, physical))
			return false;
	}
	return true;
}

int vcpu_reset(struct vcpu *vcpu)
{
	vcpu->stale = true;
	return ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &vcpu->init);
}

bool vm_reset(const struct json_value *request, struct answer *answer)
{
	struct kvm_vcpu_events events = { 0 };
	uint64_t index = 0;

	number_of(request, "vcpu", &index);
	if (index >= (uint64_t)vm.vcpu_count)
		return refuse(answer, "there is no vcpu %lu", (unsigned long)index);
	if (vcpu_reset(&vm.vcpus[index]))
		return system_failed(answer, "KVM_ARM_VCPU_INIT");
	if (ioctl(vm.vcpus[index].fd, KVM_GET_VCPU_EVENTS, &events))
		return system_failed(answer, "KVM_GET_VCPU_EVENTS");
	put_bool(&answer->ok, "serror_pending", events.exception.serror_pending);
	return true;
}

static bool add_vcpu(struct answer *answer)
{
	struct vcpu *vcpu = &vm.vcpus[vm.vcpu_count];

	vcpu->index = vm.vcpu_count;
	vcpu->fd = ioctl(vm.fd, KVM_CREATE_VCPU, vcpu->index);
	if (vcpu->fd < 0)
		return system_failed(answer, "KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		close(vcpu->fd);
		return system_failed(answer, "mmap of struct kvm_run");
	}
	vm.vcpu_count++;
	if (ioctl(vm.fd, KVM_ARM_PREFERRED_TARGET, &vcpu->init))
		return system_failed(answer, "KVM_ARM_PREFERRED_TARGET");
	vcpu->init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
	if (vm.el2)
		vcpu->init.features[0] |= 1 << KVM_ARM_VCPU_HAS_EL2;
	if (vcpu_reset(vcpu))
		return system_failed(answer, "KVM_ARM_VCPU_INIT");
	return true;
}

static bool load_payload(const char *path, struct answer *answer)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t got;

	if (!path)
		return refuse(answer, "vm needs a payload");
	if (fd < 0)
		return system_failed(answer, "%s", path);
	got = read(fd, vm.slots[0].memory.at, UNIT);
	close(fd);
	if (got <= ACCESSES)
		return refuse(answer, "%s is no payload", path);
	__builtin___clear_cache(vm.slots[0].memory.at, vm.slots[0].memory.at + got);
	return true;
}

/* What of PSTATE a guest has, so that nothing is read that it has not. */
static bool find_features(struct answer *answer)
{
	uint64_t pfr0, pfr1, mmfr1, mmfr2;
	int fd = vm.vcpus[0].fd;

	if (register_get(fd, REG_ID_AA64PFR0_EL1, &pfr0) || register_get(fd, REG_ID_AA64PFR1_EL1, &pfr1) ||
	    register_get(fd, REG_ID_AA64MMFR1_EL1, &mmfr1) || register_get(fd, REG_ID_AA64MMFR2_EL1, &mmfr2))
		return system_failed(answer, "ID registers");
	vm.features = !!(mmfr1 >> 20 & 15) << FEATURE_PAN | !!(mmfr2 >> 4 & 15) << FEATURE_UAO |
		      !!(pfr0 >> 48 & 15) << FEATURE_DIT | ((pfr1 >> 4 & 15) >= 2) << FEATURE_SSBS |
		      ((pfr1 >> 8 & 15) >= 2) << FEATURE_MTE | !!(pfr0 >> 28 & 15) << FEATURE_RAS;
	return true;
}

static bool build_regimes(const struct json_value *request, struct answer *answer)
{
	const struct json_value *list = json_member(request, "bad");
	uint64_t bad[BAD_MAX], mmfr0;
	int count = 0;

	if (!list || list->type != JSON_ARRAY)
		return true;
	for (const struct json_value *v = json_first(list); v != json_end(list); v = json_next(v))
		if (count == BAD_MAX || !number_in(v, &bad[count++]))
			return refuse(answer, "bad is a list of at most %d addresses", BAD_MAX);
	if (register_get(vm.vcpus[0].fd, REG_ID_AA64MMFR0_EL1, &mmfr0))
		return system_failed(answer, "ID_AA64MMFR0_EL1");
	vm.regime_count = tables_build(vm.regimes, vm.slots[0].memory.at, mmfr0, bad, count);
	return true;
}

static void put_regime(struct text *text, const struct regime *regime)
{
	put_object(text, NULL);
	put_string(text, "granule", regime->granule);
	put_hex(text, "bad", regime->bad);
	put_hex(text, "leaf_el1", regime->leaf_el1);
	put_hex(text, "leaf_el0", regime->leaf_el0);
	put_object(text, "walk");
	for (int level = LEVEL_MIN; level <= LEVEL_MAX; level++) {
		static const char *const names[] = { "-1", "0", "1", "2", "3" };

		if (regime->has_walk[level - LEVEL_MIN])
			put_hex(text, names[level - LEVEL_MIN], regime->walk[level - LEVEL_MIN]);
	}
	put_end(text, '}');
	put_end(text, '}');
}

static void put_vm(struct text *text)
{
	put_number(text, "features", vm.features);
	put_array(text, "slots");
	for (int i = 1; i < vm.slot_count; i++) {
		const struct slot *slot = &vm.slots[i];

		put_object(text, NULL);
		put_hex(text, "address", slot->address);
		put_hex(text, "host", (uintptr_t)slot->memory.at);
		put_hex(text, "physical", memory_physical(slot->memory.at));
		put_number(text, "huge", memory_huge(&slot->memory));
		put_end(text, '}');
	}
	put_end(text, ']');
	put_array(text, "regimes");
	for (int i = 0; i < vm.regime_count; i++)
		put_regime(text, &vm.regimes[i]);
	put_end(text, ']');
	put_object(text, "registers");
	put_registers(text, vm.vcpus[0].fd);
	put_end(text, '}');
}

static bool make(const struct json_value *request, struct answer *answer)
{
	const struct json_value *slots = json_member(request, "slots");
	uint64_t vcpus = 1;

	number_of(request, "vcpus", &vcpus);
	if (vcpus < 1 || vcpus > VCPUS_MAX)
		return refuse(answer, "1 to %d vcpus", VCPUS_MAX);
	vm.fd = ioctl(vm.kvm, KVM_CREATE_VM, 0);
	if (vm.fd < 0)
		return system_failed(answer, "KVM_CREATE_VM");
	vm.el2 = flag_of(request, "el2");
	if (flag_of(request, "nisv")) {
		struct kvm_enable_cap nisv = { .cap = KVM_CAP_ARM_NISV_TO_USER };

		if (ioctl(vm.fd, KVM_ENABLE_CAP, &nisv))
			return system_failed(answer, "KVM_CAP_ARM_NISV_TO_USER");
	}
	if (!add_slot(answer, RAM, "anon", RAM_SIZE, 0) ||
	    (slots && slots->type == JSON_ARRAY && !add_slots(slots, answer)))
		return false;
	for (uint64_t i = 0; i < vcpus; i++)
		if (!add_vcpu(answer))
			return false;
	/* A virtual EL2 needs its interrupt controller, with the maintenance interrupt. */
	if ((flag_of(request, "gic") || vm.el2) && !gic_make(vm.fd, vcpus, vm.el2))
		return system_failed(answer, "GICv3");
	return load_payload(string_of(request, "payload"), answer) && find_features(answer) &&
	       build_regimes(request, answer);
}

bool vm_make(const struct json_value *request, struct answer *answer)
{
	vm_end();
	if (!open_kvm(answer))
		return false;
	if (!make(request, answer)) {
		vm_end();
		return false;
	}
	put_vm(&answer->ok);
	return true;
}

uint64_t *data_of(const struct vcpu *vcpu)
{
	return (uint64_t *)host_address(DATA + vcpu->index * DATA_SIZE);
}

char *host_address(uint64_t guest_physical)
{
	for (int i = 0; i < vm.slot_count; i++) {
		const struct slot *slot = &vm.slots[i];

		if (guest_physical - slot->address < slot->memory.size)
			return slot->memory.at + (guest_physical - slot->address);
	}
	return NULL;
}
