# SPDX-License-Identifier: Apache-2.0
"""What a kernel says a page frame is: /proc/kpageflags (Linux Documentation/admin-guide/mm/pagemap.rst)."""

from __future__ import annotations

import struct
from typing import Final

from seabus.arch.addresses import GuestPhysical, HostPhysical
from seabus.channel.agent import Agent
from seabus.errors import MachineError

_FILE: Final = "/proc/kpageflags"
_ENTRY: Final = 8
_AT_ONCE: Final = 1 << 15  # frames
#: By bit number (Linux include/uapi/linux/kernel-page-flags.h).
NAMES: Final = (
    *("locked", "error", "referenced", "uptodate", "dirty", "lru", "active", "slab", "writeback"),
    *("reclaim", "buddy", "mmap", "anon", "swapcache", "swapbacked", "compound-head", "compound-tail"),
    *("huge", "unevictable", "hwpoison", "nopage", "ksm", "thp", "offline", "zero-page", "idle", "pgtable"),
)


async def page_flags(agent: Agent, address: GuestPhysical | HostPhysical) -> frozenset[str]:
    """The flags of the frame at a physical address of the agent's own machine, by name.

    :raises MachineError: there is no such frame.
    """
    data = await agent.read(_FILE, offset=address.pfn * _ENTRY, most=_ENTRY)
    if len(data) < _ENTRY:
        raise MachineError(f"{agent.level}: {_FILE} has no frame {address.pfn:#x}")
    return _names(struct.unpack_from("<Q", data)[0])


async def first_frame(agent: Agent, *, flag: str, start: int, end: int) -> int:
    """The first page frame that has a flag.

    :param start: the frame to begin at; ``end`` is behind the last.
    :raises MachineError: there is none.
    """
    bit = 1 << NAMES.index(flag)
    for first in range(start, end, _AT_ONCE):
        count = min(_AT_ONCE, end - first)
        data = await agent.read(_FILE, offset=first * _ENTRY, most=count * _ENTRY)
        for number, (word,) in enumerate(struct.iter_unpack("<Q", data[: count * _ENTRY])):
            if word & bit:
                return first + number
    raise MachineError(f"{agent.level}: no frame from {start:#x} to {end:#x} has the flag {flag}")


def _names(word: int) -> frozenset[str]:
    return frozenset(name for bit, name in enumerate(NAMES) if word >> bit & 1)
