# SPDX-License-Identifier: Apache-2.0
"""Build ESR_ELx from the names of its fields; what the architecture lacks is refused by name."""

import difflib
from collections.abc import Callable, Iterable, Mapping

from seabus.arch._bits import Row, When
from seabus.arch.esr.classes import EC_ROW, EXCEPTION_CLASSES, ExceptionClass
from seabus.arch.esr.plans import il_is_one
from seabus.arch.esr.syndrome import Syndrome, decode_esr
from seabus.arch.esr.value import Esr

# Whole syndromes, which every class has under these names.
_WHOLE = {"ISS": Row("ISS", 24, 0, "", ""), "ISS2": Row("ISS2", 55, 32, "", "")}
# How many codes an error message shows of a long list.
_SHOWN = 2


class BadEsrField(ValueError):
    """A field that cannot be encoded: no such name, no such value, or not there in this syndrome.

    Usually caused by a typo, or by a field that only exists together with another (``SAS`` needs
    ``ISV``); the caller is at fault.

    :param field: the field's name, as given.
    :param reason: what is wrong with it, one line.
    :param allowed: what could stand in its place: names of fields, or values with their meaning.
    """

    #: As of :class:`seabus.errors.SeabusError`, which this package knows nothing of.
    exit_code = 2
    blame = "caller"
    advice = "seabus decode esr VALUE shows the fields of a syndrome like it, by their names"

    def __init__(self, field: str, reason: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(field, reason, allowed)
        self.field = field
        self.reason = reason
        self.allowed = allowed

    def __str__(self) -> str:
        return self.reason


def encode_esr(ec: int, /, el: int | None = None, **fields: int) -> Esr:
    """Build a legal ESR_ELx from its fields, named as the architecture spells them.

    >>> encode_esr(0x15, imm16=42)
    Esr(0x5600002a)
    >>> encode_esr(0x24, DFSC=0x10, Fnv=1)
    Traceback (most recent call last):
    seabus.arch.esr.encode.BadEsrField: no field Fnv in EC 0x24; did you mean FnV?

    To build an illegal one on purpose, pass the number to :class:`Esr`.

    :param ec: exception class, 0 to 63.
    :param el: whose register it is, 1 to 3. Without it, what any of the three has is legal.
    :param fields: values by name, such as ``DFSC=0x10``. Those left out are zero, but for IL,
        which is 1 as for every A64 instruction. Each class takes ``ISS`` and ``ISS2`` too, the
        whole syndromes, in place of their fields.
    :raises BadEsrField: a field unknown to this class, a value too wide or reserved, or a field
        that does not exist in company of the others. It is a :exc:`ValueError`.
    """
    entry = EXCEPTION_CLASSES.get(ec)
    if entry is None:
        known = tuple(f"{code:#04x} {known.name}" for code, known in EXCEPTION_CLASSES.items())
        raise BadEsrField("EC", f"EC {ec:#x} is reserved", known)
    if el is not None and el not in entry.levels:
        raise BadEsrField("EC", f"EC {ec:#04x} is not reported in ESR_EL{el}")
    values = {"IL": 1, **fields}
    rows = _rows_by_name(entry, el, values)
    raw = ec << EC_ROW.low
    # Fields with one row only come first: they decide which row of the others exists.
    for name in sorted(values, key=lambda name: len(rows[name])):
        row = next((row for row in rows[name] if row.when(raw)), rows[name][0])
        raw |= _place(row, values[name])
    syndrome = decode_esr(raw, el=el)
    for name, value in fields.items():
        whole = rows[name][0] is _WHOLE.get(name)
        if value and not whole and syndrome.get(name) is None:
            needs = _needs(rows[name][0].when, entry, syndrome)
            raise BadEsrField(name, f"{name} does not exist here ({syndrome.esr})" + needs)
    _refuse_violations(entry, syndrome)
    return syndrome.esr


def _rows_by_name(entry: ExceptionClass, el: int | None, values: Iterable[str]) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in entry.layout:
        if el is None or el in row.levels:
            rows.setdefault(row.name, []).append(row)
    for name, whole in _WHOLE.items():
        rows.setdefault(name, [whole])
    for name in values:
        if name not in rows:
            names = tuple(rows)
            near = {known.lower(): known for known in names}
            match = difflib.get_close_matches(name.lower(), near, n=1)
            hint = f"; did you mean {near[match[0]]}?" if match else ""
            raise BadEsrField(name, f"no field {name} in EC {entry.code:#04x}{hint}", names)
        for whole in _WHOLE.values():
            clash = rows[whole.name][0] is whole and rows[name][0].mask & whole.mask
            if clash and whole.name in values and name != whole.name:
                raise BadEsrField(name, f"{name} is a part of {whole.name}, which is given too")
    return rows


def _place(row: Row, value: int) -> int:
    width = row.high - row.low + 1
    if not 0 <= value < 1 << width:
        reason = f"{row.name} is {width} bit{'s' if width > 1 else ''} wide: {value:#x}"
        raise BadEsrField(row.name, reason, (f"0 to {(1 << width) - 1:#x}",))
    if row.values is not None and value not in row.values:
        raise _reserved(row.name, value, row.values)
    return value << row.low


def _reserved(name: str, value: int, values: Mapping[int, str]) -> BadEsrField:
    allowed = [f"{code:#x} {meaning}" for code, meaning in sorted(values.items())]
    nearest = sorted(values, key=lambda code: abs(code - value))[:_SHOWN]
    near = " and ".join(f"{code:#x} ({values[code]})" for code in sorted(nearest))
    reason = f"{name} holds the reserved value {value:#x}; nearest to it: {near}"
    return BadEsrField(name, reason, tuple(allowed))


def _needs(when: Callable[[int], bool], entry: ExceptionClass, syndrome: Syndrome) -> str:
    # Which other fields must change for a row to exist, such as "ISV = 0x1".
    if not isinstance(when, When):
        return ""
    needs: list[str] = []
    for row in entry.layout:
        if row.mask & when.mask == row.mask and row.when(syndrome.esr.raw):
            wanted = sorted({(value & row.mask) >> row.low for value in when.values})
            if (syndrome.esr.raw & row.mask) >> row.low not in wanted:
                needs.append(f"{row.name} = {_one_of(wanted)}")
    return f"; it needs {' and '.join(needs)}" if needs else ""


def _one_of(values: Iterable[int]) -> str:
    return " or ".join(f"{value:#x}" for value in values)


def _refuse_violations(entry: ExceptionClass, syndrome: Syndrome) -> None:
    # A field that was not given may be missing, and a whole ISS may break any rule.
    for row in entry.layout:
        field = syndrome.get(row.name)
        if field is not None and row.values is not None and field.value not in row.values:
            raise _reserved(row.name, field.value, row.values)
    if syndrome.violations:
        culprit = "IL" if not syndrome.esr.il and il_is_one(syndrome.esr.raw) else "ISS"
        words = "; ".join(syndrome.violations)
        raise BadEsrField(culprit, f"not a legal ESR_ELx ({syndrome.esr}): {words}")
