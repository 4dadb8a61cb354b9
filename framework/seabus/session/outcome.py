# SPDX-License-Identifier: Apache-2.0
"""All that a session found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seabus.faults.fault import Fault, Receipt
from seabus.guest.translate import Addresses
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import Judgement
from seabus.observe.story import Story


@dataclass(kw_only=True)
class Outcome:
    """A verdict, and everything it rests on.

    :param faults: what was injected; empty in a negative control.
    :param receipts: the proof of each fault that landed, in the same order.
    :param seed: what the session drew by chance follows from it (:mod:`seabus.faults.draws`).
    :param addresses: the pages the session looked at, each in its address spaces.
    """

    judgement: Judgement
    story: Story
    expectations: Sequence[Expectation]
    faults: Sequence[Fault] = ()
    receipts: Sequence[Receipt] = ()
    addresses: Sequence[Addresses] = ()
    seed: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
