# SPDX-License-Identifier: Apache-2.0
"""The matrix: every abort a VMM may put into a guest, by every way, against the specification.

===============  ===========================================================================================
``question``     a cell as data: what is asked, and what each authority expects
``judge``        what was seen becomes `agreed`, `deviates` or `unreachable`; anything else is unexplained
``places``       an access at a place, in front of which a vCPU is put
``aborts``       origins, accesses, table walks, regimes of translation, by all paths
``pstates``      every PSTATE an abort may be taken from
``syndromes``    every ESR a VMM may write
``serrors``      SError: all types, masked or not, with an error synchronization barrier
``reactions``    what KVM, or the processor, does by itself; what a careless VMM does
``table``        all of these
``nested``       a guest hypervisor at virtual EL2
``linux_guest``  what Linux makes of each
``firmware``     firmware-first at EL3
``poisonings``   every backing, and the signals of its poison
``run``          asks them of a host; ``full`` in a world, with the witnesses
``pairs``        the same abort by both ways, register by register
``witnesses``    what else has seen the same: KVM's trace at L1, the emulator's log at L0
===============  ===========================================================================================
"""
