# SPDX-License-Identifier: Apache-2.0
"""Faults that a victim brings upon itself: the access, or the system call, is the fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seabus.errors import MachineError
from seabus.faults import permission
from seabus.faults.fault import Receipt
from seabus.guest.touch import Touch
from seabus.observe.events import Event, Level
from seabus.world.world import World


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A victim reads an address that nobody answers, or has a page of its own poisoned.

    :param op: what it does, as in :meth:`seabus.guest.victim.Victim.touch`; of madvise(2) its advice.
    :param perform: lets it; None if nobody is left to answer.
    """

    level: Level
    op: str
    address: str
    perform: Callable[[], Awaitable[Touch | None]]

    def described(self) -> Mapping[str, Any]:
        return {"kind": self.op, "address": self.address, "address_space": f"{self.level} virtual"}

    async def put_in(self, world: World) -> Receipt | None:
        """The victim's own account is the receipt: it has no reason to hide what came of it.

        :raises MachineError: its kernel refused the system call, and nothing was broken.
        """
        await permission.ask_for_deed(world, self.level, self.op)
        world.broke = True
        touched = await self.perform()
        if touched is None:
            return None
        if self.op in permission.BREAKING_ADVICE and touched.errno is not None:
            raise MachineError(
                f"nothing was injected: {self.level}'s kernel refused the victim: {touched.outcome}",
                hint="an advice that breaks memory wants CAP_SYS_ADMIN, and memory that can be broken so",
            )
        return Receipt(witness=f"{self.level} victim", facts={self.op: touched.outcome})

    def receipt(self, event: Event) -> Receipt | None:
        """Nobody else tells of it."""
        del event
        return None
