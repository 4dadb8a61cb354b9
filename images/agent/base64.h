// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4), padded and strict.
#ifndef SEABUS_BASE64_H
#define SEABUS_BASE64_H

#include <stdbool.h>
#include <stddef.h>

static inline size_t base64_length(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* Writes base64_length(length) characters and no terminator. */
void base64_encode(char *to, const void *bytes, size_t length);

/* Decodes in place; false if the text is not base64. */
bool base64_decode(char *text, size_t *length);

#endif
