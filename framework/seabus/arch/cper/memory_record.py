# SPDX-License-Identifier: Apache-2.0
"""The record with which firmware tells a level of one bad place in its memory."""

import uuid

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper.block import StatusBlock
from seabus.arch.cper.entry import DataEntry
from seabus.arch.cper.memory import MemoryErrorType, MemorySection
from seabus.arch.cper.severity import Severity


def memory_error_record(
    address: HostPhysical,
    *,
    severity: Severity = Severity.RECOVERABLE,
    fru_id: uuid.UUID,
    fru_text: str = "",
    mask: int = 0xFFFF_FFFF_FFFF_F000,
    error_type: MemoryErrorType | None = None,
) -> StatusBlock:
    """Return the record with which firmware tells L1 of one bad place in its memory.

    Its layout is the one measured to work with QMP ``inject-ghes-v2-error`` of QEMU 11.1.3: block
    status 0x11, one entry of revision 0x300 with FRU id and text, 80 bytes of memory section with
    validation bits 0x4007 (error status, address, mask, error type).

    :param address: the bad place.
    :param severity: of the block and of its entry; with a corrected error the block status is 0x12.
    :param fru_id: names the replaceable unit; L1 prints it, so it also tells one injection's record
        from all others.
    :param fru_text: up to 20 characters of ASCII.
    :param mask: a 1 for each address bit that counts; the default names a page of 4 KiB.
    :param error_type: single-bit ECC for a corrected error by default, else multi-bit ECC.
    :raises ValueError: ``fru_text`` too long or not ASCII (from :meth:`StatusBlock.encode`).

    Source: ACPI 6.5 section 18.3.2.7; UEFI 2.11 appendix N.2.5; QEMU hw/acpi/ghes_cper.c.
    """
    if error_type is None:
        corrected = severity is Severity.CORRECTED
        error_type = MemoryErrorType.SINGLE_BIT_ECC if corrected else MemoryErrorType.MULTI_BIT_ECC
    section = MemorySection(
        error_status=0,
        physical_address=address.value,
        physical_address_mask=mask,
        error_type=error_type,
    )
    entry = DataEntry(section=section, severity=severity, fru_id=fru_id, fru_text=fru_text)
    return StatusBlock(severity=severity, entries=(entry,))
