# SPDX-License-Identifier: Apache-2.0
"""The ARM processor section: errors of one processor, its registers, and what its vendor adds."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from seabus.arch._layout import Item, Table, flags, reserved
from seabus.arch.cper._section import TableSection, bytes_rows, require, stated, unless_stated
from seabus.arch.cper.arm_context import ArmContext
from seabus.arch.cper.arm_error import ArmErrorInfo
from seabus.arch.cper.guids import PROCESSOR_ARM
from seabus.arch.field_row import FieldRow
from seabus.arch.malformed import MalformedRecord

_VALID = Item("validation_bits", 0, 4)
_ERRORS = Item("err_info_num", 4, 2, "error information structures")
_CONTEXTS = Item("context_info_num", 6, 2, "context information structures")
_LENGTH = Item("section_length", 8, 4, "bytes of the section")
_DERIVED = (_ERRORS.name, _CONTEXTS.name, _LENGTH.name)
# fmt: off
_TABLE = Table("UEFI 2.11 N.2.4.4, ARM Processor Error Section", 40, (
    _VALID,
    _ERRORS,
    _CONTEXTS,
    _LENGTH,
    Item("affinity_level", 12, 1, valid=1, names={level: f"level {level}" for level in range(4)}),
    reserved(13, 3),
    Item("mpidr", 16, 8, "MPIDR_EL1", valid=0),
    Item("midr", 24, 8, "MIDR_EL1"),
    Item("running_state", 32, 4, valid=2, parts=flags("running")),
    Item("psci_state", 36, 4, "PSCI state where it does not run", valid=2),
), valid=_VALID, tail={3: "vendor_info"})
# fmt: on
_ERROR_SIZE = ArmErrorInfo.table.size
_CONTEXT_SIZE = 8  # of its header, the least that one takes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArmProcessorSection(TableSection):
    """An ARM processor section. A field that is ``None`` is not declared valid by the record.

    ``running_state`` and ``psci_state`` share a validation bit, and one that is left out is 0; ``midr``
    has none. Counts and section length are those of what is inside. ``vendor_info`` is what follows the
    contexts; ``stated_valid`` is validation bit 3 (as 8 or 0) where it does not say whether there is any.

    Source: UEFI 2.11 appendix N.2.4.4, ARM Processor Error Section.
    """

    guid: ClassVar[uuid.UUID] = PROCESSOR_ARM
    title: ClassVar[str] = "ARM processor error section"
    table: ClassVar[Table] = _TABLE

    midr: int = 0
    mpidr: int | None = None
    affinity_level: int | None = None
    running_state: int | None = None
    psci_state: int | None = None
    errors: tuple[ArmErrorInfo, ...] = ()
    contexts: tuple[ArmContext, ...] = ()
    vendor_info: bytes = b""
    stated_valid: int | None = None

    def encode(self) -> bytes:
        """Return the section, and what trails it.

        :raises ValueError: a value does not fit its field, or too many structures.
        """
        errors = b"".join(error.encode() for error in self.errors)
        tail = errors + b"".join(context.encode() for context in self.contexts) + self.vendor_info
        values: dict[str, Any] = {name: getattr(self, name) for name in _TABLE.fields if name not in _DERIVED}
        values[_ERRORS.name] = len(self.errors)
        values[_CONTEXTS.name] = len(self.contexts)
        values[_LENGTH.name] = _TABLE.size + len(tail)
        head = _TABLE.pack(
            values,
            unknown_valid=self.unknown_valid,
            residue=self.residue,
            tail_valid=stated(self.stated_valid, _TABLE, self.vendor_info),
        )
        return head + tail + self.trailing

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Read a section. Contexts may be padded to 16 bytes, or packed as older firmware has them.

        :param offset: where it starts in the whole record, for the error.
        :raises MalformedRecord: truncated, a length or count beyond the end, or a bad structure inside.
        """
        require(data, _TABLE.size, offset, cls.title)
        values, unknown_valid, residue, declared = _TABLE.unpack(data, offset)
        err_info_num, context_info_num, length = (values.pop(name) for name in _DERIVED)
        if not _TABLE.size <= length <= len(data):
            reason = f"{length} bytes, the section has {len(data)}"
            raise MalformedRecord(offset + _LENGTH.offset, _LENGTH.name, reason)
        start = _TABLE.size + err_info_num * _ERROR_SIZE
        if start > length:
            reason = f"{err_info_num} structures, room for {(length - _TABLE.size) // _ERROR_SIZE}"
            raise MalformedRecord(offset + _ERRORS.offset, _ERRORS.name, reason)
        errors = tuple(
            ArmErrorInfo.decode(data[at : at + _ERROR_SIZE], offset + at)
            for at in range(_TABLE.size, start, _ERROR_SIZE)
        )
        if context_info_num * _CONTEXT_SIZE > length - start:
            reason = f"{context_info_num} structures, room for {(length - start) // _CONTEXT_SIZE}"
            raise MalformedRecord(offset + _CONTEXTS.offset, _CONTEXTS.name, reason)
        contexts, end = _contexts(data[:length], start, offset, context_info_num)
        return cls(
            **values,
            errors=errors,
            contexts=contexts,
            vendor_info=data[end:length],
            stated_valid=unless_stated(declared, _TABLE, data[end:length]),
            unknown_valid=unknown_valid,
            residue=residue,
            trailing=data[length:],
        )

    def rows(self, offset: int = 0, path: str = "") -> Iterator[FieldRow]:
        """Yield one row a field, those of all structures inside included.

        :param offset: where the section starts in the whole record.
        :param path: what the rows call the section.
        """
        yield from _TABLE.rows(self.encode(), base=offset, path=path)
        at = offset + _TABLE.size
        for index, error in enumerate(self.errors):
            yield from error.rows(at, f"{path}.error[{index}]")
            at += _ERROR_SIZE
        for index, context in enumerate(self.contexts):
            yield from context.rows(at, f"{path}.context[{index}]")
            at += len(context.encode())
        yield from bytes_rows(self.vendor_info, "vendor_info", at, path, _TABLE.source)
        yield from bytes_rows(self.trailing, "trailing", at + len(self.vendor_info), path, _TABLE.source)


def _contexts(data: bytes, start: int, offset: int, count: int) -> tuple[tuple[ArmContext, ...], int]:
    """Read the contexts, padded if that fits, else packed; return them and where they end."""
    try:
        return _walk(data, start, offset, count, padded=True)
    except MalformedRecord as error:
        try:
            return _walk(data, start, offset, count, padded=False)
        except MalformedRecord:
            raise error from None


def _walk(
    data: bytes, start: int, offset: int, count: int, *, padded: bool
) -> tuple[tuple[ArmContext, ...], int]:
    contexts: list[ArmContext] = []
    at = start
    while len(contexts) < count:
        context, at = ArmContext.decode(data, at, offset, padded=padded)
        contexts.append(context)
    return tuple(contexts), at
