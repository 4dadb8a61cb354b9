// SPDX-License-Identifier: Apache-2.0
// The error record that the monitor leaves for the level below.
#ifndef SEABUS_MONITOR_RECORD_H
#define SEABUS_MONITOR_RECORD_H

#include <stddef.h>
#include <stdint.h>

/* Writes a Generic Error Status Block with one memory section; its length. */
size_t record_write(uint8_t *block, uint64_t physical);

#endif
