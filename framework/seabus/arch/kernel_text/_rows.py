# SPDX-License-Identifier: Apache-2.0
"""Engine for printed fields: rows of patterns whose named groups become a dataclass's arguments."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Patterns of whole lines. A group is a number, in decimal or with 0x, unless it is listed otherwise.

    Each pattern is bounded and unambiguous, so that a line is read in linear time. Of several lines that
    match the first counts.
    """

    patterns: tuple[re.Pattern[str], ...]
    text: frozenset[str]
    hexadecimal: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for pattern in self.patterns for name in pattern.groupindex)

    def read(self, lines: Iterable[str]) -> dict[str, Any]:
        """Return the groups of the lines that match, converted; a line is taken by the first row only."""
        found: dict[str, Any] = {}
        for line in lines:
            for pattern in self.patterns:
                if match := pattern.fullmatch(line):
                    for name, value in match.groupdict().items():
                        if value is not None:
                            found.setdefault(name, self._convert(name, value))
                    break
        return found

    def integers(self, lines: Iterable[str]) -> dict[str, int]:
        """The same, of rows without text."""
        return self.read(lines)

    def integers_of_each(self, lines: Sequence[str]) -> dict[str, int]:
        """Return the groups of every row that matches a line, for lines that hold several fields."""
        found: dict[str, int] = {}
        for line in lines:
            for pattern in self.patterns:
                if match := pattern.fullmatch(line):
                    for name, value in match.groupdict().items():
                        found.setdefault(name, self._convert(name, value))
        return found

    def _convert(self, name: str, value: str) -> Any:  # noqa: ANN401 - the dataclass says which it is
        if name in self.text:
            return value.strip()
        return int(value, 16 if name in self.hexadecimal else 0 if value.startswith("0x") else 10)


def rows(*patterns: str, text: Iterable[str] = (), hexadecimal: Iterable[str] = ()) -> Rows:
    """Compile a table."""
    compiled = tuple(re.compile(pattern) for pattern in patterns)
    return Rows(compiled, frozenset(text), frozenset(hexadecimal))
