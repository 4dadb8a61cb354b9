# SPDX-License-Identifier: Apache-2.0
"""Addresses, threads and nonces, each by what it stands for: two runs are alike if these can be renamed.

Names are given in the order in which values are met, so both runs must be read in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from seabus.observe.events import Event
from seabus.report.loaded import Run

#: Fields that no two runs share, and that tell nothing.
_NOISE: Final = frozenset(("pc", "value", "esr_decoded", "cper"))
_THREADS: Final = frozenset(("tid", "pid", "vmm_pid"))
_NONCES: Final = frozenset(("nonce", "fru_id"))
_FRAMES: Final = frozenset(("pfn", "to_pfn"))
_PHYSICAL: Final = frozenset(("physical_address",))
_VIRTUAL: Final = frozenset(("address", "fault_address", "far", "page"))
_PAGE_BITS: Final = 12
#: Numbers within words: with 0x, or long enough to be an address or a page frame, with a digit in it.
_IN_WORDS: Final = re.compile(r"\b(?:0x[0-9a-f]+|(?=[a-f]*[0-9])[0-9a-f]{5,16})\b")


class Roles:
    """The names of one run's values."""

    def __init__(self, run: Run) -> None:
        self._pages = dict(_known_pages(run.addresses))
        self._names: dict[tuple[str, object], str] = {}

    def fields(self, event: Event) -> Mapping[str, Any]:
        """An event's fields, each volatile value by its name; those without a value are left out."""
        return {
            name: self._named(name, found, event)
            for name, found in event.fields.items()
            if name not in _NOISE and found is not None
        }

    def words(self, text: str) -> str:
        """Words with the numbers in them by their names."""
        return _IN_WORDS.sub(lambda found: self._name("number", found[0].removeprefix("0x")), text)

    def _named(self, name: str, found: object, event: Event) -> object:
        if name in _THREADS:
            return self._name(f"{event.level} thread", found)
        if name in _NONCES:
            return self._name("record", found)
        number = _number(found)
        if number is not None and name in _FRAMES:
            return self._page(event.level, "physical", number << _PAGE_BITS)
        if number is not None and name in _PHYSICAL:
            return self._page(event.level, "physical", number)
        if number is not None and name in _VIRTUAL:
            # What is injected is an address of the level above; it says of which kind.
            space = str(event.fields.get("address_space") or f"{event.level} virtual").split() or ["?"]
            return self._page(space[0], space[-1], number)
        return self.words(found) if isinstance(found, str) else found

    def _page(self, level: str, kind: str, address: int) -> str:
        if address == 0:
            return "0x0"
        page, offset = address >> _PAGE_BITS, address & ((1 << _PAGE_BITS) - 1)
        name = self._pages.get((level, kind, page)) or self._name(f"{level} {kind} page", page)
        return f"{name} + {offset:#x}" if offset else name

    def _name(self, what: str, found: object) -> str:
        """The how manieth of its kind it is, from the first that was met."""
        number = sum(1 for kind, _ in self._names if kind == what) + 1
        # A damaged file may have a list there.
        value = found if isinstance(found, str | int) else repr(found)
        return self._names.setdefault((what, value), f"{what} {number}")


def _known_pages(steps: Iterable[Mapping[str, Any]]) -> Iterable[tuple[tuple[str, str, int], str]]:
    """The victim's page, in each of its address spaces."""
    for step in steps:
        words, address = str(step.get("space", "")).split(), _number(step.get("address"))
        if len(words) > 1 and address is not None:
            yield (words[0], words[1], address >> _PAGE_BITS), f"the page ({words[0]} {words[1]})"


def _number(found: object) -> int | None:
    if isinstance(found, bool):
        return None
    if isinstance(found, int):
        return found
    try:
        return int(found, 16) if isinstance(found, str) else None
    except ValueError:
        return None
