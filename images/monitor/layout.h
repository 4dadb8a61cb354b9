/* SPDX-License-Identifier: Apache-2.0 */
/* Physical addresses of QEMU's virt machine (hw/arm/virt.c, base_memmap), and ours. */
#ifndef SEABUS_MONITOR_LAYOUT_H
#define SEABUS_MONITOR_LAYOUT_H

#define SERIAL		0x09000000
#define NOBODY		0x0f000000	/* no device answers */
#define STATUS_BLOCK	0x48000000	/* where the monitor leaves its error record */
#define STACKS		0x42000000	/* one of STACK_SIZE for each level, downwards */
#define STACK_SIZE	0x10000

#endif
