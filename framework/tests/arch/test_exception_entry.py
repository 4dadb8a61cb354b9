# SPDX-License-Identifier: Apache-2.0
"""Exception entry, against values that were seen on KVM (Linux 7.3.4) and by the text of the manual."""

from __future__ import annotations

import pytest

from seabus.arch import exception_entry as entry
from seabus.arch.exception_entry import EntryRules, take_exception

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
    taken = take_exception(before, pc=0x1234, vbar=VBAR, rules=rules)
    assert taken.pstate == after
    assert (taken.spsr, taken.elr) == (before, 0x1234)


@pytest.mark.parametrize(
    ("mode", "target_el", "offset"),
    [
        (0x0, 1, 0x400),
        (0x4, 1, 0x000),
        (0x5, 1, 0x200),
        (0x10, 1, 0x600),
        (0x0, 2, 0x400),
        (0x5, 2, 0x400),
        (0x8, 2, 0x000),
        (0x9, 2, 0x200),
    ],
)
def test_vectors(mode: int, target_el: int, offset: int) -> None:
    for serror in (False, True):
        taken = take_exception(
            mode, pc=0, vbar=VBAR, rules=EntryRules(), serror_vector=serror, target_el=target_el
        )
        assert taken.pc == VBAR + offset + 0x180 * serror
        assert taken.pstate & 0x1F == target_el << 2 | 1


@pytest.mark.parametrize(("mode", "target_el"), [(0x9, 1), (0xD, 2), (0x1, 1), (0x6, 2)])
def test_what_cannot_be(mode: int, target_el: int) -> None:
    with pytest.raises(ValueError, match="takes no exception"):
        take_exception(mode, pc=0, vbar=VBAR, rules=EntryRules(), target_el=target_el)


def test_fields_do_not_overlap() -> None:
    fields = [entry.NZCV, entry.TCO, entry.DIT, entry.UAO, entry.PAN, entry.SSBS, entry.DAIF, 0x1F]
    assert sum(fields) == 0x1F | entry.NZCV | 0x03C0_0000 | entry.SSBS | entry.DAIF
