# SPDX-License-Identifier: Apache-2.0
"""What the decoders promise for any bytes whatever, as functions that raise where a promise is broken.

``ci/fuzz`` drives them by coverage; ``test_corpus.py`` runs the inputs that it kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from seabus.arch import linux_lines
from seabus.arch.cper import StatusBlock, decode_record, describe, remarks
from seabus.arch.esr import decode_esr
from seabus.arch.hest import decode_hest
from seabus.arch.malformed import MalformedRecord


def esr(data: bytes) -> None:
    """Total over 64 bits; EC, IL and what the fields name lie where they say."""
    raw = int.from_bytes(data[:8], "little")
    level = (None, 1, 2, 3)[data[8] % 4] if len(data) > 8 else None
    syndrome = decode_esr(raw, el=level)
    assert syndrome.summary()
    for field in syndrome.fields:
        assert field.value == raw >> field.low & (1 << field.width) - 1, field


def cper(data: bytes) -> None:
    """A record or a typed error with a place; what was read is written back bit by bit."""
    try:
        record = decode_record(data)
    except MalformedRecord:
        return
    written = record.encode()
    assert data.startswith(written), "not written back as it was read"
    rows = describe(record)
    assert all(row.offset + row.length <= len(written) for row in rows)
    assert all(row.text is not None and row.as_dict() for row in rows)
    remarks(record)
    if isinstance(record, StatusBlock):
        try:
            linux_lines(record)
        except MalformedRecord:
            return


def hest(data: bytes) -> None:
    """A table or a typed error; what was read is written back bit by bit."""
    try:
        table = decode_hest(data)
    except MalformedRecord:
        return
    assert data.startswith(table.encode())


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {"esr": esr, "cper": cper, "hest": hest}
