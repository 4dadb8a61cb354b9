# SPDX-License-Identifier: Apache-2.0
"""``ras:*``: hardware errors as the kernel hands them to user space.

Source: Linux include/ras/ras_event.h, include/trace/events/memory-failure.h, 6.1 to 7.3.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Self

from seabus.arch.trace._fields import number
from seabus.arch.trace.line import TraceLine

__all__ = [
    "ArmEvent",
    "ExtlogMemEvent",
    "McEvent",
    "MemoryFailureEvent",
    "NonStandardEvent",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFailureEvent:
    """``memory_failure_event``: what ``memory_failure()`` did about a page.

    The tracepoint lies in system ``ras`` or ``memory_failure``, depending on the kernel. ``pfn``
    counts pages of the kernel that was traced. ``result``: Ignored, Failed, Delayed, Recovered.

    Source: Linux include/ras/ras_event.h, include/trace/events/memory-failure.h.
    """

    pfn: int
    page_type: str
    result: str

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "memory_failure_event":
            return None
        pfn = number(line.fields, "pfn")
        page_type, result = line.fields.get("page_type"), line.fields.get("result")
        if pfn is None or page_type is None or result is None:
            return None
        return cls(pfn=pfn, page_type=page_type, result=result)


_MC_HEAD = re.compile(
    r"(?P<count>\d{1,10}) (?P<kind>[A-Z][a-z]{1,20}) errors?:(?: (?P<message>.{0,200}?))? on (?P<label>.*)"
)
_MC_ITEM = re.compile(r"(\w+):(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class McEvent:
    """``mc_event``: an error that EDAC counted.

    ``kind`` is Corrected, Uncorrected, Deferred, Fatal or Info; ``location`` the three layers of memory
    controller ``mc``, -1 for those that are unknown; ``address`` a physical address of the kernel that was
    traced; ``grain`` the bytes it is exact to; ``label`` the DIMM's, ``detail`` the driver's own words.
    """

    count: int
    kind: str
    message: str
    label: str
    mc: int
    location: tuple[int, ...]
    address: int
    grain: int
    syndrome: int
    detail: str

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "mc_event":
            return None
        start, _, rest = line.text.strip().partition(" (mc:")
        head, closed = _MC_HEAD.fullmatch(start), rest.endswith(")")
        if head is None or not closed:
            return None
        words = f"mc:{rest[:-1]}".split(" ")
        items: dict[str, str] = {}
        at = 0
        # The driver's words follow the syndrome, and may look like anything.
        while at < len(words) and (item := _MC_ITEM.fullmatch(words[at])) and item[1] not in items:
            items[item[1]] = item[2]
            at += 1
            if item[1] == "syndrome":
                break
        try:
            return cls(
                count=int(head["count"]),
                kind=head["kind"],
                message=head["message"] or "",
                label=head["label"],
                mc=int(items["mc"]),
                location=tuple(int(layer) for layer in items["location"].split(":")),
                address=int(items["address"], 16),
                grain=int(items["grain"]),
                syndrome=int(items["syndrome"], 16),
                detail=" ".join(words[at:]),
            )
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEvent:
    """``arm_event``: an ARM processor error section.

    ``cpu`` (-1: not of this kernel) and ``severity`` (0 none, 1 corrected, 2 recoverable, 3 fatal), and the
    bytes of the error information structures, the register contexts and the vendor's part are told by
    kernels of 2025 on and ``None`` before.
    """

    affinity_level: int
    mpidr: int
    midr: int
    running_state: int
    psci_state: int
    cpu: int | None = None
    severity: int | None = None
    errors: bytes | None = None
    contexts: bytes | None = None
    vendor: bytes | None = None

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "arm_event":
            return None
        parts = (part.strip().partition(":") for part in line.text.split(";"))
        items = {name: value.strip() for name, _colon, value in parts}
        cpu, severity = items.get("cpu"), items.get("error")
        try:
            return cls(
                affinity_level=int(items["affinity level"]),
                mpidr=int(items["MPIDR"], 16),
                midr=int(items["MIDR"], 16),
                running_state=int(items["running state"]),
                psci_state=int(items["PSCI state"]),
                cpu=None if cpu is None else int(cpu),
                severity=None if severity is None else int(severity),
                errors=_bytes(items.get("ARM Processor Err Info raw data")),
                contexts=_bytes(items.get("ARM Processor Err Context Info raw data")),
                vendor=_bytes(items.get("Vendor Specific Err Info raw data")),
            )
        except (KeyError, ValueError):
            return None


_GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_NON_STANDARD = re.compile(
    rf"severity: ?(?P<severity>\d{{1,5}}); sec type: ?(?P<section>{_GUID});"
    rf" FRU: ?(?P<fru>{_GUID}) (?P<text>.*); "
    r"data len: ?(?P<length>\d{1,10}); raw data: ?(?P<data>[0-9a-f ]*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonStandardEvent:
    """``non_standard_event``: a section that no other event has a place for, as bytes.

    ``severity``: 0 none, 1 corrected, 2 recoverable, 3 fatal (the kernel's order, not the CPER's). The kernel
    prints both GUIDs in the order of their bytes; here they are in the usual one.
    """

    severity: int
    section_type: uuid.UUID
    fru_id: uuid.UUID
    fru_text: str
    length: int
    data: bytes

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "non_standard_event":
            return None
        match = _NON_STANDARD.fullmatch(line.text.strip())
        if match is None:
            return None
        try:
            return cls(
                severity=int(match["severity"]),
                section_type=_little_endian(match["section"]),
                fru_id=_little_endian(match["fru"]),
                fru_text=match["text"],
                length=int(match["length"]),
                data=bytes.fromhex(match["data"]),
            )
        except ValueError:
            return None


_EXTLOG = re.compile(
    r"\{(?P<sequence>-?\d{1,10})\} (?P<severity>\w{1,20}) error: (?P<error>.{1,60}) physical addr: "
    r"(?P<address>[0-9a-f]{1,16}) \(mask lsb: (?P<lsb>[0-9a-f]{1,2})\) "
    rf"(?P<location>.*?) ?FRU: (?P<fru>{_GUID}) "
    r"(?P<text>.{0,20})"
)
_ABSENT_ADDRESS = (1 << 64) - 1
_ABSENT_LSB = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtlogMemEvent:
    """``extlog_mem_event``: a memory section of the extended error log, on x86.

    ``address`` is physical, ``lsb`` log2 of the bytes it is exact to; ``location`` the kernel's text.
    """

    sequence: int
    severity: str
    error: str
    address: int | None
    lsb: int | None
    location: str
    fru_id: uuid.UUID
    fru_text: str

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "extlog_mem_event":
            return None
        match = _EXTLOG.fullmatch(line.text.strip())
        if match is None:
            return None
        address, lsb = int(match["address"], 16), int(match["lsb"], 16)
        return cls(
            sequence=int(match["sequence"]),
            severity=match["severity"],
            error=match["error"],
            address=None if address == _ABSENT_ADDRESS else address,
            lsb=None if lsb == _ABSENT_LSB else lsb,
            location=match["location"],
            fru_id=uuid.UUID(match["fru"]),
            fru_text=match["text"],
        )


def _little_endian(text: str) -> uuid.UUID:
    """Read a GUID that ``%pU`` printed byte by byte, so with its first three numbers turned round."""
    return uuid.UUID(bytes_le=uuid.UUID(text).bytes)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
