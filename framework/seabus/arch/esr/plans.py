# SPDX-License-Identifier: Apache-2.0
"""Layouts worked out ahead, so that decoding is a handful of shifts and table look-ups.

Which fields exist depends on few bits of a register: those that conditions look at. For each
combination of them that turns up, a :class:`Plan` is made once and kept. There are at most some
thousand, whatever input arrives.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from seabus.arch._bits import REGISTER_BITS, Field, Row, When
from seabus.arch.esr.classes import EC_ROW, EXCEPTION_CLASSES, rows_of
from seabus.arch.esr.common import IL, bit

# Fields up to this width keep one object a value; register numbers have 5 bits, status codes 6.
_KEPT_WIDTH = 6


class _FieldsByBits(dict[int, Field]):
    # The fields that one row can decode to, by the register's bits in place; made when first met.
    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row

    def __missing__(self, bits: int) -> Field:
        field = self._row.read(bits)
        if field.width <= _KEPT_WIDTH:
            self[bits] = field
        return field


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read one layout: what to cut out, what must be zero, what must be checked."""

    # Of each field: its mask, and its objects by the bits under the mask.
    reads: tuple[tuple[int, Mapping[int, Field]], ...]
    # Of each field with reserved values: its mask, the bits allowed under the mask, its row.
    checks: tuple[tuple[int, frozenset[int], Row], ...]
    reserved_zero: int
    # What every value with this layout violates.
    always: tuple[str, ...]

    def violations(self, raw: int) -> tuple[str, ...]:
        """Return what a register of this layout violates, in words."""
        found = self.always
        for mask, allowed, row in self.checks:
            if raw & mask not in allowed:
                found = (*found, reserved(row.name, (raw & mask) >> row.low))
        unexpected = raw & self.reserved_zero
        return (*found, *_reserved_zero_bits(unexpected)) if unexpected else found


def _reserved_zero_bits(unexpected: int) -> list[str]:
    # A byte at a time: hostile input sets most of them, and words are slow to make.
    words: list[str] = []
    for low in range(REGISTER_BITS - 8, -1, -8):
        if byte := unexpected >> low & 0xFF:
            words += _bits_of_byte(low, byte)
    return words


@functools.cache  # bounded: 8 bytes of 255 values
def _bits_of_byte(low: int, byte: int) -> list[str]:
    numbers = (low + position for position in reversed(range(8)) if byte >> position & 1)
    return [f"bit {number} is RES0 but set" for number in numbers]


def reserved(name: str, value: int) -> str:
    """Return the words for a field whose value the architecture reserves."""
    return f"{name} holds the reserved value {value:#x}"


def existing_rows(raw: int, level: int | None) -> tuple[Row, ...]:
    """Return the rows that exist in this value of ESR_EL1, _EL2 or _EL3 (``None``: in any)."""
    return tuple(
        row
        for row in rows_of(raw >> EC_ROW.low & 0x3F)
        if (level is None or level in row.levels) and row.when(raw)
    )


def il_is_one(raw: int) -> bool:
    """Whether the architecture fixes IL at 1 for this value, see :class:`ExceptionClass`."""
    code = raw >> EC_ROW.low & 0x3F
    entry = EXCEPTION_CLASSES.get(code)
    if entry is None or not entry.il_is_one:
        return False
    return code not in {0x24, 0x25} or bit(24, 0)(raw)


def plan_for(raw: int, level: int | None) -> Plan:
    """Return the plan for this value of ESR_EL1, ESR_EL2 or ESR_EL3 (``None``: of any)."""
    key = raw & _SELECTORS[raw >> EC_ROW.low & 0x3F]
    plans = _PLANS[level]
    plan = plans.get(key)
    if plan is None:
        plan = plans[key] = _make(key, level)
    return plan


def _selector(code: int) -> int:
    # The bits on which the layout of a class depends, and those that il_is_one() looks at.
    selector = EC_ROW.mask | IL.mask | (bit(24).mask if code in {0x24, 0x25} else 0)
    for row in rows_of(code):
        if not isinstance(row.when, When):
            raise TypeError(f"the condition of {row.name} does not say which bits it looks at")
        selector |= row.when.mask
    return selector


def _make(key: int, level: int | None) -> Plan:
    selector = _SELECTORS[key >> EC_ROW.low & 0x3F]
    rows = existing_rows(key, level)
    known = 0
    always: list[str] = []
    checks: list[tuple[int, frozenset[int], Row]] = []
    for row in rows:
        known |= row.mask
        if row.values is None or len(row.values) > row.mask >> row.low:
            continue
        if row.mask & ~selector:
            allowed = frozenset(value << row.low for value in row.values)
            checks.append((row.mask, allowed, row))
        elif (value := (key & row.mask) >> row.low) not in row.values:
            always.append(reserved(row.name, value))
    entry = EXCEPTION_CLASSES.get(key >> EC_ROW.low & 0x3F)
    if entry is not None and level is not None and level not in entry.levels:
        always.append(f"EC {entry.code:#x} is not reported in ESR_EL{level}")
    if il_is_one(key) and not key & IL.mask:
        always.append("IL is 0 where it is fixed at 1")
    return Plan(
        reads=tuple((row.mask, _fields(row)) for row in rows),
        checks=tuple(checks),
        reserved_zero=~known & (1 << REGISTER_BITS) - 1,
        always=tuple(always),
    )


def _fields(row: Row) -> _FieldsByBits:
    # By identity: rows hold mappings and cannot be hashed. They are constants and never freed.
    fields = _FIELDS.get(id(row))
    if fields is None:
        fields = _FIELDS[id(row)] = _FieldsByBits(row)
    return fields


_FIELDS: dict[int, _FieldsByBits] = {}
_SELECTORS = tuple(_selector(code) for code in range(64))
_PLANS: dict[int | None, dict[int, Plan]] = {None: {}, 1: {}, 2: {}, 3: {}}
