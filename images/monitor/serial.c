// SPDX-License-Identifier: Apache-2.0
#include "serial.h"

#include "layout.h"

static void put(char c)
{
	*(volatile uint32_t *)SERIAL = c;
}

static void put_digits(uint64_t value, int digits)
{
	while (digits--)
		put("0123456789abcdef"[value >> 4 * digits & 15]);
}

void say(const char *words)
{
	while (*words)
		put(*words++);
}

void say_hex(const char *name, uint64_t value)
{
	say(name);
	say("=0x");
	put_digits(value, 16);
	put(' ');
}

void say_bytes(const char *name, const uint8_t *bytes, size_t length)
{
	say(name);
	put('=');
	for (size_t i = 0; i < length; i++)
		put_digits(bytes[i], 2);
	put('\n');
}

void end(uint64_t status)
{
	/* Arm Semihosting, SYS_EXIT, ADP_Stopped_ApplicationExit. */
	uint64_t block[] = { 0x20026, status };
	register uint64_t operation __asm__("x0") = 0x18;
	register uint64_t argument __asm__("x1") = (uint64_t)block;

	__asm__ volatile("hlt #0xf000" : : "r"(operation), "r"(argument) : "memory");
	for (;;)
		;
}
