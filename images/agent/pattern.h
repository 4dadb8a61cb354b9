// SPDX-License-Identifier: Apache-2.0
// What victims fill their memory with.
#ifndef SEABUS_PATTERN_H
#define SEABUS_PATTERN_H

#include <stdint.h>

enum fill {
	FILL_PATTERN,
	FILL_ZERO,	/* never written */
	FILL_CODE,	/* a function every 8 bytes */
	FILL_UNKNOWN,	/* whatever was there */
};

/*
 * The 64-bit little-endian word number `index` of a victim's memory: the
 * finalizer of SplitMix64 on (victim << 32 | index). It is a bijection, so no
 * two words of any two victims are alike, and wrong data tells where it is from.
 */
static inline uint64_t pattern_word(uint32_t victim, uint32_t index)
{
	uint64_t x = (uint64_t)victim << 32 | index;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* What the function in word number `index` returns. */
static inline uint64_t code_returns(uint32_t index)
{
	return index & 0xffff;
}

/*
 * That function. arm64: MOVZ W0, #imm16; RET (Arm ARM, C6.2). x86-64: MOV EAX,
 * imm32; RET; NOP; NOP (Intel SDM, volume 2). Elsewhere there is none.
 */
static inline uint64_t code_word(uint32_t index)
{
#if defined(__aarch64__)
	return 0xd65f03c0ULL << 32 | 0x52800000 | code_returns(index) << 5;
#elif defined(__x86_64__)
	return 0x9090c3ULL << 40 | code_returns(index) << 8 | 0xb8;
#else
	return 0 * index;
#endif
}

static inline uint64_t fill_word(enum fill fill, uint32_t victim, uint32_t index)
{
	switch (fill) {
	case FILL_PATTERN:
		return pattern_word(victim, index);
	case FILL_CODE:
		return code_word(index);
	default:
		return 0;
	}
}

#endif
