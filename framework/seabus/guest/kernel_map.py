# SPDX-License-Identifier: Apache-2.0
"""Where a kernel has its own things in physical memory: its text and data, and what it allocated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from seabus.arch.addresses import GuestPhysical
from seabus.channel.agent import Agent
from seabus.errors import CapabilityError

_CORE: Final = "/proc/kcore"
_HEADERS: Final = 64 << 10  # the ELF headers and notes of /proc/kcore lie before this
_64_BITS: Final = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True)
class KernelMap:
    """The two linear mappings of an arm64 kernel (Linux Documentation/arch/arm64/memory.rst).

    :param voffset: virtual minus physical address of the kernel's image (``kimage_voffset``).
    :param page_offset: virtual address at which the map of all memory begins.
    :param phys_offset: the physical address that is mapped there.
    """

    voffset: int
    page_offset: int
    phys_offset: int

    @classmethod
    async def of(cls, agent: Agent) -> Self:
        """Of the machine that an agent runs in, as its kernel tells a crash dump (VMCOREINFO).

        :raises CapabilityError: it does not tell.
        """
        head = await agent.read(_CORE, most=_HEADERS)
        said = dict(re.findall(rb"^NUMBER\((\w+)\)=(-?\w+)$", head, re.MULTILINE))
        try:
            voffset, phys_offset, bits = (
                int(said[name], 0) for name in (b"kimage_voffset", b"PHYS_OFFSET", b"VA_BITS")
            )
        except KeyError as error:
            raise CapabilityError(
                f"{agent.level}'s kernel does not say where it is: no {error.args[0].decode()} in {_CORE}",
                hint="CONFIG_PROC_KCORE, CONFIG_VMCORE_INFO",
            ) from None
        return cls(voffset=voffset, page_offset=(1 << 64) - (1 << bits), phys_offset=phys_offset)

    def of_image(self, address: int) -> GuestPhysical:
        """The physical address of a symbol of the kernel's text or data."""
        return GuestPhysical((address - self.voffset) & _64_BITS)

    def of_memory(self, address: int) -> GuestPhysical:
        """The physical address of what the kernel has in its map of all memory, such as slab objects."""
        return GuestPhysical(address - self.page_offset + self.phys_offset)


async def symbol(agent: Agent, name: str) -> int:
    """A kernel symbol's virtual address.

    :raises CapabilityError: there is none of that name, or the agent may not see it.
    """
    found = await agent.run("grep", "-m", "1", f" {name}$", "/proc/kallsyms")
    address = int(found.text.split()[0], 16) if found.exit == 0 else 0
    if address == 0:
        raise CapabilityError(f"{agent.level}'s kernel has no symbol {name}", hint="CONFIG_KALLSYMS_ALL")
    return address
