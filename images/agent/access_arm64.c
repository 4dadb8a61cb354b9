// SPDX-License-Identifier: Apache-2.0
// The accesses on arm64: exactly one instruction each, of the size asked for.
#ifdef __aarch64__
#include "access.h"

#include <asm/hwcap.h>
#include <errno.h>
#include <sys/auxv.h>

enum { EXCLUSIVE_TRIES = 10000 };

static uint64_t load(const char *address, uint32_t size)
{
	uint64_t value;

	switch (size) {
	case 1:
		asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	case 2:
		asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	case 4:
		asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	default:
		asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
		return value;
	}
}

static void store(char *address, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		asm volatile("strb %w0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	case 2:
		asm volatile("strh %w0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	case 4:
		asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	default:
		asm volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
		break;
	}
}

static void load_pair(const char *address, uint32_t size, uint64_t value[2])
{
	uint64_t low, high;

	if (size == 16) {
		asm volatile("ldp %0, %1, [%2]" : "=&r"(low), "=&r"(high) : "r"(address)
			     : "memory");
		value[0] = low;
		value[1] = high;
	} else {
		asm volatile("ldp %w0, %w1, [%2]" : "=&r"(low), "=&r"(high) : "r"(address)
			     : "memory");
		value[0] = high << 32 | (uint32_t)low;
	}
}

static void store_pair(char *address, uint32_t size, const uint64_t value[2])
{
	if (size == 16)
		asm volatile("stp %0, %1, [%2]"
			     : : "r"(value[0]), "r"(value[1]), "r"(address) : "memory");
	else
		asm volatile("stp %w0, %w1, [%2]"
			     : : "r"(value[0]), "r"(value[0] >> 32), "r"(address) : "memory");
}

static uint64_t atomic_add(char *address, uint32_t size, uint64_t addend)
{
	uint64_t old;

#define LDADD(suffix, width) \
	asm volatile(".arch_extension lse\n\tldadd" suffix " %" width "1, %" width "0, [%2]" \
		     : "=r"(old) : "r"(addend), "r"(address) : "memory")
	switch (size) {
	case 1:
		LDADD("b", "w");
		return old;
	case 2:
		LDADD("h", "w");
		return old;
	case 4:
		LDADD("", "w");
		return old;
	default:
		LDADD("", "");
		return old;
	}
#undef LDADD
}

/* One attempt; the load and the store must be in one block, or a spill may come between. */
static uint32_t try_exclusive_add(char *address, uint32_t size, uint64_t addend, uint64_t *old)
{
	uint64_t before, sum;
	uint32_t failed;

#define EXCLUSIVE(suffix, width) \
	asm volatile("ldxr" suffix " %" width "0, [%4]\n\t" \
		     "add %1, %0, %3\n\t" \
		     "stxr" suffix " %w2, %" width "1, [%4]" \
		     : "=&r"(before), "=&r"(sum), "=&r"(failed) \
		     : "r"(addend), "r"(address) : "memory")
	switch (size) {
	case 1:
		EXCLUSIVE("b", "w");
		break;
	case 2:
		EXCLUSIVE("h", "w");
		break;
	case 4:
		EXCLUSIVE("", "w");
		break;
	default:
		EXCLUSIVE("", "");
		break;
	}
#undef EXCLUSIVE
	*old = before;
	return failed;
}

static int64_t exclusive_add(char *address, uint32_t size, uint64_t value[2])
{
	uint64_t old;

	for (int tries = 0; tries < EXCLUSIVE_TRIES; tries++)
		if (!try_exclusive_add(address, size, value[0], &old)) {
			value[0] = old;
			return 0;
		}
	return -EAGAIN;
}

static void simd_load(const char *address, uint64_t value[2])
{
	asm volatile("ldr q0, [%2]\n\tumov %0, v0.d[0]\n\tumov %1, v0.d[1]"
		     : "=r"(value[0]), "=r"(value[1]) : "r"(address) : "v0", "memory");
}

static void simd_store(char *address, const uint64_t value[2])
{
	asm volatile("ins v0.d[0], %0\n\tins v0.d[1], %1\n\tstr q0, [%2]"
		     : : "r"(value[0]), "r"(value[1]), "r"(address) : "v0", "memory");
}

/* DCZID_EL0: bit 4 says that it must not be, bits 3 to 0 log2 of the words (Arm ARM, D24.2). */
static int64_t zero_block(char *address)
{
	uint64_t kind;

	asm("mrs %0, dczid_el0" : "=r"(kind));
	if (kind & 0x10)
		return -EOPNOTSUPP;
	asm volatile("dc zva, %0" : : "r"(address) : "memory");
	return 4 << (kind & 0xf);
}

int64_t access_make(enum op op, char *address, uint32_t size, uint64_t value[2])
{
	switch (op) {
	case OP_READ:
		value[0] = load(address, size);
		return 0;
	case OP_WRITE:
		store(address, size, value[0]);
		return 0;
	case OP_LOAD_PAIR:
		load_pair(address, size, value);
		return 0;
	case OP_STORE_PAIR:
		store_pair(address, size, value);
		return 0;
	case OP_ATOMIC_ADD:
		if (!(getauxval(AT_HWCAP) & HWCAP_ATOMICS))
			return -EOPNOTSUPP;
		value[0] = atomic_add(address, size, value[0]);
		return 0;
	case OP_EXCLUSIVE_ADD:
		return exclusive_add(address, size, value);
	case OP_SIMD_LOAD:
		simd_load(address, value);
		return 0;
	case OP_SIMD_STORE:
		simd_store(address, value);
		return 0;
	case OP_FETCH:
		value[0] = ((uint32_t (*)(void))address)();
		return 0;
	case OP_PREFETCH:
		asm volatile("prfm pldl1keep, [%0]" : : "r"(address));
		return 0;
	case OP_CLEAN:
		asm volatile("dc cvac, %0\n\tdsb ish" : : "r"(address) : "memory");
		return 0;
	case OP_CLEAN_INVALIDATE:
		asm volatile("dc civac, %0\n\tdsb ish" : : "r"(address) : "memory");
		return 0;
	case OP_INVALIDATE_CODE:
		asm volatile("ic ivau, %0\n\tdsb ish\n\tisb" : : "r"(address) : "memory");
		return 0;
	case OP_ZERO:
		return zero_block(address);
	default:
		return -EINVAL;
	}
}
#else
typedef int no_accesses_here;
#endif
