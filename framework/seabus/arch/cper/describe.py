# SPDX-License-Identifier: Apache-2.0
"""One way to read any record, and to walk through what it says."""

from seabus.arch.cper.block import StatusBlock, decode_status_block
from seabus.arch.cper.entry import DataEntry
from seabus.arch.cper.record import SIGNATURE, CperRecord, decode_cper_record
from seabus.arch.cper.sections import Section
from seabus.arch.field_row import FieldRow


def decode_record(data: bytes) -> StatusBlock | CperRecord:
    """Read a CPER record if ``data`` begins with its signature, else a status block.

    Bytes after it are ignored.

    :raises MalformedRecord: it is neither.
    """
    return decode_cper_record(data) if data[: len(SIGNATURE)] == SIGNATURE else decode_status_block(data)


def describe(record: StatusBlock | CperRecord | DataEntry | Section) -> list[FieldRow]:
    """Return a row for each field of a record, in the order in which they lie in it.

    Fields that are not declared valid are there too, with ``valid`` false; reserved bytes only where they
    are not zero.

    :raises ValueError: a field of a record that was built, not decoded, does not fit.
    """
    return list(record.rows())


def remarks(record: StatusBlock | CperRecord | DataEntry | Section) -> tuple[str, ...]:
    """Return what in a record its specification forbids, in words; empty for a legal one.

    That is: reserved bits and bytes that are not zero, reserved values, fields that are not zero though
    not declared valid, and lengths or counts that contradict what is there.
    """
    return tuple(
        f"{row.path}.{row.name} at byte {row.offset}: {row.problem}".lstrip(".")
        for row in record.rows()
        if row.problem
    )
