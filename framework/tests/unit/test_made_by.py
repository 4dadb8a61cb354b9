# SPDX-License-Identifier: Apache-2.0
"""A frozen world is refused by anything but what made it, in a sentence that names the difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seabus.errors import CloneError
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.machine.config import WorldConfig
from seabus.world import made_by, restore
from seabus.world.freeze import Frozen
from seabus.world.world import Parts

PARTS = Parts(
    command=["/no/such/emulator"],
    firmware=Path("/no/such/firmware"),
    config=WorldConfig(),
    capabilities=EmulatorCapabilities(version="11.1.3", machine="virt-11.1", monitor_object=True),
    builds={
        "build of QEMU": "aa",
        "firmware": "bb",
        "kernel of L1": "cc",
        "kernel of L2": "dd",
        "VMM of L1": "ff",
    },
)


def configured(**fields: Any) -> Parts:  # noqa: ANN401 - WorldConfig's
    return replace(PARTS, config=replace(PARTS.config, **fields))


def built(name: str) -> Parts:
    return replace(PARTS, builds={**PARTS.builds, name: "ee"})


OTHERS: dict[str, Callable[[], Parts]] = {
    "the CPU model was lean and is full": lambda: configured(l0_cpu="full"),
    "the number of CPUs was 2 and is 4": lambda: configured(l1_cpus=4),
    "the MiB of memory was 2048 and is 4096": lambda: configured(l1_memory_mib=4096),
    "the version of QEMU was 11.1.3 and is 11.2.0": lambda: replace(
        PARTS, capabilities=replace(PARTS.capabilities, version="11.2.0")
    ),
    "the machine type was virt-11.1 and is virt-11.0": lambda: replace(
        PARTS, capabilities=replace(PARTS.capabilities, machine="virt-11.0")
    ),
    "the build of QEMU was aa and is ee": lambda: built("build of QEMU"),
    "the firmware was bb and is ee": lambda: built("firmware"),
    "the kernel of L1 was cc and is ee": lambda: built("kernel of L1"),
    "the kernel of L2 was dd and is ee": lambda: built("kernel of L2"),
    "the VMM of L1 was ff and is ee": lambda: built("VMM of L1"),
    "the set of libraries of QEMU was unknown and is ee": lambda: built("set of libraries of QEMU"),
    "the GHES of L1 was on and is off": lambda: configured(l1_ras=False),
    "the KVM mode of L1 was nvhe and is vhe": lambda: replace(PARTS, config=WorldConfig(l1_mode="vhe")),
    "the added command line of L1 was empty and is quiet": lambda: configured(l1_append="quiet"),
    "the number of CPUs of L2 was 1 and is 2": lambda: configured(l2_cpus=2),
    "the MiB of memory of L2 was 512 and is 768": lambda: configured(l2_memory_mib=768),
    "the backing of L2 was 4k and is thp": lambda: configured(l2_backing="thp"),
    "the GHES of L2 was on and is off": lambda: configured(l2_ras=False),
    "the added command line of L2 was empty and is quiet": lambda: configured(l2_append="quiet"),
}


@pytest.mark.parametrize("sentence", sorted(OTHERS))
def test_another_part_is_refused(sentence: str, tmp_path: Path) -> None:
    """Before anything is started: the emulator named here does not exist."""
    nothing = tmp_path / "nothing"
    frozen = Frozen(
        parts=OTHERS[sentence](),
        ram=nothing,
        state=nothing,
        notes={"made_by": made_by.made_by(PARTS), "vmm_pid": 1},
    )

    async def clone() -> None:
        async with restore.cloned(frozen, artefacts=tmp_path, purpose="test"):
            raise AssertionError("it was cloned")

    with pytest.raises(CloneError, match=sentence) as refused:
        asyncio.run(clone())
    assert ";" not in refused.value.message, "one difference is told as one"
    assert refused.value.hint


def test_other_devices_are_refused() -> None:
    made = made_by.made_by(PARTS)
    assert "virtserialport" in made["devices"]
    with pytest.raises(CloneError, match="the devices was nothing else and is virtio"):
        made_by.check({**made, "devices": "nothing else"}, PARTS)


def test_the_same_parts_are_not_refused() -> None:
    made_by.check(made_by.made_by(PARTS), replace(PARTS, command=["elsewhere"], firmware=Path("elsewhere")))


def test_a_world_of_an_older_seabus_is_refused() -> None:
    with pytest.raises(CloneError, match="the machine type was unknown"):
        made_by.check({}, PARTS)
