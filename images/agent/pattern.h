// SPDX-License-Identifier: Apache-2.0
// What victims fill their memory with.
#ifndef SEABUS_PATTERN_H
#define SEABUS_PATTERN_H

#include <stdint.h>

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

#endif
