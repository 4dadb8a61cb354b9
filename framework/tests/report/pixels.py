# SPDX-License-Identifier: Apache-2.0
"""A screenshot as a coarse map: where it is blank and where something is drawn."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Final

#: Pixels of a cell, each way.
_CELL: Final = 5
#: So much may a channel differ from the ground before it counts as drawn.
_FAINT: Final = 12


class Picture:
    """A PNG of 8 bits a channel, without interlacing, as Chromium writes it (W3C PNG, 3rd edition).

    :ivar rows: of each line its pixels, three bytes each.
    """

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        packed = b""
        at = 8
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at : at + 8])
            body = data[at + 8 : at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
                assert (depth, interlaced) == (8, 0)
                self._bytes = {2: 3, 6: 4}[colours]
            elif kind == b"IDAT":
                packed += body
            at += length + 12
        self.rows = self._unfiltered(zlib.decompress(packed))

    def _unfiltered(self, data: bytes) -> list[bytes]:
        size, stride = self._bytes, self.width * self._bytes
        above = bytearray(stride)
        rows = []
        for start in range(0, len(data), stride + 1):
            line = bytearray(data[start + 1 : start + 1 + stride])
            for n in range(stride):
                left, up = line[n - size] if n >= size else 0, above[n]
                corner = above[n - size] if n >= size else 0
                guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[data[start]]
                line[n] = (line[n] + guess) & 0xFF
            above = line
            rows.append(bytes(line if size == 3 else (line[n] for n in range(stride) if n % 4 != 3)))
        return rows

    def ground(self) -> tuple[int, int, int]:
        """The most frequent colour."""
        pixels = Counter(row[n : n + 3] for row in self.rows for n in range(0, len(row), 3))
        red, green, blue = pixels.most_common(1)[0][0]
        return red, green, blue

    def map(self) -> list[str]:
        """A line for each row of cells: # where something is drawn, . where there is the ground alone."""
        ground = self.ground()
        return [
            "".join(
                "#" if self._is_drawn(top, left, ground) else "."
                for left in range(0, self.width - _CELL + 1, _CELL)
            )
            for top in range(0, self.height - _CELL + 1, _CELL)
        ]

    def _is_drawn(self, top: int, left: int, ground: tuple[int, int, int]) -> bool:
        return any(
            abs(one - ground[n % 3]) > _FAINT
            for row in self.rows[top : top + _CELL]
            for n, one in enumerate(row[3 * left : 3 * (left + _CELL)])
        )


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))
