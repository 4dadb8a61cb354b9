# SPDX-License-Identifier: Apache-2.0
"""Memory poison: a kernel is asked to treat a page as broken.

Each of these is one of the kernel's own test or administration interfaces (Linux
Documentation/mm/hwpoison.rst, Documentation/ABI/testing/sysfs-memory-page-offline).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.errors import AgentError, CapabilityError
from seabus.faults import permission
from seabus.faults.fault import Receipt
from seabus.observe.events import Event, Level
from seabus.world.world import World

_HARD_OFFLINE: Final = "/sys/devices/system/memory/hard_offline_page"
_SOFT_OFFLINE: Final = "/sys/devices/system/memory/soft_offline_page"
_CORRUPT: Final = "/sys/kernel/debug/hwpoison/corrupt-pfn"
_NO_FILE: Final = 2


@dataclass(frozen=True, kw_only=True)
class _HostPoison:
    """A page of L1 is poisoned by writing to one of its kernel's files."""

    address: HostPhysical
    level: Level = field(default="L1", init=False)

    @property
    def pfn(self) -> int:
        """The page frame of L1."""
        return self.address.pfn

    def described(self) -> Mapping[str, Any]:
        return {"kind": self.kind, "address": str(self.address), "address_space": "L1 physical"}

    def receipt(self, event: Event) -> Receipt | None:
        """memory_failure() dealt with this page frame."""
        if event.level != "L1" or event.kind != "memory_failure" or event.fields["pfn"] != self.address.pfn:
            return None
        return Receipt(witness=f"L1 {event.witness}", facts={"pfn": hex(self.address.pfn)})

    @property
    def kind(self) -> str:
        """What a lab file calls it."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class HardOffline(_HostPoison):
    """The administrator takes a page out of service (Linux drivers/base/memory.c, hard_offline_page)."""

    async def put_in(self, world: World) -> None:
        await _write(world, self, _HARD_OFFLINE, str(self.address))

    @property
    def kind(self) -> str:
        return "hard-offline"


@dataclass(frozen=True, kw_only=True)
class HwpoisonInject(_HostPoison):
    """The hwpoison injector is told a page frame (Linux mm/hwpoison-inject.c, corrupt-pfn)."""

    async def put_in(self, world: World) -> None:
        await _write(world, self, _CORRUPT, hex(self.address.pfn))

    @property
    def kind(self) -> str:
        return "hwpoison-inject"


@dataclass(frozen=True, kw_only=True)
class SoftOffline:
    """The administrator wants a page out of service while it can still be read: its content is moved."""

    address: HostPhysical
    level: Level = field(default="L1", init=False)

    @property
    def pfn(self) -> int:
        """The page frame of L1."""
        return self.address.pfn

    def described(self) -> Mapping[str, Any]:
        return {"kind": self.kind, "address": str(self.address), "address_space": "L1 physical"}

    @property
    def kind(self) -> str:
        """What a lab file calls it."""
        return "soft-offline"

    async def put_in(self, world: World) -> Receipt | None:
        """The kernel counts a page more that it does not use (``HardwareCorrupted`` of /proc/meminfo)."""
        before = await _corrupted_kib(world)
        await _write(world, self, _SOFT_OFFLINE, str(self.address))
        lost = await _corrupted_kib(world) - before
        if lost <= 0:
            return None
        return Receipt(witness="L1 /proc/meminfo", facts={"HardwareCorrupted": f"{lost} KiB more"})

    def receipt(self, event: Event) -> Receipt | None:
        """No event tells of it."""
        del event
        return None


async def _corrupted_kib(world: World) -> int:
    text = (await world.l1.read("/proc/meminfo")).decode()
    found = re.search(r"^HardwareCorrupted:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) if found else 0


async def _write(world: World, fault: _HostPoison | SoftOffline, path: str, text: str) -> None:
    await permission.ask(world, fault.kind, fault.pfn)
    try:
        await world.l1.write(path, text.encode(), append=True)
    except AgentError as error:
        if error.errno != _NO_FILE:
            raise
        raise CapabilityError(
            f"L1's kernel has no {path}", hint="CONFIG_MEMORY_FAILURE, CONFIG_HWPOISON_INJECT"
        ) from error
