// SPDX-License-Identifier: Apache-2.0
#ifndef SEABUS_MONITOR_SERIAL_H
#define SEABUS_MONITOR_SERIAL_H

#include <stddef.h>
#include <stdint.h>

void say(const char *words);
void say_hex(const char *name, uint64_t value);	/* "name=0x... " */
void say_bytes(const char *name, const uint8_t *bytes, size_t length);

/* Ends the emulator with that status (semihosting). */
__attribute__((noreturn)) void end(uint64_t status);

#endif
