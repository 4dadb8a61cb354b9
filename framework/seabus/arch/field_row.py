# SPDX-License-Identifier: Apache-2.0
"""One row of a decoded structure: which field, where it lies, what it holds, what that means."""

import uuid
from dataclasses import dataclass
from typing import Any

#: What a field may hold: a number, a text, bytes that have no finer structure, a GUID.
FieldValue = int | str | bytes | uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """A field, or named bits of one, as it lies in a record.

    ``path`` says which structure, such as ``entry[0].section``; ``offset`` is in bytes from the first
    byte of the record, ``length`` in bytes. ``high`` and ``low`` are the bits within those bytes, read
    as one little-endian number, or ``None`` for all of them. ``valid`` is false where the record's
    validation bits do not declare the field; its value is then what lies there. ``problem`` says in
    words what the specification forbids, and is empty for a legal field.
    """

    path: str
    name: str
    offset: int
    length: int
    value: FieldValue
    meaning: str
    source: str
    high: int | None = None
    low: int | None = None
    valid: bool = True
    problem: str = ""

    @property
    def bits(self) -> str:
        """The bits as ``7:5`` or ``3``; empty where the field is all of its bytes."""
        if self.high is None or self.low is None:
            return ""
        return str(self.low) if self.high == self.low else f"{self.high}:{self.low}"

    @property
    def text(self) -> str:
        """The value as a person reads it: numbers and bytes in hexadecimal, long bytes shortened."""
        if isinstance(self.value, int):
            wide = 8 * self.length if self.high is None or self.low is None else self.high - self.low + 1
            return f"0x{self.value:0{(wide + 3) // 4}x}"
        if isinstance(self.value, bytes):
            return self.value.hex() if len(self.value) <= 32 else f"{self.value[:32].hex()}..."
        if isinstance(self.value, str):
            return self.value.encode("ascii", "backslashreplace").decode("ascii")
        return str(self.value)

    def as_dict(self) -> dict[str, Any]:
        """The row with values that JSON has: bytes as hexadecimal digits, a GUID as text."""
        value = self.value.hex() if isinstance(self.value, bytes) else self.value
        return {
            "path": self.path,
            "name": self.name,
            "offset": self.offset,
            "length": self.length,
            "bits": self.bits,
            "value": value if isinstance(value, int) else self.text if isinstance(value, str) else str(value),
            "meaning": self.meaning,
            "source": self.source,
            "valid": self.valid,
            "problem": self.problem,
        }

    def __str__(self) -> str:
        return f"{self.path}.{self.name} {self.text} {self.meaning}".rstrip()
