# SPDX-License-Identifier: Apache-2.0
"""The printed ARM processor error section: who, and one structure per error and per register context.

Source: Linux drivers/firmware/efi/cper-arm.c ``cper_print_proc_arm()``; UEFI 2.11, N.2.4.4.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seabus.arch.kernel_text._dump import read_dump
from seabus.arch.kernel_text._rows import rows

__all__ = ["ArmContextInfo", "ArmErrorInfo", "ArmProcessorDetails", "read_arm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmErrorInfo:
    """One error information structure.

    ``count`` is how many errors it stands for; ``flags`` any of first, last, propagated, overflow.
    ``error_type`` is the byte as printed: a mask in newer kernels (and stable ones with the fix), an index
    in older; ``error_type_names`` are its words. ``decoded`` holds the lines that explain ``error_info``.
    ``virtual_fault_address`` and ``physical_fault_address`` belong to the level whose log this is.
    """

    index: int
    count: int | None = None
    flags: tuple[str, ...] = ()
    error_type: int | None = None
    error_type_names: tuple[str, ...] = ()
    error_info: int | None = None
    decoded: tuple[str, ...] = ()
    virtual_fault_address: int | None = None
    physical_fault_address: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmContextInfo:
    """One register context: its kind in the kernel's words, and its bytes."""

    index: int
    kind: str | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmProcessorDetails:
    """An ARM processor error. ``complaints`` are the kernel's words about a record that is itself wrong.

    ``running_state`` bit 0: the processor runs; ``psci_state`` is PSCI's.
    """

    midr: int | None = None
    mpidr: int | None = None
    affinity_level: int | None = None
    running_state: int | None = None
    psci_state: int | None = None
    errors: tuple[ArmErrorInfo, ...] = ()
    contexts: tuple[ArmContextInfo, ...] = ()
    vendor: bytes = b""
    complaints: tuple[str, ...] = ()


_HEX = "0x[0-9a-f]{1,16}"
_OPENING = re.compile(
    r"(?P<what>Error|Context) info structure (?P<index>\d{1,5}):"
    r"|(?P<vendor>Vendor specific error info has .*)"
)
_HEADER = rows(
    rf"MIDR: (?P<midr>{_HEX})",
    rf"Multiprocessor Affinity Register \(MPIDR\): (?P<mpidr>{_HEX})",
    r"error affinity level: (?P<affinity_level>\d{1,3})",
    rf"running state: (?P<running_state>{_HEX})",
    r"Power State Coordination Interface state: (?P<psci_state>\d{1,10})",
)
_ERROR = rows(
    r"num errors: (?P<count>\d{1,5})",
    rf"error_type: (?P<error_type>{_HEX}|\d{{1,3}})(?:, |: )(?P<names>.*)",
    rf"error_info: (?P<error_info>{_HEX})",
    rf"virtual fault address: (?P<virtual_fault_address>{_HEX})",
    rf"physical fault address: (?P<physical_fault_address>{_HEX})",
    text=("names",),
)
_CONTEXT = rows(r"register context type: (?P<kind>.+)", text=("kind",))
_FLAGS = {
    "first error captured": "first",
    "last error captured": "last",
    "propagated error captured": "propagated",
    "overflow occurred, error info is incomplete": "overflow",
}
_COMPLAINTS = re.compile(
    r"section length: \d.*|section length is too (?:small|big)|ERR_INFO_NUM is \d+"
    r"|firmware-generated error record is incorrect|Invalid context type: .*"
)
_RESERVED = " with reserved bit(s)"


def read_arm(lines: Sequence[str]) -> ArmProcessorDetails:
    """Read the lines of the section, stripped of mark and indentation."""
    header: list[str] = []
    errors: list[ArmErrorInfo] = []
    contexts: list[ArmContextInfo] = []
    vendor = b""
    current = header
    blocks: list[tuple[re.Match[str], list[str]]] = []
    for line in lines:
        if opening := _OPENING.fullmatch(line):
            current = []
            blocks.append((opening, current))
        else:
            current.append(line)
    for opening, block in blocks:
        if opening["vendor"]:
            vendor = read_dump(block)
        elif opening["what"] == "Error":
            errors.append(_read_error(int(opening["index"]), block))
        else:
            kind = _CONTEXT.read(block).get("kind")
            contexts.append(ArmContextInfo(index=int(opening["index"]), kind=kind, data=read_dump(block)))
    return ArmProcessorDetails(
        **_HEADER.integers(header),
        errors=tuple(errors),
        contexts=tuple(contexts),
        vendor=vendor,
        complaints=tuple(line for line in lines if _COMPLAINTS.fullmatch(line)),
    )


def _read_error(index: int, block: Sequence[str]) -> ArmErrorInfo:
    found = _ERROR.read(block)
    names = found.pop("names", "").removesuffix(_RESERVED)
    explained = next((at + 1 for at, line in enumerate(block) if line.startswith("error_info: ")), len(block))
    decoded = [line for line in block[explained:] if not line.startswith(("virtual fault", "physical fault"))]
    return ArmErrorInfo(
        index=index,
        flags=tuple(_FLAGS[line] for line in block if line in _FLAGS),
        error_type_names=tuple(name for name in names.split("|") if name),
        decoded=tuple(decoded),
        **found,
    )
