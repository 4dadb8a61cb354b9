# SPDX-License-Identifier: Apache-2.0
"""All that is known of one row of a scene, decoded: what a reader gets who asks for more."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from seabus.arch.cper import decode_record, describe, remarks
from seabus.arch.esr import decode_esr
from seabus.arch.malformed import MalformedRecord
from seabus.report.loaded import Run
from seabus.report.scene import Row, Status
from seabus.report.wording import value

#: Told beside the fields, or longer than they are worth.
_LEFT_OUT: Final = ("cper", "esr_decoded")
_ESR_BITS: Final = 64
#: Said of a record whose bytes are not known: the VMM's, or one that an older Seabus injected.
_PRINTED: Final = ("", "CPER: its bytes are not in the result; what the kernel printed of it is above")


def details(run: Run, row: Row) -> list[str]:
    """Lines about a row: when and by whom it was seen, its fields, decoded, and what was expected."""
    lines = [row.label]
    if row.status is not Status.EXPECTED and row.remark:
        lines.append(f"{row.status}: {row.remark}")
    if row.event is not None:
        lines += [_when(run, row), ""]
        lines += _fields(row.event.fields)
        lines += _decoded(run, row)
    if row.expected is not None:
        lines += ["", f"{row.expected.name}: {row.expected.promise}"]
    return lines


def _when(run: Run, row: Row) -> str:
    assert row.event is not None
    assert row.seconds is not None
    error = run.story.clocks[row.event.level].error_ns / 1e6
    where = f"{row.event.level}, CPU {row.event.cpu}" if row.event.cpu is not None else row.event.level
    return f"{row.seconds * 1e3:.3f} ms ± {error:.2f} ms, {where}, {row.event.witness}"


def _fields(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, found in fields.items():
        if name not in _LEFT_OUT and found is not None:
            yield f"{name}: {value(name, found)}"


def _decoded(run: Run, row: Row) -> Iterator[str]:
    assert row.event is not None
    esr = row.event.fields.get("esr")
    if isinstance(esr, int) and 0 <= esr < 1 << _ESR_BITS:
        syndrome = decode_esr(esr)
        yield from ("", f"ESR {esr:#010x}")
        for field in syndrome.fields:
            bits = str(field.low) if field.high == field.low else f"{field.high}:{field.low}"
            yield f"  [{bits}] {field.name} {field.value:#x}: {field.meaning}"
        yield from (f"  violates the architecture: {one}" for one in syndrome.violations)
    if row.event.kind == "inject":
        yield from _record(run, row.event.fields.get("nonce"))
    elif row.event.kind == "ghes":
        yield from _record(run, row.event.fields.get("fru_id")) or _PRINTED


def _record(run: Run, nonce: object) -> list[str]:
    """The bytes that were injected, of the fault with this nonce, which its record has as its FRU id."""
    encoded = next((one["cper"] for one in run.faults if _is_of(one, nonce)), None)
    return [] if encoded is None else list(_bytes(encoded))


def _bytes(encoded: str) -> Iterator[str]:
    try:
        data = base64.b64decode(encoded, validate=True)
        record = decode_record(data)
        rows, remarked = [row for row in describe(record) if row.valid], remarks(record)
    except (MalformedRecord, binascii.Error, TypeError, ValueError) as error:
        yield from ("", f"the record cannot be read: {error}")
        return
    yield from ("", f"CPER, {len(data)} bytes")
    path = ""
    for row in rows:
        if row.path != path:
            path = row.path
            yield f"  {path}"
        yield f"    {row.name} {row.text} {row.meaning}".rstrip()
    yield from (f"  remark: {one}" for one in remarked)


def _is_of(fault: Mapping[str, Any], nonce: object) -> bool:
    return isinstance(fault.get("cper"), str) and fault.get("nonce") == nonce
