/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probe and its payload agree on: guest-physical addresses, and the
 * pages that they share. Everything is aligned to 64 KiB, the largest granule.
 */
#ifndef SEABUS_LAYOUT_H
#define SEABUS_LAYOUT_H

#define UNIT		0x10000		/* the largest granule */
#define SERIAL		0x09000000	/* one byte written is one character */
#define DOORBELL	0x0a000000	/* written when there is something to tell */
#define HOLE		0x10000000	/* no slot: KVM has nothing there */
#define RAM		0x40000000
#define RAM_SIZE	0x02000000
#define CODE		RAM
#define DATA		(RAM + UNIT)	/* one page of DATA_SIZE for each vCPU */
#define TABLES		(RAM + 0x100000)

/* In the code: the vectors, and one access each ACCESS_SIZE. */
#define VECTORS		0x0800
#define ACCESSES	0x1000
#define ACCESS_SIZE	32

/* In the data of a vCPU: what the payload is told, records, then its stack. */
#define DATA_SIZE	0x2000
#define DATA_COUNT	0x00		/* of exceptions, also those without room */
#define DATA_FEATURES	0x08
#define DATA_SERIAL	0x10		/* not 0: log each record */
#define DATA_RECORDS	0x40
#define RECORD_SIZE	(44 * 8)
#define RECORDS_MAX	4

/* Of a record, all of 64 bits. */
#define RECORD_VECTOR	0x00
#define RECORD_ESR	0x08
#define RECORD_FAR	0x10
#define RECORD_ELR	0x18
#define RECORD_SPSR	0x20
#define RECORD_PSTATE	0x28
#define RECORD_DISR	0x30
#define RECORD_ISR	0x38
#define RECORD_X	0x40		/* X0 to X30 */

/* Which fields of PSTATE can be read: bit numbers in DATA_FEATURES. */
#define FEATURE_PAN	0
#define FEATURE_UAO	1
#define FEATURE_DIT	2
#define FEATURE_SSBS	3
#define FEATURE_MTE	4
#define FEATURE_RAS	5

#endif
