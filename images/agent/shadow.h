// SPDX-License-Identifier: Apache-2.0
// What should be in a victim's memory: its fill, and what was written since.
#ifndef SEABUS_SHADOW_H
#define SEABUS_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pattern.h"

struct shadow;

struct shadow *shadow_make(enum fill fill, uint32_t handle, size_t length);
struct shadow *shadow_share(struct shadow *shadow);
struct shadow *shadow_copy(const struct shadow *shadow);
void shadow_free(struct shadow *shadow);

/* Whether anything can be said about it. */
bool shadow_known(const struct shadow *shadow);

/* Little-endian, the low 8 bytes first; at most 16 bytes. */
void shadow_value(const struct shadow *shadow, size_t offset, size_t size, uint64_t value[2]);

void shadow_write(struct shadow *shadow, size_t offset, size_t size, const uint64_t value[2]);
void shadow_zero(struct shadow *shadow, size_t offset, size_t size);

/* Back to the fill, by whole pages of 4 KiB. */
void shadow_refill(struct shadow *shadow, size_t offset, size_t size);

#endif
