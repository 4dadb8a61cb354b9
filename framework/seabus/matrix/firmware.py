# SPDX-License-Identifier: Apache-2.0
"""Firmware-first at EL3, in four steps: EL0 to EL3, an error record, EL3 to EL2, EL2 to the guest's EL1.

``images/monitor`` runs on an emulated machine of its own. TCG takes an External abort to EL1 whatever
SCR_EL3.EA says; then EL1 hands it to the monitor by SMC, the first step is unreachable, and the others
are as they would be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from seabus.arch.addresses import GuestVirtual
from seabus.arch.cper import MemorySection, Severity, decode_status_block
from seabus.arch.expected_abort import Abort, Access, Injector, Origin, predict_abort
from seabus.arch.malformed import MalformedRecord
from seabus.errors import MachineError
from seabus.machine.process import EmulatorProcess
from seabus.matrix.judge import Answer, Status
from seabus.matrix.question import Question
from seabus.patience import deadline

_NOBODY: Final = 0x0F00_0000
_WITHIN: Final = 20.0
_MEMORY_MIB: Final = 256
_LOG_MIB: Final = 16
_LEVEL: Final = re.compile(
    r"(?P<level>EL\d) (?P<how>\w+) vector=(?P<vector>\w+) esr=(?P<esr>\w+) far=(?P<far>\w+)"
    r" elr=(?P<elr>\w+) spsr=(?P<spsr>\w+) daif=(?P<daif>\w+)"
)
_RECORD: Final = re.compile(r"record=([0-9a-f]+)")
_REGISTERS: Final = ("vector", "esr", "far", "elr", "spsr", "daif")
_NOT_ROUTED: Final = (
    "TCG takes an External abort to EL1 though SCR_EL3.EA is 1 (QEMU target/arm/tcg/tlb_helper.c,"
    " arm_cpu_do_transaction_failed()); EL1 hands it over by SMC"
)
STEPS: Final = ("EL0 to EL3", "the error record", "EL3 to EL2", "EL2 to the guest")


async def ask_firmware(command: Sequence[str], image: Path, *, artefacts: Path) -> list[Answer]:
    """Let the monitor run to its end, and judge each step.

    :param command: the start of an emulator's argv.
    :param image: the ELF file (:mod:`seabus.images.monitor`).
    :param artefacts: receives the serial line and the emulator's log.
    :raises MachineError: it did not end by itself.
    """
    serial, log = artefacts / "monitor-serial.txt", artefacts / "monitor-exceptions.log"
    argv = [
        *command,
        "-nodefaults", "-no-user-config",
        "-display", "none",
        "-machine", "virt,secure=on,virtualization=on",
        "-cpu", "max",
        "-m", f"{_MEMORY_MIB}M",
        "-serial", f"file:{serial}",
        "-kernel", str(image),
        "-semihosting-config", "enable=on,target=native",  # how the monitor ends the machine
        "-d", "int", "-D", str(log),
    ]  # fmt: skip
    process = await EmulatorProcess.start(
        argv,
        descriptors=(),
        stderr=artefacts / "monitor-emulator.log",
        memory_mib=_MEMORY_MIB,
        file_mib=_LOG_MIB,
    )
    try:
        async with deadline(_WITHIN, "the EL3 monitor to end its machine"):
            status = await process.ended()
    finally:
        await process.kill()
    text = serial.read_text(errors="backslashreplace") if serial.exists() else ""
    if status != 0:
        raise MachineError(
            f"the EL3 monitor ended with status {status}",
            details={"serial line": text, "emulator": process.last_words()},
        )
    return judge_firmware(text, log.read_text(errors="backslashreplace"))


def judge_firmware(serial: str, log: str) -> list[Answer]:
    """Judge what the levels said on the serial line, with the emulator's log of exceptions as witness."""
    told = {
        (match["level"], match["how"]): {name: int(match[name], 16) for name in _REGISTERS}
        for match in _LEVEL.finditer(serial)
    }
    return [
        _first(told, log),
        _record(serial),
        _entered("EL3 to EL2", told, ("EL2", "entered"), log, "EL3 to AArch64 EL2"),
        _entered("EL2 to the guest", told, ("EL1", "injected"), log, "EL2 to AArch64 EL1"),
    ]


def _expected(elr: int) -> dict[str, int]:
    """The same at every level: each is entered as if it had taken the load at EL0 itself."""
    abort = predict_abort(Abort(Origin.EL0, Access.LOAD, GuestVirtual(_NOBODY)), Injector.REGISTER_WRITER)
    return {
        "vector": abort.vector,
        "esr": int(abort.esr),
        "far": _NOBODY,
        "elr": elr,
        "spsr": 0x3C0,
        "daif": 0x3C0,
    }


def _first(told: Mapping[tuple[str, str], Mapping[str, int]], log: str) -> Answer:
    taken = told.get(("EL3", "taken"))
    at_el1 = told.get(("EL1", "taken"))
    handed = told.get(("EL3", "handed"))
    # None of them knows where the load is: that the emulator must say.
    elr = (taken or at_el1 or {}).get("elr", 0)
    if f"...with ELR {elr:#x}\n" not in log:
        return _answer(STEPS[0], Status.UNEXPLAINED, f"the emulator logged no abort with ELR {elr:#x}", {})
    if taken is None and at_el1 is not None and handed == at_el1 == _expected(at_el1["elr"]):
        # The emulator must say the same, or the fault is ours.
        if "...from EL0 to EL1" in log:
            return _answer(STEPS[0], Status.UNREACHABLE, _NOT_ROUTED, at_el1)
        return _answer(STEPS[0], Status.UNEXPLAINED, "the emulator logged no abort to EL1", at_el1)
    if taken is not None and taken == _expected(taken["elr"]):
        return _answer(STEPS[0], Status.AGREED, "", taken)
    return _answer(STEPS[0], Status.UNEXPLAINED, f"EL1 and EL3 told {dict(told)}", {})


def _record(serial: str) -> Answer:
    match = _RECORD.search(serial)
    try:
        block = decode_status_block(bytes.fromhex(match[1] if match else ""))
        section = block.entries[0].section
    except (MalformedRecord, ValueError, IndexError) as error:
        return _answer(STEPS[1], Status.UNEXPLAINED, f"no record that can be read: {error}", {})
    seen = {"record": str(section), "severity": block.severity.name}
    if (
        isinstance(section, MemorySection)
        and section.physical_address == _NOBODY
        and block.severity is Severity.RECOVERABLE
        and block.stated_status is None  # what the block says of itself is what its entry says
    ):
        return _answer(STEPS[1], Status.AGREED, "", seen)
    return _answer(STEPS[1], Status.UNEXPLAINED, f"the record says {section}", seen)


def _entered(
    step: str,
    told: Mapping[tuple[str, str], Mapping[str, int]],
    level: tuple[str, str],
    log: str,
    way: str,
) -> Answer:
    first = told.get(("EL3", "handed")) or told.get(("EL3", "taken"))
    seen = told.get(level)
    if first is None or seen is None:
        return _answer(step, Status.UNEXPLAINED, f"{level[0]} was not {level[1]}", {})
    if f"Exception return from AArch64 {way} PC" not in log:
        return _answer(step, Status.UNEXPLAINED, f"the emulator logged no return from {way}", seen)
    wanted = _expected(first["elr"])
    differing = [name for name in wanted if wanted[name] != seen[name]]
    if differing:
        words = ", ".join(f"{name} is {seen[name]:#x}, not {wanted[name]:#x}" for name in differing)
        return _answer(step, Status.UNEXPLAINED, words, seen)
    return _answer(step, Status.AGREED, "", seen)


def _answer(step: str, status: Status, reason: str, seen: Mapping[str, Any]) -> Answer:
    question = Question(group="firmware", at={"step": step})
    return Answer(question=question, status=status, reason=reason, seen=seen)
