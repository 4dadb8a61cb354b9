/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs at EL1 or a virtual EL2 with SP at the top of the vCPU's data and TPIDR
 * at their start. Each exception becomes a record; then the doorbell
 * rings, and the probe never returns from it.
 */
#include "../layout.h"

	.arch	armv8.5-a+memtag
	.section .vectors, "ax"
	b	.
	.balign	VECTORS

	.set	vector, 0
	.rept	16
	.balign	0x80
	stp	x0, x1, [sp, #-16]!
	mov	x0, #vector
	b	record
	.set	vector, vector + 0x80
	.endr

	.balign	ACCESSES
#define ACCESS(name, ...)	.balign ACCESS_SIZE; __VA_ARGS__; svc #0; b .;
#include "accesses.h"

	.text

	.macro	add_field feature, register
	tbz	x4, #\feature, 1f
	mrs	x5, \register
	orr	x3, x3, x5
1:
	.endm

record:
	stp	x2, x3, [sp, #-16]!
	mrs	x3, nzcv		/* before anything is compared */
	mrs	x1, CurrentEL
	tbnz	x1, #3, 1f
	mrs	x1, tpidr_el1
	b	2f
1:	mrs	x1, tpidr_el2
2:	stp	x4, x5, [sp, #-16]!
	ldr	x2, [x1, #DATA_COUNT]
	add	x4, x2, #1
	str	x4, [x1, #DATA_COUNT]
	cmp	x2, #RECORDS_MAX
	b.hs	ring
	mov	x4, #RECORD_SIZE
	madd	x2, x2, x4, x1
	add	x2, x2, #DATA_RECORDS
	str	x0, [x2, #RECORD_VECTOR]

	mrs	x5, daif
	orr	x3, x3, x5
	mrs	x5, CurrentEL
	orr	x3, x3, x5
	mrs	x5, SPSel
	orr	x3, x3, x5
	ldr	x4, [x1, #DATA_FEATURES]
	add_field FEATURE_PAN, pan
	add_field FEATURE_UAO, s3_0_c4_c2_4
	add_field FEATURE_DIT, s3_3_c4_c2_5
	add_field FEATURE_SSBS, s3_3_c4_c2_6
	add_field FEATURE_MTE, tco
	str	x3, [x2, #RECORD_PSTATE]

	mrs	x3, CurrentEL
	tbnz	x3, #3, 1f
	mrs	x3, esr_el1
	mrs	x5, far_el1
	stp	x3, x5, [x2, #RECORD_ESR]
	mrs	x3, elr_el1
	mrs	x5, spsr_el1
	b	2f
1:	mrs	x3, esr_el2
	mrs	x5, far_el2
	stp	x3, x5, [x2, #RECORD_ESR]
	mrs	x3, elr_el2
	mrs	x5, spsr_el2
2:	stp	x3, x5, [x2, #RECORD_ELR]
	mov	x3, #0
	tbz	x4, #FEATURE_RAS, 1f
	mrs	x3, s3_0_c12_c1_1	/* DISR_EL1 */
1:	mrs	x5, isr_el1
	stp	x3, x5, [x2, #RECORD_DISR]

	/* All that was there before, in X0 to X30. */
	mov	x0, x2
	ldp	x4, x5, [sp], #16
	ldp	x2, x3, [sp], #16
	stp	x2, x3, [x0, #RECORD_X + 16]
	stp	x4, x5, [x0, #RECORD_X + 32]
	ldp	x2, x3, [sp], #16
	stp	x2, x3, [x0, #RECORD_X]
	stp	x6, x7, [x0, #RECORD_X + 48]
	stp	x8, x9, [x0, #RECORD_X + 64]
	stp	x10, x11, [x0, #RECORD_X + 80]
	stp	x12, x13, [x0, #RECORD_X + 96]
	stp	x14, x15, [x0, #RECORD_X + 112]
	stp	x16, x17, [x0, #RECORD_X + 128]
	stp	x18, x19, [x0, #RECORD_X + 144]
	stp	x20, x21, [x0, #RECORD_X + 160]
	stp	x22, x23, [x0, #RECORD_X + 176]
	stp	x24, x25, [x0, #RECORD_X + 192]
	stp	x26, x27, [x0, #RECORD_X + 208]
	stp	x28, x29, [x0, #RECORD_X + 224]
	str	x30, [x0, #RECORD_X + 240]
	ldr	x2, [x1, #DATA_SERIAL]
	cbz	x2, ring
	bl	log_record
ring:
	mov	x0, #DOORBELL
	str	w0, [x0]
	b	.
