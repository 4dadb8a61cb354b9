# SPDX-License-Identifier: Apache-2.0
"""Freezing: a booted world is brought to rest, prepared for its clones, and written to disk.

QEMU does not migrate EL2 timers (``docs/findings/0001-el2-timers-not-migrated.md``). A host kernel in
nVHE mode ticks on an EL1 timer, which is migrated. In VHE mode it ticks on an EL2 timer: after a restore
the kernel believes its timers armed, they are not, and it never arms them anew. So, before the freeze, a
timer on each CPU of L1 is set to a moment of the time of day; in each clone the time of day is set past
that moment (:data:`LEAP_NS`), upon which the kernel must program the timer of every such CPU again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seabus.world import migration
from seabus.world.world import EmulatedWorld, Parts

#: Both ends of a migration need the same.
CAPABILITIES: Final[dict[str, object]] = {
    "capabilities": [
        {"capability": "x-ignore-shared", "state": True},
        {"capability": "events", "state": True},
    ]
}
_REHEARSALS: Final = 2
_ANCHOR_NS: Final = 3000 * 1_000_000_000
#: By how much a clone of a VHE world sets its time of day forward.
LEAP_NS: Final = 2 * _ANCHOR_NS


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A world at rest on disk, from which clones are made.

    :param parts: the very emulator that froze it.
    :param ram: L1's whole memory; L2 and everything else runs inside it. Clones map it copy-on-write.
    :param state: the devices.
    :param notes: what the builder found out: versions, the VMM's pid, the hellos of both agents.
    """

    parts: Parts
    ram: Path
    state: Path
    notes: Mapping[str, Any]


async def quiesce(world: EmulatedWorld) -> None:
    """Bring a booted world to rest, ready to be frozen.

    What every clone does first is rehearsed, so that no clone has to fault those pages in.
    """
    for _ in range(_REHEARSALS):
        for agent in (world.l1, world.l2):
            await agent.request("hello")
            await agent.request("tick")
            victim = await agent.request("victim", kind="anon", pages=1)
            await agent.request("touch", victim=victim["victim"], offset=0, op="read", size=8)
            await agent.request("pagemap", pid=victim["pid"], address=victim["address"])
            await agent.request("end", victim=victim["victim"])
    if world.config.l1_mode == "vhe":
        await _anchor_timers(world)


async def _anchor_timers(world: EmulatedWorld) -> None:
    """Set a timer on each CPU of L1 to a moment that only a leap of the clock brings near."""
    world.l1.send("tick", anchored=True, ns=_ANCHOR_NS)
    await world.l1.request("clock")  # answered after it: the timers are set


async def freeze(world: EmulatedWorld, state: Path, *, within: float = 60) -> None:
    """Stop a world and write its devices to ``state``; its memory is in its file already.

    It stays stopped, so its memory stays what it is: kill its process, or :func:`thaw` it.

    :raises MachineError: QEMU could not write it.
    """
    await world.qmp.execute("stop")
    await migration.save(world.qmp, str(state), CAPABILITIES, within=within)


async def thaw(world: EmulatedWorld) -> None:
    """Let a frozen world run on. What was written of it is no longer of any use."""
    await world.qmp.execute("cont")
