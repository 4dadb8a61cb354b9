# SPDX-License-Identifier: Apache-2.0
"""Files that people write in TOML: what is wrong is told with file, line and the nearest right key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from seabus.errors import UsageError

#: The way to a value: names of tables and keys, and numbers in arrays of tables.
Where = tuple[str | int, ...]


class TomlFile:
    """A document, and the text it was read from.

    :param about: where its keys are explained, for the hint.
    """

    def __init__(self, path: Path, text: str, *, about: str) -> None:
        self.path = path
        self.document: Mapping[str, Any] = tomllib.loads(text)
        self._lines: Final = text.splitlines()
        self._about = about

    @classmethod
    def read(cls, path: Path, *, what: str, about: str) -> Self:
        """Read a file.

        :param what: what it is, for the error.
        :raises UsageError: it cannot be read, or is not TOML.
        """
        try:
            return cls(path, path.read_text(encoding="utf-8"), about=about)
        except OSError as error:
            raise UsageError(f"cannot read {what} {path}: {error.strerror}", hint=about) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            place = f"{path}:{_line_of(error, path)}"
            raise UsageError(f"{place}: is not TOML: {error}", hint=f"{about} has an example") from error

    def place(self, where: Where) -> str:
        """A value's place, as errors begin: the file, the line, the way to it."""
        return f"{self.path}:{self._line(where)}: {'.'.join(map(str, where)) or 'the file'}"

    def wrong(self, where: Where, what: str) -> UsageError:
        """The error to raise about a value, or its absence."""
        return UsageError(f"{self.place(where)}: {what}", hint=self._about)

    def known(self, table: Mapping[str, Any], names: Collection[str], where: Where) -> None:
        """That a table has no other keys.

        :raises UsageError: it has one; the nearest right one is told.
        """
        for key in table:
            if key not in names:
                raise self.wrong((*where, key), f"is not known{nearest(key, names)}")

    def table(self, document: Mapping[str, Any], name: str, where: Where) -> Mapping[str, Any]:
        """A table of a table; empty if it is not there."""
        table = document.get(name, {})
        if not isinstance(table, Mapping):
            raise self.wrong((*where, name), "is no table")
        return table

    def tables(self, name: str) -> list[Mapping[str, Any]]:
        """An array of tables, ``[[name]]``."""
        found = self.document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise self.wrong((name,), f"is no array of tables: [[{name}]]")
        return found

    def _line(self, where: Where) -> int:
        """Where a key stands; tomllib keeps no positions, so it is looked for as people write it."""
        if len(where) >= 2 and isinstance(where[1], int):
            return self._line_in_array(str(where[0]), where[1], where[2:])
        names = tuple(map(str, where))
        for depth in range(len(names), 0, -1):
            heading = _dotted(names[:depth]) + (r"\s*\]" if depth > 1 or names[depth:] else r"\s*[\].]")
            start = self._first(rf"\s*\[\s*{heading}", 0)
            if start and names[depth:]:
                return self._first(rf"\s*{_dotted(names[depth:][:1])}\s*[.=]", start) or start
            if start:
                return start
        return 1

    def _line_in_array(self, name: str, number: int, rest: Where) -> int:
        start = 0
        for _ in range(number + 1):
            start = self._first(rf"\s*\[\[\s*{_dotted((name,))}\s*\]\]", start)
        if start and rest:
            end = self._first(r"\s*\[\[", start) or len(self._lines) + 1
            key = _dotted((str(rest[0]),))
            found = self._first(rf"\s*(?:{key}\s*[.=]|\[\s*{_dotted((name, str(rest[0])))}\s*[\].])", start)
            return found if found and found < end else start
        return start or self._first(rf"\s*{_dotted((name,))}\s*=", 0) or 1

    def _first(self, pattern: str, after: int) -> int:
        """The number of the first line after a line that a pattern matches, or 0."""
        for number, line in enumerate(self._lines[after:], start=after + 1):
            if re.match(pattern, line):
                return number
        return 0


def nearest(word: str, words: Collection[str]) -> str:
    """What to add to an error about a word that is none of these."""
    near = difflib.get_close_matches(word, words, 1)
    return f"; did you mean `{near[0]}`?" if near else f": none of {', '.join(sorted(words))}"


def _line_of(error: tomllib.TOMLDecodeError | UnicodeDecodeError, path: Path) -> int:
    """Where reading ended: tomllib tells it in words alone."""
    if isinstance(error, UnicodeDecodeError):
        return error.object[: error.start].count(b"\n") + 1
    found = re.search(r"\(at line (\d+),", str(error))
    return int(found[1]) if found else max(1, len(path.read_text(encoding="utf-8").splitlines()))


def _dotted(names: Sequence[str]) -> str:
    return r"\s*\.\s*".join(f'"?{re.escape(name)}"?' for name in names)
