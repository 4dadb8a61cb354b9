# SPDX-License-Identifier: Apache-2.0
"""Victims: processes in the guest that own memory and touch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from seabus.arch.addresses import GuestVirtual
from seabus.arch.sigbus import SigbusInfo
from seabus.channel.agent import Agent
from seabus.errors import MachineError
from seabus.patience import STEP

#: What a write writes, cut to its size.
_WRITTEN: Final = 0x5EAB_0500_DEAD_BEEF


@dataclass(frozen=True, kw_only=True)
class Touch:
    """What came of one access: a value, a signal, or the victim's death - exactly one of them.

    :param value: what was read or written.
    :param intact: whether a value read is what the victim had put there.
    :param clock_ns: when, on the guest's CLOCK_MONOTONIC.
    """

    value: int | None = None
    intact: bool | None = None
    signal: SigbusInfo | None = None
    died: Mapping[str, Any] | None = None
    clock_ns: int = 0

    @property
    def outcome(self) -> str:
        """One phrase for people."""
        if self.signal is not None:
            return str(self.signal)
        if self.died is not None:
            return f"the victim died: {dict(self.died)}"
        return "went through" if self.intact else "went through with a WRONG value"


@dataclass(frozen=True, kw_only=True)
class Victim:
    """One process of the guest's agent that owns freshly mapped, written memory.

    :param address: the start of its memory, guest virtual.
    """

    agent: Agent
    handle: int
    pid: int
    tid: int
    address: GuestVirtual
    length: int

    @classmethod
    async def make(cls, agent: Agent, *, pages: int = 1, kind: str = "anon") -> Victim:
        """A new victim."""
        reply = await agent.request("victim", kind=kind, pages=pages)
        return cls(
            agent=agent,
            handle=reply["victim"],
            pid=reply["pid"],
            tid=reply["tid"],
            address=GuestVirtual(int(reply["address"], 16)),
            length=reply["length"],
        )

    async def touch(self, *, offset: int = 0, op: Literal["read", "write"] = "read", size: int = 8) -> Touch:
        """Make the access at EL0, in the victim's own context.

        :raises MachineError: the victim did not come back from it.
        """
        try:
            reply = await self.agent.request(
                "touch",
                within=STEP,
                victim=self.handle,
                offset=offset,
                op=op,
                size=size,
                value=hex(_WRITTEN & ((1 << 8 * size) - 1)) if op == "write" else None,
            )
        except MachineError as error:
            error.details.setdefault("waiting for", f"victim {self.pid} to {op} {self.address}")
            raise
        clock_ns = int(reply.get("mono_ns", 0))
        if "signal" in reply:
            return Touch(signal=SigbusInfo.from_mapping(reply["signal"]), clock_ns=clock_ns)
        if "died" in reply:
            return Touch(died=reply["died"], clock_ns=clock_ns)
        value = int(reply["value"], 16)
        return Touch(
            value=value,
            intact=op == "write" or value == int(reply["expected"], 16),
            clock_ns=clock_ns,
        )
