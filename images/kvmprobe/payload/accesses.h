/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload's accesses, one instruction each. X0 is the address, X2 and X3
 * are data. Whoever gets past it makes a supervisor call.
 */
ACCESS(ldr, ldr x2, [x0])
ACCESS(str, str x3, [x0])
ACCESS(ldp, ldp x2, x3, [x0])
ACCESS(stp, stp x2, x3, [x0])
ACCESS(ldadd, ldadd x3, x2, [x0])
ACCESS(ldxr, ldxr x2, [x0])
ACCESS(dc, dc civac, x0)
/* Of all indirect branches only RET leaves PSTATE.BTYPE alone. */
ACCESS(fetch, ret x0)
ACCESS(nop, nop)
ACCESS(unmask, msr daifclr, #4)
ACCESS(esb, hint #16)
ACCESS(esb_unmask, hint #16; msr daifclr, #4)
ACCESS(spin, b .)
