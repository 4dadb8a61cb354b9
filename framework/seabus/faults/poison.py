# SPDX-License-Identifier: Apache-2.0
"""Memory poison: a kernel is asked to treat a page as broken.

Each of these is one of the kernel's own test or administration interfaces (Linux
Documentation/mm/hwpoison.rst, Documentation/ABI/testing/sysfs-memory-page-offline).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from seabus.arch.addresses import GuestPhysical, HostPhysical
from seabus.channel.agent import Agent
from seabus.errors import AgentError, CapabilityError, MachineError
from seabus.faults.fault import Receipt
from seabus.guest.victim import Victim
from seabus.observe.events import Event, Level
from seabus.world.world import World

_HARD_OFFLINE: Final = "/sys/devices/system/memory/hard_offline_page"
_SOFT_OFFLINE: Final = "/sys/devices/system/memory/soft_offline_page"
_CORRUPT: Final = "/sys/kernel/debug/hwpoison/corrupt-pfn"
_NO_FILE: Final = 2


@dataclass(frozen=True, kw_only=True)
class _Poison:
    """A page of L1 or L2, as its address says, is poisoned by that level's own kernel."""

    address: HostPhysical | GuestPhysical

    @property
    def level(self) -> Level:
        return "L1" if isinstance(self.address, HostPhysical) else "L2"

    def described(self) -> Mapping[str, Any]:
        space = f"{self.level} physical"
        return {"kind": self._kind(), "address": str(self.address), "address_space": space}

    def receipt(self, event: Event) -> Receipt | None:
        """memory_failure() dealt with this page frame."""
        if (event.level, event.kind) != (self.level, "memory_failure"):
            return None
        if event.fields["pfn"] != self.address.pfn:
            return None
        return Receipt(witness=f"{self.level} {event.witness}", facts={"pfn": hex(self.address.pfn)})

    def _agent(self, world: World) -> Agent:
        return world.l1 if self.level == "L1" else world.l2

    def _kind(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class HardOffline(_Poison):
    """The administrator takes a page out of service (Linux drivers/base/memory.c, hard_offline_page)."""

    async def put_in(self, world: World) -> None:
        await _write(self._agent(world), _HARD_OFFLINE, str(self.address))

    def _kind(self) -> str:
        return "hard-offline"


@dataclass(frozen=True, kw_only=True)
class HwpoisonInject(_Poison):
    """The hwpoison injector is told a page frame (Linux mm/hwpoison-inject.c, corrupt-pfn)."""

    async def put_in(self, world: World) -> None:
        await _write(self._agent(world), _CORRUPT, hex(self.address.pfn))

    def _kind(self) -> str:
        return "hwpoison-inject"


@dataclass(frozen=True, kw_only=True)
class Advised(_Poison):
    """A process poisons a page of its own: madvise(2), MADV_HWPOISON (Linux mm/madvise.c).

    What it hears of it is asked of the victim, by ``hears()``.

    :param address: of the page, physical, at the victim's level.
    :param offset: of the page in the victim's memory, in bytes.
    """

    victim: Victim
    offset: int = 0

    async def put_in(self, world: World) -> None:
        del world
        await _advise(self.victim, self.offset, "hwpoison")

    def _kind(self) -> str:
        return "madvise-hwpoison"


@dataclass(frozen=True, kw_only=True)
class SoftOffline(_Poison):
    """The administrator wants a page out of service while it can still be read: its content is moved."""

    async def put_in(self, world: World) -> Receipt | None:
        """The kernel counts a page more that it does not use (``HardwareCorrupted`` of /proc/meminfo)."""
        agent = self._agent(world)
        before = await _corrupted_kib(agent)
        await self._ask(agent)
        lost = await _corrupted_kib(agent) - before
        if lost <= 0:
            return None
        return Receipt(witness=f"{self.level} /proc/meminfo", facts={"HardwareCorrupted": f"{lost} KiB more"})

    def receipt(self, event: Event) -> Receipt | None:
        """No event tells of it."""
        del event
        return None

    async def _ask(self, agent: Agent) -> None:
        await _write(agent, _SOFT_OFFLINE, str(self.address))

    def _kind(self) -> str:
        return "soft-offline"


@dataclass(frozen=True, kw_only=True)
class AdvisedSoftly(SoftOffline):
    """The same, by a process of its own page: madvise(2), MADV_SOFT_OFFLINE.

    :param offset: of the page in the victim's memory, in bytes.
    """

    victim: Victim
    offset: int = 0

    async def _ask(self, agent: Agent) -> None:
        del agent
        await _advise(self.victim, self.offset, "soft-offline")

    def _kind(self) -> str:
        return "madvise-soft-offline"


async def _advise(victim: Victim, offset: int, advice: Literal["hwpoison", "soft-offline"]) -> None:
    touched = await victim.touch(op="madvise", offset=offset, advice=advice)
    if touched.errno is not None:
        raise MachineError(
            f"{victim.agent.level}'s kernel refused MADV_{advice.upper().replace('-', '_')}:"
            f" {os.strerror(touched.errno)}",
            hint="CONFIG_MEMORY_FAILURE, and CAP_SYS_ADMIN",
        )


async def _corrupted_kib(agent: Agent) -> int:
    text = (await agent.read("/proc/meminfo")).decode()
    found = re.search(r"^HardwareCorrupted:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) if found else 0


async def _write(agent: Agent, path: str, text: str) -> None:
    try:
        await agent.write(path, text.encode(), append=True)
    except AgentError as error:
        if error.errno != _NO_FILE:
            raise
        raise CapabilityError(
            f"{agent.level}'s kernel has no {path}", hint="CONFIG_MEMORY_FAILURE, CONFIG_HWPOISON_INJECT"
        ) from error
