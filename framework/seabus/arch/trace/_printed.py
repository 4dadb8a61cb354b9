# SPDX-License-Identifier: Apache-2.0
"""Engine for events whose text one pattern describes: its groups are the fields."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeAlias

from seabus.arch.trace.line import TraceLine

#: A number in hexadecimal, with ``0x`` or without.
HEX = "(?:0x)?[0-9a-f]{1,16}"


#: An event's name to the pattern of its text, and what to make of the groups that are no text.
Text: TypeAlias = tuple[re.Pattern[str], Mapping[str, Callable[[str], Any]]]
Texts: TypeAlias = Mapping[str, Text]


def printed(pattern: str, **converters: Callable[[str], Any]) -> Text:
    """Describe a text by a pattern, after which a later kernel may print more."""
    return re.compile(rf"(?:{pattern})\b.*"), converters


def hexadecimal(text: str) -> int:
    return int(text, 16)


class PrintedEvent:
    """Base of the dataclasses, whose ``_texts`` describe the events they stand for."""

    __slots__ = ()
    _texts: ClassVar[Texts]

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        text = cls._texts.get(line.event)
        match = text[0].fullmatch(line.text.strip()) if text else None
        if text is None or match is None:
            return None
        values = {
            name: text[1].get(name, str)(value)
            for name, value in match.groupdict().items()
            if value is not None
        }
        make: Callable[..., Self] = cls
        return make(**values)
