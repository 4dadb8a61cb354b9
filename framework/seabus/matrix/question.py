# SPDX-License-Identifier: Apache-2.0
"""A cell of the matrix as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from seabus.kvmprobe.cell import Cell

#: Fields of an :class:`Expected` in the order they are told.
FIELDS: Final = (
    "outcome", "vector", "esr", "far", "elr", "spsr", "pstate", "disr", "isr", "changed", "exits", "taken",
    "pending",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is found after a cell; ``None`` is not asked for.

    :param vector: offset from VBAR_EL1.
    :param esr_unknown: bits of ``esr`` that may have either value.
    :param changed: names of X registers that are not what they were.
    :param exits: how KVM_RUN returned, beside what the payload told: "mmio", "nisv", "sigbus", or an errno.
    :param taken: how many exceptions the payload took.
    :param outcome: "reported"; "stuck"; "refused N" by errno; "silent": the payload did not report.
    """

    vector: int | None = None
    esr: int | None = None
    esr_unknown: int = 0
    far: int | None = None
    elr: int | None = None
    spsr: int | None = None
    pstate: int | None = None
    disr: int | None = None
    isr: int | None = None
    changed: frozenset[str] = frozenset()
    exits: tuple[str, ...] = ()
    taken: int = 1
    pending: bool = False
    outcome: str = "reported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and what is to be expected.

    :param group: the part of the matrix.
    :param at: its coordinates, by name.
    :param cell: what the probe is asked; ``None`` if it cannot be asked at all.
    :param spec: what the specification demands, or a processor would report.
    :param known: what this path is known to make of it, where that is something else.
    :param rules: for each field in which ``known`` differs, why; with its source or finding.
    :param illegal: why no processor reports what ``spec`` says; the VMM chose it.
    :param unreachable: why it cannot be had here.
    :param core: the other witnesses are asked, too.
    """

    group: str
    at: Mapping[str, str]
    cell: Cell | None = None
    spec: Expected = field(default_factory=Expected)
    known: Expected | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    illegal: str = ""
    unreachable: str = ""
    core: bool = False

    def __str__(self) -> str:
        return f"{self.group}: " + ", ".join(f"{name} {value}" for name, value in self.at.items())
