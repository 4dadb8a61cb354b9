# SPDX-License-Identifier: Apache-2.0
"""The protocol of EINJ's files, against a shell that keeps them: no emulated machine has an EINJ table."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seabus.arch.addresses import HostPhysical
from seabus.channel.interface import CommandResult
from seabus.errors import CapabilityError, MachineError
from seabus.faults import einj
from seabus.faults.einj import Einj
from seabus.observe.events import Event

BEFORE = {"error_type": "0x8", "flags": "0x0", "param1": "0x1000", "param2": "0x0", "notrigger": "0x1"}
TYPES = "0x00000008\tMemory Correctable\n0x00000010\tMemory Uncorrectable non-fatal\n"


class Shell:
    """Runs commands here, and remembers what was written, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[tuple[str, str]] = []

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = 0) -> CommandResult:
        del stdin, within
        if argv[0] == "sh":
            self.written.append((Path(argv[-1]).name, argv[-2]))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
        output, errors = await process.communicate()
        return CommandResult(argv=argv, exit=process.returncode, signal=None, stdout=output, stderr=errors)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "available_error_type").write_text(TYPES)
    for name, text in BEFORE.items():
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "error_inject").touch()
    return Shell(tmp_path)


def inject(shell: Shell, **fields: object) -> None:
    fault = Einj(address=HostPhysical(0x4_5678_9000), folder=str(shell.folder), **fields)  # type: ignore[arg-type]
    asyncio.run(einj.inject(shell, fault))  # type: ignore[arg-type]


@pytest.mark.parametrize(("trigger", "notrigger"), [(True, "0x0"), (False, "0x1")])
def test_the_files_are_filled_in_asked_and_restored(shell: Shell, trigger: bool, notrigger: str) -> None:
    inject(shell, trigger=trigger)
    assert shell.written[:6] == [
        ("error_type", "0x10"),
        ("flags", "0x2"),
        ("param1", str(HostPhysical(0x4_5678_9000))),
        ("param2", "0xfffffffffffff000"),
        ("notrigger", notrigger),
        ("error_inject", "1"),
    ]
    assert dict(shell.written[6:]) == BEFORE
    assert {name: (shell.folder / name).read_text().strip() for name in BEFORE} == BEFORE


def test_a_type_that_firmware_has_not(shell: Shell) -> None:
    with pytest.raises(CapabilityError, match="cannot inject `Memory Uncorrectable fatal`"):
        inject(shell, error_type=1 << 5)
    assert shell.written == []


def test_a_host_without_einj(tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="has no EINJ"):
        inject(Shell(tmp_path / "nowhere"))


def test_a_refusal_leaves_the_files_as_they_were(shell: Shell) -> None:
    (shell.folder / "error_inject").unlink()
    (shell.folder / "error_inject").mkdir()
    with pytest.raises(MachineError, match="refuses error_inject"):
        inject(shell)
    assert {name: (shell.folder / name).read_text().strip() for name in BEFORE} == BEFORE


def test_the_receipt_is_this_page_and_no_other() -> None:
    fault = Einj(address=HostPhysical(0x4_5678_9000))

    def event(**fields: object) -> Event:
        kind = "ghes" if "physical_address" in fields else "memory_failure"
        return Event(level="L1", witness="w", kind=kind, clock_ns=0, fields=fields)  # type: ignore[arg-type]

    assert fault.receipt(event(pfn=0x456789))
    assert fault.receipt(event(physical_address=0x4_5678_9040))
    assert not fault.receipt(event(pfn=0x45678A))
    assert not fault.receipt(event(physical_address=0x4_5678_A000))
    assert not fault.receipt(event(physical_address=None))
