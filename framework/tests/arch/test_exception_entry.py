# SPDX-License-Identifier: Apache-2.0
"""Exception entry, against values that were seen on KVM (Linux 7.3.4) and by the text of the manual."""

from __future__ import annotations

import pytest

from seabus.arch import exception_entry as entry
from seabus.arch.exception_entry import EntryRules, enter_el1, origin_of
from seabus.arch.expected_abort import Origin

VBAR = 0x4000_0800


@pytest.mark.parametrize(
    ("before", "rules", "after"),
    [
        (0x3C0, EntryRules(), 0x3C5),
        (0xF1C0_03C5, EntryRules(ssbs=True), 0xF140_03C5),  # UAO goes; NZCV, DIT, PAN stay
        (0xF100_13C4, EntryRules(ssbs=True), 0xF100_03C5),  # SSBS becomes DSSBS
        (0x0000_03C4, EntryRules(ssbs=True, dssbs=True), 0x13C5),
        (0x0000_0000, EntryRules(span=False), 0x0040_03C5),
        (0x0000_0000, EntryRules(pan=False, span=False), 0x3C5),
        (0x0000_0000, EntryRules(mte=True), 0x0200_03C5),
        (0x0030_0C05, EntryRules(), 0x3C5),  # SS, IL and BTYPE
    ],
)
def test_pstate(before: int, rules: EntryRules, after: int) -> None:
    taken = enter_el1(before, pc=0x1234, vbar=VBAR, rules=rules)
    assert taken.pstate == after
    assert (taken.spsr, taken.elr) == (before, 0x1234)


@pytest.mark.parametrize(
    ("mode", "origin"),
    [(0x0, Origin.EL0), (0x4, Origin.EL1T), (0x5, Origin.EL1H), (0x10, Origin.EL0_AARCH32)],
)
def test_vectors(mode: int, origin: Origin) -> None:
    assert origin_of(mode) is origin
    assert enter_el1(mode, pc=0, vbar=VBAR, rules=EntryRules()).pc == VBAR + origin.value
    serror = enter_el1(mode, pc=0, vbar=VBAR, rules=EntryRules(), serror_vector=True)
    assert serror.pc == VBAR + origin.value + 0x180


def test_el2_is_no_origin() -> None:
    with pytest.raises(ValueError, match="not of EL0 or EL1"):
        enter_el1(0x9, pc=0, vbar=VBAR, rules=EntryRules())


def test_fields_do_not_overlap() -> None:
    fields = [entry.NZCV, entry.TCO, entry.DIT, entry.UAO, entry.PAN, entry.SSBS, entry.DAIF, 0x1F]
    assert sum(fields) == 0x1F | entry.NZCV | 0x03C0_0000 | entry.SSBS | entry.DAIF
