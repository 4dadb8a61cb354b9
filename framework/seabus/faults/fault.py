# SPDX-License-Identifier: Apache-2.0
"""What every fault is: a value that can be put in, and recognise the proof that it landed.

Two families are never confused. A *firmware record* (:mod:`seabus.faults.record`) only says that something
is broken. *Memory poison* (:mod:`seabus.faults.poison`) makes a kernel treat a page as broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from seabus.observe.events import Event, Level
from seabus.world.world import World


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Proof that an injection landed: the target's own account of it.

    :param witness: who saw it, and where.
    :param facts: what the account says, such as the record's nonce or the page frame.
    """

    witness: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"{self.witness} reports {told}"


class Fault(Protocol):
    """Something that goes wrong, once."""

    @property
    def level(self) -> Level:
        """Where it is put in."""

    def described(self) -> Mapping[str, Any]:
        """The fault for a result file: at least ``kind``, and ``address`` with its ``address_space``."""

    async def put_in(self, world: World) -> Receipt | None:
        """Let it happen. That this returns proves nothing, unless it returns a receipt.

        Whatever breaks something of the host asks for leave first (:mod:`seabus.faults.permission`).

        :raises CapabilityError: this world has no means for it, or its host must not be broken so.
        """

    def receipt(self, event: Event) -> Receipt | None:
        """What an event proves: this very fault landed, or nothing."""
