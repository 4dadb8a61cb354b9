# SPDX-License-Identifier: Apache-2.0
"""Capabilities that a scenario may need, each with the probe that asks the living world for it.

Versions are never asked for: a kernel without a feature says so itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from seabus.errors import CapabilityError, UsageError
from seabus.world.world import World


@dataclass(frozen=True, kw_only=True)
class Need:
    """One capability.

    :param script: shell, run at ``level``; it succeeds if the capability is there, and may load a module.
    :param reason: what is missing otherwise.
    """

    level: Literal["L1", "L2"]
    script: str
    reason: str


#: GHES drives one platform device for each source in HEST (Linux drivers/acpi/apei/hest.c).
_APEI: Final = "test -d /sys/bus/platform/drivers/GHES/GHES.0"

NEEDS: Final = {
    "hard-offline": Need(
        level="L1",
        script="test -w /sys/devices/system/memory/hard_offline_page",
        reason="no hard_offline_page (CONFIG_MEMORY_FAILURE, CONFIG_MEMORY_HOTPLUG)",
    ),
    "soft-offline": Need(
        level="L1",
        script="test -w /sys/devices/system/memory/soft_offline_page",
        reason="no soft_offline_page (CONFIG_MEMORY_FAILURE, CONFIG_MEMORY_HOTPLUG)",
    ),
    "hwpoison-inject": Need(
        level="L1",
        script="modprobe hwpoison-inject 2>/dev/null; test -w /sys/kernel/debug/hwpoison/corrupt-pfn",
        reason="no hwpoison/corrupt-pfn in debugfs (CONFIG_HWPOISON_INJECT)",
    ),
    "host-apei": Need(
        level="L1",
        script=_APEI,
        reason="the host's kernel takes no firmware records (no HEST, or APEI is switched off)",
    ),
    "guest-apei": Need(
        level="L2",
        script=_APEI,
        reason="the guest's kernel takes no records of its VMM (no HEST, or APEI is switched off)",
    ),
    "einj": Need(
        level="L1",
        script="test -d /sys/kernel/debug/apei/einj",
        reason="no apei/einj in debugfs (an EINJ table, CONFIG_ACPI_APEI_EINJ)",
    ),
}

#: All that a run may be told to require: what is probed, and what else is found missing as it is used.
NAMES: Final = (*NEEDS, "firmware-record", "kvm", "l2_backing", "restart-vmm")


async def has(world: World, need: Need) -> bool:
    """Whether the living world has a capability."""
    agent = world.l1 if need.level == "L1" else world.l2
    return (await agent.run("sh", "-c", need.script)).exit == 0


async def found(world: World) -> dict[str, bool]:
    """All of them, by name."""
    return {name: await has(world, NEEDS[name]) for name in sorted(NEEDS)}


async def require(world: World, names: Iterable[str]) -> None:
    """Probe capabilities.

    :raises CapabilityError: one is missing; the message names it and the probe.
    :raises UsageError: there is no such name.
    """
    for name in names:
        if name not in NEEDS:
            raise UsageError(f"there is no capability {name!r}", hint=f"one of {', '.join(sorted(NEEDS))}")
        need = NEEDS[name]
        if not await has(world, need):
            raise CapabilityError(
                f"{need.level}: {need.reason}", hint=f"probe: {need.script}", capability=name
            )
