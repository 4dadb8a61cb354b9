// SPDX-License-Identifier: Apache-2.0
// The accesses in plain C, for where the agent is tested.
#ifndef __aarch64__
#include "access.h"

#include <errno.h>
#include <string.h>

enum { ZERO_BLOCK = 64 };

struct unaligned16 { uint16_t value; } __attribute__((packed, may_alias));
struct unaligned32 { uint32_t value; } __attribute__((packed, may_alias));
struct unaligned64 { uint64_t value; } __attribute__((packed, may_alias));

static uint64_t load(const char *address, uint32_t size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)address;
	case 2:
		return ((const volatile struct unaligned16 *)address)->value;
	case 4:
		return ((const volatile struct unaligned32 *)address)->value;
	default:
		return ((const volatile struct unaligned64 *)address)->value;
	}
}

static void store(char *address, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)address = value;
		break;
	case 2:
		((volatile struct unaligned16 *)address)->value = value;
		break;
	case 4:
		((volatile struct unaligned32 *)address)->value = value;
		break;
	default:
		((volatile struct unaligned64 *)address)->value = value;
		break;
	}
}

static void load_both(const char *address, uint32_t size, uint64_t value[2])
{
	value[0] = load(address, 8);
	if (size == 16)
		value[1] = load(address + 8, 8);
}

static void store_both(char *address, uint32_t size, const uint64_t value[2])
{
	store(address, 8, value[0]);
	if (size == 16)
		store(address + 8, 8, value[1]);
}

/* Atomic where it is aligned, as on arm64; else an access that can fault, and no more. */
static uint64_t atomic_add(char *address, uint32_t size, uint64_t addend)
{
	if ((uintptr_t)address % size) {
		uint64_t old = load(address, size);

		store(address, size, old + addend);
		return old;
	}
	switch (size) {
	case 1:
		return __atomic_fetch_add((uint8_t *)address, addend, __ATOMIC_SEQ_CST);
	case 2:
		return __atomic_fetch_add((uint16_t *)address, addend, __ATOMIC_SEQ_CST);
	case 4:
		return __atomic_fetch_add((uint32_t *)address, addend, __ATOMIC_SEQ_CST);
	default:
		return __atomic_fetch_add((uint64_t *)address, addend, __ATOMIC_SEQ_CST);
	}
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
	case OP_SIMD_LOAD:
		load_both(address, size, value);
		return 0;
	case OP_STORE_PAIR:
	case OP_SIMD_STORE:
		store_both(address, size, value);
		return 0;
	case OP_ATOMIC_ADD:
	case OP_EXCLUSIVE_ADD:
		value[0] = atomic_add(address, size, value[0]);
		return 0;
	case OP_FETCH:
#ifdef __x86_64__
		value[0] = ((uint32_t (*)(void))address)();
		return 0;
#else
		return -EOPNOTSUPP;
#endif
	case OP_PREFETCH:
		__builtin_prefetch(address);
		return 0;
	case OP_CLEAN:
	case OP_CLEAN_INVALIDATE:
	case OP_INVALIDATE_CODE:
		load(address, 1);
		return 0;
	case OP_ZERO:
		address -= (uintptr_t)address % ZERO_BLOCK;
		for (int i = 0; i < ZERO_BLOCK; i++)
			store(address + i, 1, 0);
		return ZERO_BLOCK;
	default:
		return -EINVAL;
	}
}
#else
typedef int no_plain_accesses_here;
#endif
