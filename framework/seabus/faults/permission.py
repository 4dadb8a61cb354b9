# SPDX-License-Identifier: Apache-2.0
"""Leave to break a host, asked right before anything is written: a lab host's owner may not give it."""

from __future__ import annotations

from typing import Final

from seabus.observe.events import Level
from seabus.world.world import World

#: What a victim does that breaks memory of the kernel it runs on, by what a lab file calls it. Loads and
#: stores break nothing.
BREAKING_ADVICE: Final = {"hwpoison": "madvise", "soft-offline": "madvise"}


async def ask(world: World, kind: str, pfn: int | None = None) -> None:
    """Ask whether the host may be broken in this way; from then on it may have been.

    :param kind: as in a lab file's ``faults``.
    :param pfn: the page frame of the host, where it is known.
    :raises HostError: it must not be; nothing was broken.
    """
    await world.permit(kind, pfn)
    world.broke = True


async def ask_for_deed(world: World, level: Level, advice: str | None) -> None:
    """The same for what a victim is about to do: a guest may be broken without leave.

    :param advice: of its madvise(2).
    """
    kind = BREAKING_ADVICE.get(advice or "")
    if kind and level == "L1":
        await ask(world, kind)
    elif kind:
        world.broke = True
