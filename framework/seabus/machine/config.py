# SPDX-License-Identifier: Apache-2.0
"""What a world is made of: the parameters a user may choose, with the defaults that are fastest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from seabus.errors import UsageError

#: Which KVM the host kernel runs: the kernel's half at EL2 (vhe) or EL1 with a stub at EL2 (nvhe).
KvmMode = Literal["nvhe", "vhe"]
#: "lean" leaves out what costs emulation time and no RAS test needs; "full" is ``-cpu max``.
CpuChoice = Literal["lean", "full"]
#: What L1 backs the guest's memory with. A transparent huge page is split when one of its pages fails, and
#: that may not succeed (docs/findings/0002): choose it to test that, not by accident. A page of hugetlbfs is
#: lost as a whole. A memfd is shared memory, which other processes of L1 may map as well.
Backing = Literal["4k", "thp", "hugetlb-2M", "hugetlb-1G", "memfd"]


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """The parameters of a nested world; equal configurations share one template.

    :param l1_memory_mib: physical memory of L1, in MiB; L2's memory comes out of it.
    :param l1_kernel: an arm64 ``Image`` in place of the packaged one; likewise the other paths.
    """

    l0_cpu: CpuChoice = "lean"
    l0_qemu: Path | None = None
    l1_mode: KvmMode = "nvhe"
    l1_cpus: int = 2
    l1_memory_mib: int = 2048
    l1_kernel: Path | None = None
    l1_initrd: Path | None = None
    l1_qemu: Path | None = None
    l1_ras: bool = True
    l1_append: str = ""
    l2_backing: Backing = "4k"
    l2_cpus: int = 1
    l2_memory_mib: int = 512
    l2_kernel: Path | None = None
    l2_initrd: Path | None = None
    l2_ras: bool = True
    l2_append: str = ""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("l1_cpus", 1, 8),
            ("l2_cpus", 1, 8),
            ("l1_memory_mib", 1024, 65536),
            ("l2_memory_mib", 256, 32768),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name}={value} is out of range", hint=f"{low} to {high}")
        if self.l2_memory_mib + 512 > self.l1_memory_mib:
            raise UsageError(
                f"L2's {self.l2_memory_mib} MiB do not fit into L1's {self.l1_memory_mib} MiB",
                hint="L1 needs at least 512 MiB more than L2",
            )
        if self.l1_mode == "vhe" and self.l1_cpus < 2:
            raise UsageError(
                "a host in VHE mode can only be cloned with at least two CPUs",
                hint="l1_cpus=2; see docs/findings/0001-el2-timers-not-migrated.md",
            )
        if self.l2_backing not in get_args(Backing):
            raise UsageError(f"l2_backing={self.l2_backing} is not known", hint=f"one of {get_args(Backing)}")
        if self.l2_backing == "hugetlb-1G" and self.l2_memory_mib % 1024:
            raise UsageError(
                f"L2's {self.l2_memory_mib} MiB are not made of pages of 1 GiB",
                hint="l2_memory_mib=1024, l1_memory_mib=3072",
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Path) and not value.is_file():
                raise UsageError(f"there is no file {value}", hint=f"it was given as {field.name}")


def as_text(config: WorldConfig) -> dict[str, str]:
    """What is not as it is by itself, as it is written; :func:`of_text` reads it."""
    default = WorldConfig()
    return {
        field.name: str(getattr(config, field.name))
        for field in fields(WorldConfig)
        if getattr(config, field.name) != getattr(default, field.name)
    }


def of_text(written: Mapping[str, str]) -> WorldConfig:
    """A configuration as :func:`as_text` writes it."""
    values: dict[str, Any] = {name: value_of(name, text) for name, text in written.items()}
    return WorldConfig(**values)


def field_of(name: str) -> Field[Any]:
    """A parameter by its name.

    :raises UsageError: a world has none of that name.
    """
    for field in fields(WorldConfig):
        if field.name == name:
            return field
    names = ", ".join(field.name for field in fields(WorldConfig))
    raise UsageError(f"a world has no {name!r}", hint=f"one of {names}")


def value_of(name: str, text: str) -> object:
    """A parameter's value as it is written.

    :raises UsageError: a world has no such parameter, or it no such value.
    """
    default = field_of(name).default
    if isinstance(default, bool):
        if text.lower() not in ("on", "off", "true", "false"):
            raise UsageError(f"{name}={text} is neither on nor off")
        return text.lower() in ("on", "true")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"{name}={text} is not a number") from None
    return Path(text) if default is None else text
