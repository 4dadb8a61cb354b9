// SPDX-License-Identifier: Apache-2.0
// Keeps what was written by the page; a page that never was costs a pointer.
#include "shadow.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

struct shadow {
	int users;
	enum fill fill;
	uint32_t handle;
	size_t length;
	uint8_t *pages[];	/* NULL: as filled; zeros: all zero, and not to be freed */
};

static uint8_t zeros[PAGE];

static struct shadow *make_empty(enum fill fill, uint32_t handle, size_t length)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow) + length / PAGE * sizeof(uint8_t *));

	if (!shadow)
		abort();
	shadow->users = 1;
	shadow->fill = fill;
	shadow->handle = handle;
	shadow->length = length;
	return shadow;
}

struct shadow *shadow_make(enum fill fill, uint32_t handle, size_t length)
{
	return make_empty(fill, handle, length);
}

struct shadow *shadow_share(struct shadow *shadow)
{
	shadow->users++;
	return shadow;
}

static uint8_t *page_copy(const uint8_t *page)
{
	uint8_t *copy = malloc(PAGE);

	if (!copy)
		abort();
	return memcpy(copy, page, PAGE);
}

struct shadow *shadow_copy(const struct shadow *shadow)
{
	struct shadow *copy = make_empty(shadow->fill, shadow->handle, shadow->length);

	for (size_t i = 0; i < shadow->length / PAGE; i++)
		copy->pages[i] = shadow->pages[i] && shadow->pages[i] != zeros ?
					 page_copy(shadow->pages[i]) : shadow->pages[i];
	return copy;
}

static void page_free(struct shadow *shadow, size_t page)
{
	if (shadow->pages[page] != zeros)
		free(shadow->pages[page]);
	shadow->pages[page] = NULL;
}

void shadow_free(struct shadow *shadow)
{
	if (!shadow || --shadow->users)
		return;
	for (size_t i = 0; i < shadow->length / PAGE; i++)
		page_free(shadow, i);
	free(shadow);
}

bool shadow_known(const struct shadow *shadow)
{
	return shadow->fill != FILL_UNKNOWN;
}

static uint8_t filled_byte(const struct shadow *shadow, size_t offset)
{
	return fill_word(shadow->fill, shadow->handle, offset / 8) >> offset % 8 * 8;
}

void shadow_value(const struct shadow *shadow, size_t offset, size_t size, uint64_t value[2])
{
	value[0] = value[1] = 0;
	for (size_t i = 0; i < size; i++, offset++) {
		const uint8_t *page = shadow->pages[offset / PAGE];
		uint64_t byte = page ? page[offset % PAGE] : filled_byte(shadow, offset);

		value[i / 8] |= byte << i % 8 * 8;
	}
}

/* The page, to be written into. */
static uint8_t *page_own(struct shadow *shadow, size_t page)
{
	uint8_t *bytes = shadow->pages[page];

	if (bytes && bytes != zeros)
		return bytes;
	shadow->pages[page] = page_copy(zeros);
	if (!bytes)
		for (size_t i = 0; i < PAGE; i++)
			shadow->pages[page][i] = filled_byte(shadow, page * PAGE + i);
	return shadow->pages[page];
}

void shadow_write(struct shadow *shadow, size_t offset, size_t size, const uint64_t value[2])
{
	for (size_t i = 0; i < size; i++, offset++)
		page_own(shadow, offset / PAGE)[offset % PAGE] = value[i / 8 % 2] >> i % 8 * 8;
}

void shadow_zero(struct shadow *shadow, size_t offset, size_t size)
{
	static const uint64_t zero[2];

	while (size) {
		size_t part = PAGE - offset % PAGE < size ? PAGE - offset % PAGE : size;

		if (part == PAGE) {
			page_free(shadow, offset / PAGE);
			shadow->pages[offset / PAGE] = zeros;
		} else {
			shadow_write(shadow, offset, part, zero);
		}
		offset += part;
		size -= part;
	}
}

void shadow_refill(struct shadow *shadow, size_t offset, size_t size)
{
	for (size_t page = offset / PAGE; page < (offset + size) / PAGE; page++)
		page_free(shadow, page);
}
