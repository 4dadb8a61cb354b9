# SPDX-License-Identifier: Apache-2.0
"""Engine for registers described by tables: rows of named bits, each with a condition to exist."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

REGISTER_BITS = 64


@dataclass(frozen=True, slots=True)
class Field:
    """One named field of a decoded register.

    ``value`` is right-aligned; ``meaning`` says in words what this value means, or what the field
    holds where values have no names; ``source`` is the place that defines it; ``feature`` names the
    architecture feature that brought the field, or is empty.
    """

    name: str
    high: int
    low: int
    value: int
    meaning: str
    source: str
    feature: str = ""

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.high - self.low + 1

    def __str__(self) -> str:
        digits = (self.width + 3) // 4
        return f"{self.name} 0x{self.value:0{digits}x} {self.meaning}"


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a register: ``raw & mask`` is one of ``values``.

    As data, and not as code, it tells which bits a layout depends on.

    >>> (When(0b1100, frozenset({0b0100})) & When(0b1, frozenset({1})))(0b0101)
    True
    """

    mask: int
    values: frozenset[int]

    def __call__(self, raw: int) -> bool:
        return raw & self.mask in self.values

    def __and__(self, other: "When") -> "When":
        """Both conditions, which must look at different bits.

        :raises ValueError: they share bits, so that a union of their values would mean nothing.
        """
        if self.mask & other.mask:
            raise ValueError(f"conditions share the bits {self.mask & other.mask:#x}")
        both = frozenset(mine | theirs for mine in self.values for theirs in other.values)
        return When(self.mask | other.mask, both)


ALWAYS = When(0, frozenset({0}))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a register's table: where a field lies, when it exists, what its values mean."""

    name: str
    high: int
    low: int
    title: str
    source: str
    # Named values. A value that is not here is reserved; None means that any value is legal.
    values: Mapping[int, str] | None = None
    # The same bits may be another field, or RES0, for other values of the register.
    when: Callable[[int], bool] = ALWAYS
    # A zero of this field says something, so summaries print it.
    telling: bool = False
    # The architecture feature that brought it, and the exception levels whose register has it.
    feature: str = ""
    levels: frozenset[int] = frozenset({1, 2, 3})

    @property
    def mask(self) -> int:
        return (1 << (self.high + 1)) - (1 << self.low)

    def read(self, raw: int) -> Field:
        value = raw >> self.low & (1 << self.high - self.low + 1) - 1
        named = self.title if self.values is None else self.values.get(value, "reserved")
        return Field(self.name, self.high, self.low, value, named, self.source, self.feature)


def decode(rows: Iterable[Row], raw: int) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """Return the fields that exist in ``raw``, in table order, and what it violates.

    A violation is a bit set where no row exists (RES0), or a value its row does not name
    (reserved).
    """
    fields: list[Field] = []
    violations: list[str] = []
    known = 0
    for row in rows:
        if row.when(raw):
            field = row.read(raw)
            fields.append(field)
            known |= row.mask
            if row.values is not None and field.value not in row.values:
                violations.append(f"{field.name} holds the reserved value {field.value:#x}")
    violations += (f"bit {bit} is RES0 but set" for bit in _bits_of(raw & ~known))
    return tuple(fields), tuple(violations)


def encode(rows: Iterable[Row], values: Mapping[str, int]) -> int:
    """Return the register with each named field placed, and zero elsewhere.

    :raises ValueError: no row has that name, or the value does not fit. Conditions are not judged
        here: they depend on the whole register, which :func:`decode` can check afterwards.
    """
    places = {row.name: row for row in rows}
    raw = 0
    for name, value in values.items():
        row = places.get(name)
        if row is None:
            raise ValueError(f"no field {name} in this class of syndrome")
        if not 0 <= value << row.low <= row.mask:
            raise ValueError(f"{name} is {row.high - row.low + 1} bits wide: {value:#x}")
        raw |= value << row.low
    return raw


def _bits_of(mask: int) -> list[int]:
    return [bit for bit in reversed(range(REGISTER_BITS)) if mask >> bit & 1]
