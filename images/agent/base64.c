// SPDX-License-Identifier: Apache-2.0
// Base64: how bytes travel in JSON.
#include "base64.h"

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *to, const void *bytes, size_t length)
{
	const unsigned char *from = bytes;

	for (; length >= 3; length -= 3, from += 3) {
		*to++ = alphabet[from[0] >> 2];
		*to++ = alphabet[(from[0] & 0x03) << 4 | from[1] >> 4];
		*to++ = alphabet[(from[1] & 0x0f) << 2 | from[2] >> 6];
		*to++ = alphabet[from[2] & 0x3f];
	}
	if (length) {
		unsigned char second = length == 2 ? from[1] : 0;

		*to++ = alphabet[from[0] >> 2];
		*to++ = alphabet[(from[0] & 0x03) << 4 | second >> 4];
		*to++ = length == 2 ? alphabet[(second & 0x0f) << 2] : '=';
		*to++ = '=';
	}
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

bool base64_decode(char *text, size_t *length)
{
	size_t digits = *length, written = 0;
	unsigned int bits = 0;

	if (*length % 4)
		return false;
	/* Padding stands only at the very end: at most the last two characters. */
	while (digits && *length - digits < 2 && text[digits - 1] == '=')
		digits--;
	for (size_t i = 0; i < digits; i++) {
		int value = sextet(text[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | value) & 0xffffff;
		/* Of four digits the second, third and fourth each complete a byte. */
		if (i % 4)
			text[written++] = bits >> (6 - i % 4 * 2);
	}
	*length = written;
	return true;
}
