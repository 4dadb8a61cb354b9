# SPDX-License-Identifier: Apache-2.0
"""Where the pages of victims lie, in all address spaces; that one has moved since is an event."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from seabus.arch.addresses import GuestPhysical, HostPhysical
from seabus.errors import DeadlineError, MachineError
from seabus.guest.translate import Addresses, frame, translate
from seabus.guest.victim import Victim
from seabus.observe.events import Kind, Level
from seabus.patience import STEP, deadline
from seabus.world.world import World


class Tell(Protocol):
    """Notes an event: :meth:`seabus.session.stage.Stage.add`."""

    def __call__(
        self, level: Level, witness: str, kind: Kind, fields: Mapping[str, Any], text: str
    ) -> None: ...


class Whereabouts:
    """See the module.

    :param struck: whether there was a fault: without one nothing moves, and nobody waits for it.
    """

    def __init__(self, world: World, tell: Tell, struck: Callable[[], bool]) -> None:
        self._world = world
        self._tell = tell
        self._struck = struck
        self._known: dict[tuple[int, int], Addresses] = {}
        #: Where each page was found first, in the order of asking.
        self.found: list[Addresses] = []

    def forget(self) -> None:
        """The guest has booted anew: nothing is where it was."""
        self._known.clear()

    async def locate(self, victim: Victim, *, offset: int = 0) -> Addresses:
        """A page of a victim of L2 in all its address spaces."""
        addresses = await translate(
            victim.address + offset,
            victim.pid,
            l2=self._world.l2,
            l2_qmp=self._world.l2_qmp,
            l1=self._world.l1,
            vmm_pid=self._world.vmm_pid,
        )
        before = self._known.get((victim.handle, offset))
        if before is None:
            self.found.append(addresses)
        elif before.guest_physical != addresses.guest_physical:
            self._moved("L2", before.guest_physical, addresses.guest_physical)
        elif before.host_physical != addresses.host_physical:
            self._moved("L1", before.host_physical, addresses.host_physical)
        self._known[victim.handle, offset] = addresses
        return addresses

    async def moves(self, victim: Victim, *, offset: int = 0) -> None:
        """Wait until a page that was located lies elsewhere; not in a negative control."""
        before = self._known[victim.handle, offset].host_physical
        with contextlib.suppress(DeadlineError):
            async with deadline(STEP if self._struck() else 0.1, "the page to be moved"):
                while self._known[victim.handle, offset].host_physical == before:
                    with contextlib.suppress(MachineError):  # it is nowhere while it is moved
                        await self.locate(victim, offset=offset)

    async def of_host(self, victim: Victim, *, offset: int = 0) -> HostPhysical:
        """The page of L1 behind a victim that is a process of L1."""
        return HostPhysical(await frame(self._world.l1, victim.pid, int(victim.address) + offset))

    def _moved(
        self, level: Level, before: GuestPhysical | HostPhysical, now: GuestPhysical | HostPhysical
    ) -> None:
        fields = {"pfn": before.pfn, "to_pfn": now.pfn}
        self._tell(level, "pagemap", "moved", fields, f"the page moved from {before} to {now}")
