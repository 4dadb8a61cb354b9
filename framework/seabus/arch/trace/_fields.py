# SPDX-License-Identifier: Apache-2.0
"""Fields of an event's text: ``name=value`` pairs, one of which may be free text, and numbers in them."""

import re
from collections.abc import Mapping

_PAIR = re.compile(r"(\w+)=(\S*)")
_NUMBER_LENGTH = 20

# memory_failure_event of mainline prints a sentence; the name=value form is what a trace of the raw
# fields gives.
_MEMORY_FAILURE = (
    re.compile(r"pfn (?P<pfn>0x[0-9a-f]+|0): recovery action for (?P<page_type>.+): (?P<result>.+)"),
    re.compile(r"pfn=(?P<pfn>\w+) page_type=(?P<page_type>.+) result=(?P<result>.+)"),
)


def fields_of(event: str, text: str) -> dict[str, str]:
    """Return the fields of an event's text, as text."""
    text = text.strip()
    if event == "memory_failure_event":
        for pattern in _MEMORY_FAILURE:
            if match := pattern.fullmatch(text):
                return match.groupdict()
    if event == "signal_generate":
        return pairs_around(text, "comm", after=("pid", "grp", "res"))
    return dict(_PAIR.findall(text))


def pairs_around(text: str, free: str, *, after: tuple[str, ...]) -> dict[str, str]:
    """Read pairs of which ``free`` may hold blanks and anything else, pairs included.

    Whatever stands before ``free=`` are pairs. Behind it pairs are taken from the end, until all names
    ``after`` it were met, in any order, or a name comes twice. What is left is the value. So fields that a
    later kernel adds, wherever, do no harm.
    """
    head, found, tail = f" {text}".partition(f" {free}=")
    fields = dict(_PAIR.findall(head))
    if not found:
        return fields
    words = tail.split(" ")
    taken: dict[str, str] = {}
    while len(words) > 1:
        name, equals, value = words[-1].partition("=")
        if not equals or not name.isidentifier() or name in taken or taken.keys() >= set(after):
            break
        taken[name] = value
        words.pop()
    if taken.keys().isdisjoint(after):  # nothing is known to follow, so nothing tells a pair from the value
        words, taken = tail.split(" "), {}
    return {**fields, free: " ".join(words), **dict(reversed(taken.items()))}


def number(fields: Mapping[str, str], name: str) -> int | None:
    """Return a field's number, decimal or with ``0x``; ``None`` if it is absent or no number."""
    text = fields.get(name, "")
    try:
        return int(text, 0) if len(text) <= _NUMBER_LENGTH else None
    except ValueError:
        return None


def hexadecimal(fields: Mapping[str, str], name: str) -> int | None:
    """The same of a field printed in hexadecimal without ``0x``."""
    text = fields.get(name, "")
    try:
        return int(text, 16) if len(text) <= _NUMBER_LENGTH else None
    except ValueError:
        return None
