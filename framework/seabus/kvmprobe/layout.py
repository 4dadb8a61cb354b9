# SPDX-License-Identifier: Apache-2.0
"""Where things lie in the probe's guest: ``images/kvmprobe/layout.h``, and where we put the rest."""

from __future__ import annotations

from typing import Final

from seabus.arch.addresses import GuestPhysical

CODE: Final = 0x4000_0000
VBAR: Final = CODE + 0x800
_ACCESSES: Final = CODE + 0x1000
_ACCESS_SIZE: Final = 32
#: What FAR_EL1 holds when nobody has written it since the cell began.
FAR_BEFORE: Final = 0x5EAF_A400_0000_0000

#: Written by the payload when it has something to tell; the last exit of every cell.
DOORBELL: Final = 0x0A00_0000

#: A page for which there is no memory slot.
HOLE: Final = GuestPhysical(0x1000_0000)
#: The first page of a slot that gets poisoned.
POISON: Final = GuestPhysical(0x5000_0000)
#: A slot of physical memory behind which there is no device.
NOBODY: Final = GuestPhysical(0x6000_0000)

#: In the order of ``images/kvmprobe/payload/accesses.h``.
ACCESSES: Final = (
    "ldr", "str", "ldp", "stp", "ldadd", "ldxr", "dc", "fetch",
    "nop", "unmask", "esb", "esb_unmask", "spin",
)  # fmt: skip


def address_of(access: str) -> int:
    """Where the payload's instruction lies, guest-virtual and guest-physical alike."""
    return _ACCESSES + _ACCESS_SIZE * ACCESSES.index(access)
