# SPDX-License-Identifier: Apache-2.0
"""Faults as values, and the receipts that prove they landed."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import Any, Final

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import Severity, memory_error_record
from seabus.channel.qmp import Qmp
from seabus.errors import CapabilityError, MachineError

_COMMAND: Final = "inject-ghes-v2-error"
_FRU_TEXT: Final = "seabus"


@dataclass(frozen=True, kw_only=True)
class MemoryRecord:
    """A firmware record: the platform reports a memory error at a page of L1.

    It is *only* a record. No RAM is damaged: the host kernel poisons the page because it believes firmware.

    :param nonce: the FRU id the record carries; it is what a receipt is recognised by.
    """

    address: HostPhysical
    nonce: uuid.UUID
    severity: Severity = Severity.RECOVERABLE

    def encoded(self) -> bytes:
        """The generic error status block that L0's firmware would leave (ACPI 6.5, 18.3.2.7.1)."""
        return bytes(
            memory_error_record(
                self.address, severity=self.severity, fru_id=self.nonce, fru_text=_FRU_TEXT
            ).encode()
        )

    def described(self) -> dict[str, Any]:
        """The fault for a result file."""
        return {
            "kind": "memory-record",
            "address": str(self.address),
            "address_space": "L1 physical",
            "severity": self.severity.name.lower(),
            "nonce": str(self.nonce),
        }


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Proof that an injection landed: the target's own record of it.

    :param witness: who saw it, and where.
    """

    nonce: str
    source: int
    address: str
    witness: str = "L1 kernel log"


async def check(qmp: Qmp) -> None:
    """Whether L0 can inject.

    :raises CapabilityError: its QEMU has no such command.
    """
    commands = {entry["name"] for entry in await qmp.execute("query-commands")}
    if _COMMAND not in commands:
        raise CapabilityError(
            f"L0's QEMU has no command {_COMMAND}", hint="use QEMU 10.2 or later at L0 (--l0-qemu)"
        )


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
            f"L0's QEMU has no command {_COMMAND}",
            hint="use QEMU 10.2 or later at L0 (--l0-qemu)",
        ) from error
