# SPDX-License-Identifier: Apache-2.0
"""printk() and the kernel's view of memory, as far as printing an error record needs them."""

import uuid
from dataclasses import dataclass, field

_LEVEL = 2  # bytes of a KERN_ level before the prefix, which counts where lines are wrapped
_ROW = 16
_GROUP = 4


class View:
    """Memory from some place on, little-endian. ``size`` is what the kernel believes to be there.

    Like the kernel, it may be read beyond ``size``; beyond what exists it reads zeros.
    """

    def __init__(self, data: bytes, start: int = 0, size: int | None = None) -> None:
        self._data = data
        self._start = start
        self.size = len(data) - start if size is None else size
        self.error_severity = 0  # of the entry that a section belongs to

    def at(self, offset: int, size: int | None = None) -> "View":
        return View(self._data, self._start + offset, size)

    def bytes(self, offset: int, size: int) -> bytes:
        start = self._start + offset
        return self._data[start : start + size].ljust(size, b"\0")

    def _number(self, offset: int, size: int) -> int:
        return int.from_bytes(self.bytes(offset, size), "little")

    def u8(self, offset: int) -> int:
        return self._number(offset, 1)

    def u16(self, offset: int) -> int:
        return self._number(offset, 2)

    def u32(self, offset: int) -> int:
        return self._number(offset, 4)

    def s32(self, offset: int) -> int:
        """A u32 that is printed with %d."""
        return int.from_bytes(self.bytes(offset, 4), "little", signed=True)

    def u64(self, offset: int) -> int:
        return self._number(offset, 8)

    def guid(self, offset: int) -> uuid.UUID:
        return uuid.UUID(bytes_le=self.bytes(offset, 16))


@dataclass
class Printer:
    """Collects lines that begin with a prefix."""

    prefix: str
    dimms: dict[int, tuple[str, str]]
    lines: list[str] = field(default_factory=list)

    def indented(self) -> "Printer":
        """Return one that writes to the same log with one more space."""
        return Printer(self.prefix + " ", self.dimms, self.lines)

    def line(self, text: str) -> None:
        self.lines.append(self.prefix + text)

    def bare(self, text: str) -> None:
        self.lines.append(text)

    def named(self, label: str, value: int, names: tuple[str, ...], unsigned: int | None = None) -> None:
        """Print ``label: number, name``; the number may be shown signed while it is looked up unsigned."""
        number = value if unsigned is None else unsigned
        self.line(f"{label}: {value}, {names[number] if number < len(names) else 'unknown'}")

    def bits(self, number: int, names: tuple[str, ...]) -> None:
        """Print names of set bits, as cper_print_bits() wraps them."""
        line = ""
        for bit, name in enumerate(names):
            if not number >> bit & 1:
                continue
            if line and _LEVEL + len(line) + len(name) + 2 > 80:
                self.lines.append(line)
                line = ""
            line = f"{line}, {name}" if line else self.prefix + name
        if line:
            self.lines.append(line)

    def hex_dump(self, data: bytes, *, characters: bool) -> None:
        """Print bytes as print_hex_dump(prefix, "", DUMP_PREFIX_OFFSET, 16, 4, ...) does."""
        for start in range(0, len(data), _ROW):
            row = data[start : start + _ROW]
            group = _GROUP if len(row) % _GROUP == 0 else 1
            words = (row[at : at + group][::-1].hex() for at in range(0, len(row), group))
            text = " ".join(words)
            if characters:
                shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
                text = text.ljust(2 * _ROW + _ROW // group + 1) + shown
            self.line(f"{start:08x}: {text}")
