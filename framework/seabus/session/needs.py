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
    "einj": Need(
        level="L1",
        script="test -d /sys/kernel/debug/apei/einj",
        reason="no apei/einj in debugfs (an EINJ table, CONFIG_ACPI_APEI_EINJ)",
    ),
}


async def require(world: World, names: Iterable[str]) -> None:
    """Probe capabilities.

    :raises CapabilityError: one is missing; the message names it and the probe.
    :raises UsageError: there is no such name.
    """
    for name in names:
        if name not in NEEDS:
            raise UsageError(f"there is no capability {name!r}", hint=f"one of {', '.join(sorted(NEEDS))}")
        need = NEEDS[name]
        agent = world.l1 if need.level == "L1" else world.l2
        if (await agent.run("sh", "-c", need.script)).exit != 0:
            raise CapabilityError(
                f"{need.level}: {need.reason}", hint=f"probe: {need.script}", capability=name
            )
