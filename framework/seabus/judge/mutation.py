# SPDX-License-Identifier: Apache-2.0
"""Wrong expectations, made from right ones: a story that still passes with one shows a check that is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from seabus.judge.expectation import Expectation
from seabus.observe.events import UNJUDGED

#: Every bit of a field of this many is flipped by itself: each bit of a syndrome means something.
_BITS: Final = {"esr": 32}


@dataclass(frozen=True)
class Mutant:
    """Expectations with one mistake in them.

    :param what: the mistake, in words.
    """

    what: str
    expectations: Sequence[Expectation]


def mutants(expectations: Sequence[Expectation], seen: Sequence[str]) -> Iterator[Mutant]:
    """Each field of each expectation changed, each expectation dropped and doubled, each order reversed.

    :param seen: names of the expectations that were met: of one that may be missing, and was, nothing shows.
    """
    # What might be missing and was not: else one of these would do without its event, and lend it.
    met = [dataclasses.replace(one, optional=False) if one.name in seen else one for one in expectations]
    for number, expected in enumerate(expectations):
        if expected.name not in seen:
            continue

        def instead(*wrong: Expectation, number: int = number) -> list[Expectation]:
            return [*met[:number], *wrong, *met[number + 1 :]]

        for name, value in expected.fields.items():
            for other in _wrong_values(name, value):
                fields = {**expected.fields, name: other}
                yield Mutant(
                    f"{expected.name}: {name} {_shown(value)} -> {_shown(other)}",
                    instead(dataclasses.replace(expected, fields=fields)),
                )
        if expected.kind not in UNJUDGED:
            yield Mutant(f"{expected.name}: not expected", instead())
        twice = dataclasses.replace(expected, name=f"{expected.name} again", optional=False)
        yield Mutant(f"{expected.name}: expected twice", instead(met[number], twice))
        level = {"L1": "L2", "L2": "L1"}.get(expected.level, "L1")
        elsewhere = dataclasses.replace(expected, level=level)  # type: ignore[arg-type]
        yield Mutant(f"{expected.name}: at {level}", instead(elsewhere))
        yield from _reversed(expected, met, seen)


def _reversed(
    later: Expectation, expectations: Sequence[Expectation], seen: Sequence[str]
) -> Iterator[Mutant]:
    """Only within a level: between levels the order is known but to the clocks' error."""
    for number, earlier in enumerate(expectations):
        if earlier.name in later.after and earlier.name in seen and earlier.level == later.level:
            swapped = list(expectations)
            swapped[number] = dataclasses.replace(earlier, after=(later.name,))
            yield Mutant(f"{earlier.name}: after {later.name}", swapped)


def _wrong_values(name: str, value: Any) -> Iterator[Any]:  # noqa: ANN401 - any field's value
    if isinstance(value, tuple):
        yield tuple(next(_wrong_values(name, one)) for one in value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        for bit in range(_BITS.get(name, 1)):
            yield value ^ (1 << bit)
        yield value + 0x1000
    elif isinstance(value, str):
        yield f"{value}?"
    else:
        yield "something"


def _shown(value: Any) -> str:  # noqa: ANN401 - any field's value
    return f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)
