# SPDX-License-Identifier: Apache-2.0
"""Blocks of physical memory that belong to one victim alone, so that to lose one hits nobody else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from seabus.guest.victim import Victim

_AT_ONCE = 512
_PAGE = 4096


@dataclass(frozen=True, kw_only=True)
class Block:
    """One aligned block of its machine's physical memory.

    :param start: physical, in the victim's own machine.
    :param offsets: in the victim's memory, of the block's pages, in order of physical addresses.
    """

    start: int
    offsets: tuple[int, ...]


async def own_blocks(victim: Victim, size: int) -> list[Block]:
    """The aligned blocks of ``size`` bytes that the victim has all pages of."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    pages = victim.length // _PAGE
    for first in range(0, pages, _AT_ONCE):
        some = await victim.agent.request(
            "pagemap",
            pid=victim.pid,
            address=hex(int(victim.address) + first * _PAGE),
            count=min(_AT_ONCE, pages - first),
        )
        for page in some["pages"]:
            at = int(page["pfn"], 16) * _PAGE
            found[at // size][at % size] = int(page["address"], 16) - int(victim.address)
    return [
        Block(start=number * size, offsets=tuple(offsets[at] for at in sorted(offsets)))
        for number, offsets in sorted(found.items())
        if number and len(offsets) == size // _PAGE
    ]
