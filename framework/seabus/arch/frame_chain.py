# SPDX-License-Identifier: Apache-2.0
"""The chain of records in an AArch64 signal frame: magic, size, payload, and again.

>>> chain = bytes.fromhex("01525345 10000000 10000092 00000000") + bytes(16)
>>> read_records(chain)
(EsrRecord(esr=2449473552),)

Source: Linux arch/arm64/include/uapi/asm/sigcontext.h. The checks are those of arch/arm64/kernel/signal.c
``parse_user_sigframe()``, but for records of an unknown magic, which are kept, and for what the CPU supports.
"""

from typing import Final

from seabus.arch._slots import Slot, read
from seabus.arch.frame_records import KNOWN_MAGICS, ExtraRecord, FrameRecord, read_record
from seabus.arch.malformed import MalformedRecord

__all__ = ["read_records"]

_MAGIC, _SIZE = Slot("magic", 0, 4), Slot("size", 4, 4)
_HEADER: Final = 8
_ALIGNMENT: Final = 16
_TERMINATOR: Final = 16
_MAX_FRAME: Final = 256 << 10  # SIGFRAME_MAXSZ


def read_records(
    data: bytes,
    *,
    start: int = 0,
    end: int | None = None,
    address: int | None = None,
    follow_extra: bool = True,
) -> tuple[FrameRecord, ...]:
    """Walk a chain of records, and on into the extra space if there is one.

    It ends: each record takes bytes, and the extra space is entered once.

    :param data: the frame, or a part of it that holds the chain.
    :param start: where the chain starts in ``data``.
    :param end: where ``__reserved`` ends in ``data``; the extra space may lie beyond.
    :param address: the virtual address of the chain's start, to check the pointer to the extra space.
    :param follow_extra: False stops at the extra space, for a dump that lacks it.
    :raises MalformedRecord: a record is too short, not aligned, longer than what is left, or there twice; the
        chain has no end, or the extra space is not behind it. The offset is from the start of ``data``.
    """
    records: list[FrameRecord] = []
    seen: set[int] = set()
    limit = len(data) if end is None else min(end, len(data))
    at = start
    while True:
        magic, size = _header(data, at, limit)
        if magic == 0:
            return tuple(records)
        if magic in seen:
            raise MalformedRecord(at, "magic", f"a second record {magic:#010x}")
        if size % _ALIGNMENT:
            raise MalformedRecord(at + _SIZE.offset, "size", f"{size} is no multiple of {_ALIGNMENT}")
        if at + size > limit:
            left = limit - at
            raise MalformedRecord(at + _SIZE.offset, "size", f"{size} bytes, but {left} are left")
        if magic in KNOWN_MAGICS:
            seen.add(magic)
        record = read_record(data, at, magic, size)
        records.append(record)
        at += size
        if isinstance(record, ExtraRecord):
            if not follow_extra:
                return tuple(records)
            where = None if address is None else address - start
            at, limit = _enter_extra(data, at - size, at, limit, record, where)


def _header(data: bytes, at: int, limit: int) -> tuple[int, int]:
    if limit - at < _HEADER:
        raise MalformedRecord(at, "magic", "the chain of records has no end")
    magic, size = read(data, _MAGIC, at=at), read(data, _SIZE, at=at)
    if magic == 0 and size:
        raise MalformedRecord(at + _SIZE.offset, "size", f"the end of the chain has {size} bytes")
    if magic and size < _HEADER:
        raise MalformedRecord(at + _SIZE.offset, "size", f"{size} bytes do not hold the header")
    return magic, size


def _enter_extra(
    data: bytes, record_at: int, at: int, limit: int, extra: ExtraRecord, address: int | None
) -> tuple[int, int]:
    """Return where the extra space starts and ends, given its record and where that ended."""
    datap_at, size_at = record_at + 8, record_at + 16
    magic, size = _header(data, at, limit)
    if magic or size or limit - at < _TERMINATOR:
        raise MalformedRecord(at, "magic", "extra_context is not the last record of its chain")
    begin = at + _TERMINATOR
    if extra.datap % _ALIGNMENT or (address is not None and extra.datap != address + begin):
        raise MalformedRecord(datap_at, "datap", f"the extra space is not behind the chain: {extra.datap:#x}")
    if extra.size % _ALIGNMENT or extra.size > _MAX_FRAME:
        raise MalformedRecord(size_at, "extra_context.size", f"{extra.size} bytes are no extra space")
    if begin + extra.size > len(data):
        left = len(data) - begin
        raise MalformedRecord(size_at, "extra_context.size", f"{extra.size} bytes, but {left} are left")
    return begin, begin + extra.size
