# SPDX-License-Identifier: Apache-2.0
"""Expectations as data: the chain of events a fault must cause, each with the values it must carry.

A :class:`Link` says what can be seen, by whom, and who promised it; it is written once. An
:class:`Expectation` is a link with the values that one fault must give it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seabus.observe.events import Event, Kind, Level


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One event that must be seen exactly once.

    :param optional: it may be missing; if it is there, it must be right.

    :param name: how verdicts and other expectations refer to it.
    :param link: the name of the link it was made from, if it was.
    :param fields: values the event's fields must equal; a tuple means any one of these.
    :param after: names of expectations whose events must not come later.
    :param promise: who promises this, and where it is written.
    """

    name: str
    level: Level
    witness: str
    kind: Kind
    fields: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    promise: str = ""
    link: str = ""
    optional: bool = False

    def differences(self, event: Event) -> dict[str, tuple[Any, Any]]:
        """The fields that are not as they must be: name to (expected, observed)."""
        wrong = {}
        for name, expected in self.fields.items():
            observed = event.fields.get(name)
            if observed not in (expected if isinstance(expected, tuple) else (expected,)):
                wrong[name] = (expected, observed)
        return wrong


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link of the chains that faults cause, without the values of any one fault.

    :param name: what verdicts, and the ``after`` of other links, call it.
    :param promise: who promises it, and where that is written.
    """

    name: str
    level: Level
    witness: str
    kind: Kind
    promise: str

    def __call__(
        self,
        *,
        after: tuple[Link, ...] = (),
        again: str = "",
        optional: bool = False,
        **fields: Any,  # noqa: ANN401 - the values of any field
    ) -> Expectation:
        """This link, with the values it must carry.

        :param after: links whose events must not come later: those with the same suffix, or, where there are
            none, those without, which are of all chains then.
        :param again: told from the same link elsewhere in the chain by this suffix of its name.
        """
        return Expectation(
            name=f"{self.name}{again}",
            level=self.level,
            witness=self.witness,
            kind=self.kind,
            fields=fields,
            after=tuple(f"{link.name}{again}" for link in after),
            promise=self.promise,
            link=self.name,
            optional=optional,
        )


def resolved(expectations: Sequence[Expectation]) -> list[Expectation]:
    """The same, and what each must come after is among them.

    One record may begin several chains: what follows ``host-record-second``, which is not expected, follows
    ``host-record``. What is not expected at all is in no order.
    """
    names = {one.name for one in expectations}

    def known(one: Expectation, earlier: str) -> str:
        again = one.name.removeprefix(one.link) if one.link else ""
        return earlier if earlier in names else earlier.removesuffix(again)

    return [
        replace(one, after=tuple(name for name in (known(one, name) for name in one.after) if name in names))
        for one in expectations
    ]
