# SPDX-License-Identifier: Apache-2.0
"""What must follow from a fault, as data: the links of its chain at each level, and who promises them.

==================================  ==================================================================
:mod:`~seabus.chains.host`          L1: APEI, memory_failure(), the signals to the VMM
:mod:`~seabus.chains.vmm`           L1: what becomes of the VMM where it cannot be saved
:mod:`~seabus.chains.guest`         L2: the abort, its record, the signal to the victim
:mod:`~seabus.chains.guest_kernel`  L2: what its kernel consumes itself
:mod:`~seabus.chains.guest_qga`     L2: what QEMU's guest agent sees
==================================  ==================================================================
"""
