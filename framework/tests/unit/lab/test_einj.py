# SPDX-License-Identifier: Apache-2.0
"""The protocol of EINJ's files, against a stand-in for its kernel: no emulated machine has such a table."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.channel.interface import CommandResult
from seabus.errors import CapabilityError, MachineError
from seabus.faults import einj
from seabus.faults.einj import FOLDER, Einj
from seabus.observe.events import Event

ADDRESS = HostPhysical(0x4_5678_9000)
TYPES = "0x00000008\tMemory Correctable\n0x00000010\tMemory Uncorrectable non-fatal\n"
NUMBERS = ("flags", "param1", "param2", "param3", "param4", "notrigger", "error_type")
_PAGE_MASK = 0xFFFF_FFFF_FFFF_F000
_MEMORY_TYPES = 0x38


class Einjector:
    """The files as the kernel keeps them (Linux drivers/acpi/apei/einj-core.c), all 0 after a boot.

    :param lacks: files that are not there.
    :param types: what its firmware can do.
    """

    def __init__(self, *lacks: str, types: str = TYPES) -> None:
        self.types = types
        self.files = {name: 0 for name in NUMBERS if name not in lacks}
        self.lacks = lacks
        self.written: list[tuple[str, str]] = []
        self.injected: list[dict[str, int]] = []
        self.busy = False

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = 0) -> CommandResult:
        del stdin, within
        path = PurePosixPath(argv[-1])
        assert str(path.parent) == FOLDER
        if argv[0] == "cat":
            text = self._read(path.name)
            good = text is not None
        else:
            assert argv[:3] == ("sh", "-c", 'echo "$1" >"$2"')
            self.written.append((path.name, argv[-2]))
            good, text = self._write(path.name, int(argv[-2], 0)), ""
        errors = b"" if good else b"Invalid argument\n"
        return CommandResult(
            argv=argv, exit=int(not good), signal=None, stdout=(text or "").encode(), stderr=errors
        )

    def _read(self, name: str) -> str | None:
        if name in self.lacks:
            return None
        return self.types if name == "available_error_type" else f"{self.files[name]:#x}\n"

    def _write(self, name: str, value: int) -> bool:
        if name == "error_inject":
            return self._inject()
        if name not in self.files:
            return False
        if name == "error_type" and (value & (value - 1) or not value & 0x18):  # einj_validate_error_type()
            return False
        self.files[name] = value
        return True

    def _inject(self) -> bool:
        """einj_error_inject(): what is asked for must make sense."""
        now = dict(self.files)
        if self.busy or now["error_type"] == 0 or now["flags"] & ~0xF:
            return False
        if now["error_type"] & _MEMORY_TYPES and now["param2"] & _PAGE_MASK != _PAGE_MASK:
            return False
        self.injected.append(now)
        return True


def inject(kernel: Einjector, **fields: object) -> None:
    async def play() -> None:
        fault = Einj(address=ADDRESS, **fields)  # type: ignore[arg-type]
        await einj.must_be_able(kernel, fault)  # type: ignore[arg-type]
        await einj.inject(kernel, fault)  # type: ignore[arg-type]

    asyncio.run(play())


@pytest.mark.parametrize("trigger", [True, False])
def test_firmware_is_asked_for_this_page(trigger: bool) -> None:
    kernel = Einjector()
    inject(kernel, trigger=trigger)
    (asked,) = kernel.injected
    assert asked == {
        "flags": 2,
        "param1": int(ADDRESS),
        "param2": _PAGE_MASK,
        "param3": 0,
        "param4": 0,
        "notrigger": int(not trigger),
        "error_type": 0x10,
    }


def test_after_a_boot_there_is_no_type_to_restore() -> None:
    """Nothing is refused, and all that has a meaning is as it was."""
    kernel = Einjector()
    inject(kernel)
    assert kernel.files == {**dict.fromkeys(NUMBERS, 0), "error_type": 0x10}


def test_what_others_had_set_is_restored() -> None:
    kernel = Einjector()
    before = {**dict(zip(NUMBERS, range(7), strict=True)), "error_type": 0x8}
    kernel.files |= before
    inject(kernel)
    assert kernel.files == before
    assert kernel.written[-1] == ("error_type", "0x8")


def test_a_value_that_cannot_be_restored_is_told_and_the_others_are() -> None:
    """Somebody had left a type that this kernel does not take."""
    kernel = Einjector()
    kernel.files |= {"error_type": 0x20, "flags": 4, "param1": 0x1000, "notrigger": 1}
    with pytest.raises(MachineError, match=r"not as they were: EINJ refuses error_type = 0x20"):
        inject(kernel)
    assert (kernel.files["flags"], kernel.files["param1"], kernel.files["notrigger"]) == (4, 0x1000, 1)
    assert len(kernel.injected) == 1


def test_a_type_that_firmware_has_not() -> None:
    kernel = Einjector()
    with pytest.raises(CapabilityError, match="cannot inject `Memory Uncorrectable fatal`"):
        inject(kernel, error_type=1 << 5)
    assert kernel.written == []


def test_a_host_without_einj() -> None:
    with pytest.raises(CapabilityError, match="has no EINJ"):
        inject(Einjector("available_error_type"))


@pytest.mark.parametrize("name", ["flags", "param1", "param2"])
def test_firmware_that_takes_no_address(name: str) -> None:
    kernel = Einjector(name)
    with pytest.raises(CapabilityError, match=f"has no {name}: its firmware cannot be told which page"):
        inject(kernel)
    assert kernel.written == []


def test_files_that_only_some_kernels_have() -> None:
    kernel = Einjector("param3", "param4")
    inject(kernel)
    assert len(kernel.injected) == 1


def test_a_refusal_leaves_the_files_as_they_were() -> None:
    kernel = Einjector()
    kernel.files |= {"param1": 0x1000, "error_type": 0x8}
    before, kernel.busy = dict(kernel.files), True
    with pytest.raises(MachineError, match="refuses error_inject"):
        inject(kernel)
    assert kernel.files == before


def test_who_has_the_means() -> None:
    def can(kernel: Einjector) -> bool:
        return asyncio.run(einj.can_break_memory(kernel))  # type: ignore[arg-type]

    assert can(Einjector())
    assert not can(Einjector("flags"))
    assert not can(Einjector("available_error_type"))
    assert not can(Einjector(types="0x00000008\tMemory Correctable\n"))


def test_the_receipt_is_this_page_and_no_other() -> None:
    fault = Einj(address=ADDRESS)

    def event(**fields: object) -> Event:
        kind = "ghes" if "physical_address" in fields else "memory_failure"
        return Event(level="L1", witness="w", kind=kind, clock_ns=0, fields=fields)  # type: ignore[arg-type]

    assert fault.receipt(event(pfn=0x456789))
    assert fault.receipt(event(physical_address=0x4_5678_9040))
    assert not fault.receipt(event(pfn=0x45678A))
    assert not fault.receipt(event(physical_address=0x4_5678_A000))
    assert not fault.receipt(event(physical_address=None))
