/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From reset at EL3 to a load at EL0 that nobody answers. Each level has
 * vectors of its own, of which the one for a lower level is expected.
 */
#include "layout.h"

#define SCR_NS		1		/* what is below is not secure */
#define SCR_EA		(1 << 3)	/* External aborts are taken to EL3 */
#define SCR_HCE		(1 << 8)
#define SCR_RW		(1 << 10)
#define SCTLR_RES1	0x30c50830
#define SCTLR_EL1_RES1	0x30d00800
#define HCR_RW		(1 << 31)
#define PSTATE_EL0	0x3c0

	.arch	armv8.2-a
	.section .start, "ax"
	.global	start
start:
	mrs	x0, mpidr_el1
	and	x0, x0, #0xff
	cbnz	x0, .
	ldr	x0, =STACKS
	mov	sp, x0
	sub	x0, x0, #STACK_SIZE
	msr	sp_el2, x0
	sub	x0, x0, #STACK_SIZE
	msr	sp_el1, x0
	adr	x0, vectors_el3
	msr	vbar_el3, x0
	adr	x0, vectors_el2
	msr	vbar_el2, x0
	adr	x0, vectors_el1
	msr	vbar_el1, x0
	ldr	x0, =SCTLR_RES1
	msr	sctlr_el3, x0
	msr	sctlr_el2, x0
	ldr	x0, =SCTLR_EL1_RES1
	msr	sctlr_el1, x0
	ldr	x0, =HCR_RW
	msr	hcr_el2, x0
	mov	x0, #(SCR_NS | SCR_EA | SCR_HCE | SCR_RW | 0x30)
	msr	scr_el3, x0
	mov	x0, #PSTATE_EL0
	msr	spsr_el3, x0
	adr	x0, user
	msr	elr_el3, x0
	isb
	eret

	/* EL0 */
user:
	ldr	x0, =NOBODY
	.global	user_access
user_access:
	ldr	x1, [x0]
	b	.

	/* \offset says which entry was taken, to a C function of that level. */
	.macro	vectors level
	.balign	2048
vectors_el\level:
	.set	offset, 0
	.rept	16
	.balign	0x80
	mov	x0, #offset
	b	taken_el\level
	.set	offset, offset + 0x80
	.endr
	.endm

	.section .vectors, "ax"
	vectors	1
	vectors	2
	vectors	3

	.text
	.global	hand_over
hand_over:
	smc	#0
	b	.

	/* Where a handler returns, its level goes on elsewhere. */
	.global	leave
leave:
	eret
