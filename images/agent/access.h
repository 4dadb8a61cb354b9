// SPDX-License-Identifier: Apache-2.0
// One access to memory by one instruction, so that a syndrome describes just that.
#ifndef SEABUS_ACCESS_H
#define SEABUS_ACCESS_H

#include <stdint.h>

#include "op.h"

/*
 * Makes the access of an op. `value` is what is written, or becomes what was
 * read, little-endian, the low 8 bytes first. Gives the bytes a zeroing took,
 * else 0; or the negative of an errno where the processor has no such access.
 */
int64_t access_make(enum op op, char *address, uint32_t size, uint64_t value[2]);

#endif
