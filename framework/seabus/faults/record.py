# SPDX-License-Identifier: Apache-2.0
"""Firmware records: the platform reports an error, by a CPER in L1's GHES."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import (
    SECTION_TYPES,
    DataEntry,
    Section,
    Severity,
    StatusBlock,
    memory_error_record,
)
from seabus.channel.qmp import Qmp
from seabus.errors import CapabilityError, MachineError
from seabus.faults.draws import draw_uuid
from seabus.faults.fault import Receipt
from seabus.machine.capabilities import EmulatorCapabilities
from seabus.observe.events import Event, Level
from seabus.world.world import World

_COMMAND: Final = "inject-ghes-v2-error"
#: The name of what an emulator needs for it.
CAPABILITY: Final = "firmware-record"
_HINT: Final = "use QEMU 10.2 or later at L0 (--l0-qemu)"
_FRU_TEXT: Final = "seabus"
#: Where a run keeps the bytes it injected.
_KEPT: Final = "record.cper"


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What all firmware records have in common.

    :param nonce: the FRU id the record carries; it is what a receipt is recognised by.
    """

    nonce: uuid.UUID = field(default_factory=draw_uuid)
    severity: Severity = Severity.RECOVERABLE
    level: Level = "L0"

    def encoded(self) -> bytes:
        """The generic error status block that L0's firmware would leave (ACPI 6.5, 18.3.2.7.1)."""
        raise NotImplementedError

    async def put_in(self, world: World) -> None:
        data = self.encoded()
        firmware = world.firmware()
        (world.artefacts / _KEPT).write_bytes(data)
        world.broke = True  # an emulated host, which anybody may break
        await inject(firmware, data)

    def receipt(self, event: Event) -> Receipt | None:
        """L1's own report of this very record."""
        if event.level != "L1" or event.kind != "ghes" or event.fields["fru_id"] != str(self.nonce):
            return None
        return Receipt(
            witness=f"L1 {event.witness}",
            facts={
                "nonce": str(self.nonce),
                "source": event.fields["source"],
                "address": f"{event.fields['physical_address'] or 0:#x}",
            },
        )


@dataclass(frozen=True, kw_only=True)
class MemoryRecord(_Record):
    """A firmware record: the platform reports a memory error at a page of L1.

    It is *only* a record. No RAM is damaged: the host kernel poisons the page because it believes firmware.

    :param flags: of its entry, such as 1 << 3, "error threshold exceeded" (UEFI 2.11 N.2.2, table N.6).
    """

    address: HostPhysical
    flags: int = 0

    def encoded(self) -> bytes:
        block = memory_error_record(
            self.address, severity=self.severity, fru_id=self.nonce, fru_text=_FRU_TEXT
        )
        entries = tuple(replace(entry, flags=self.flags) for entry in block.entries)
        return bytes(replace(block, entries=entries).encode())

    def described(self) -> Mapping[str, Any]:
        return {
            "kind": "memory-record",
            "address": str(self.address),
            "address_space": "L1 physical",
            "severity": self.severity.name.lower(),
            "nonce": str(self.nonce),
        }

    def receipt(self, event: Event) -> Receipt | None:
        """L1's own report of this very record; or, where that is rate-limited, what it did to this page."""
        if event.level == "L1" and event.kind == "memory_failure" and event.fields["pfn"] == self.address.pfn:
            return Receipt(witness=f"L1 {event.witness}", facts={"pfn": hex(self.address.pfn)})
        return super().receipt(event)


@dataclass(frozen=True, kw_only=True)
class SectionRecord(_Record):
    """A firmware record with sections of any kind, one entry each."""

    sections: tuple[Section, ...]

    def encoded(self) -> bytes:
        entries = tuple(
            DataEntry(section=section, severity=self.severity, fru_id=self.nonce, fru_text=_FRU_TEXT)
            for section in self.sections
        )
        return StatusBlock(severity=self.severity, entries=entries).encode()

    def described(self) -> Mapping[str, Any]:
        return {
            "kind": "record",
            "sections": [SECTION_TYPES.get(section.guid, str(section.guid)) for section in self.sections],
            "severity": self.severity.name.lower(),
            "nonce": str(self.nonce),
        }


@dataclass(frozen=True, kw_only=True)
class DamagedRecord(_Record):
    """A memory record that is not what the specifications call one, after bytes of it were changed.

    :param original: the record before.
    :param damage: what is done to its bytes, and in a word what that is.
    """

    original: MemoryRecord
    damage: Callable[[bytes], bytes]
    words: str

    def encoded(self) -> bytes:
        return self.damage(self.original.encoded())

    def described(self) -> Mapping[str, Any]:
        return {**self.original.described(), "kind": "damaged-record", "damage": self.words}

    def receipt(self, event: Event) -> Receipt | None:
        """L1's report of it, as far as it can be read, or its complaint of what its firmware left."""
        if event.level != "L1" or event.kind not in ("ghes", "complaint"):
            return None
        return Receipt(witness=f"L1 {event.witness}", facts={"kind": event.kind, "text": event.text})


def check(emulator: EmulatorCapabilities) -> None:
    """Whether L0 can inject.

    :raises CapabilityError: its QEMU has no such command.
    """
    if _COMMAND not in emulator.commands:
        raise CapabilityError(f"L0's QEMU has no command {_COMMAND}", hint=_HINT, capability=CAPABILITY)


async def inject(qmp: Qmp, record: bytes) -> None:
    """Hand a record to L0.

    The command answers success even where nothing is delivered; wait for a :class:`Receipt`.

    :raises CapabilityError: L0's QEMU has no such command.
    """
    try:
        await qmp.execute(_COMMAND, {"cper": base64.b64encode(record).decode()})
    except MachineError as error:
        if "not been found" not in error.message:
            raise
        raise CapabilityError(
            f"L0's QEMU has no command {_COMMAND}", hint=_HINT, capability=CAPABILITY
        ) from error
