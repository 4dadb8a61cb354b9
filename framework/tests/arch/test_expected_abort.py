# SPDX-License-Identifier: Apache-2.0
"""Predicted aborts: values by hand from the Arm ARM, values measured, and what injectors get wrong."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from seabus.arch import abort_deviations
from seabus.arch import expected_abort as subject
from seabus.arch.addresses import GuestVirtual
from seabus.arch.esr import decode_esr, qemu_sea_esr
from seabus.arch.expected_abort import Abort, Access, Injector, KvmInjection, Origin

VA = GuestVirtual(0xFFFF_8000_1234_5678)
HARDWARE, KVM, QEMU, WRITER = Injector.HARDWARE, Injector.KVM, Injector.QEMU, Injector.REGISTER_WRITER
EL0, A32, EL1T, EL1H = Origin.EL0, Origin.EL0_AARCH32, Origin.EL1T, Origin.EL1H
LOAD, STORE, ATOMIC, DC, FETCH = Access.LOAD, Access.STORE, Access.ATOMIC, Access.MAINTENANCE, Access.FETCH

# (abort, ESR_EL1, vector). EC << 26 | IL << 25 | FnV << 10 | CM << 8 | WnR << 6 | status, by
# DDI 0487, ESR_EL1; the vectors by its "Exception vectors".
BY_HARDWARE = [
    (Abort(EL0, LOAD, VA), 0x92000010, 0x400),
    (Abort(A32, LOAD, VA), 0x92000010, 0x600),
    (Abort(EL1T, LOAD, VA), 0x96000010, 0x000),
    (Abort(EL1H, LOAD, VA), 0x96000010, 0x200),
    (Abort(EL0, STORE, VA), 0x92000050, 0x400),
    (Abort(EL1H, ATOMIC, VA), 0x96000010, 0x200),
    (Abort(EL1H, DC, VA), 0x96000150, 0x200),
    (Abort(EL0, FETCH, VA), 0x82000010, 0x400),
    (Abort(EL1H, FETCH, VA), 0x86000010, 0x200),
    (Abort(EL0, LOAD, VA, far_valid=False), 0x92000410, 0x400),
    (Abort(EL0, FETCH, VA, far_valid=False), 0x82000410, 0x400),
    # Table walks, level -2 to 3.
    (Abort(EL0, LOAD, VA, walk_level=-2), 0x92000012, 0x400),
    (Abort(EL0, LOAD, VA, walk_level=-1), 0x92000013, 0x400),
    (Abort(EL0, LOAD, VA, walk_level=0), 0x92000014, 0x400),
    (Abort(EL0, LOAD, VA, walk_level=1), 0x92000015, 0x400),
    (Abort(EL0, STORE, VA, walk_level=2), 0x92000056, 0x400),
    (Abort(EL1H, FETCH, VA, walk_level=3), 0x86000017, 0x200),
    # Parity or ECC errors have codes of their own without FEAT_RAS only.
    (Abort(EL0, LOAD, VA, parity=True), 0x92000010, 0x400),
    (Abort(EL0, LOAD, VA, parity=True, ras=False), 0x92000018, 0x400),
    (Abort(EL1H, STORE, VA, walk_level=-1, parity=True, ras=False), 0x9600005B, 0x200),
    (Abort(EL0, LOAD, VA, walk_level=0, parity=True, ras=False), 0x9200001C, 0x400),
    (Abort(EL0, FETCH, VA, walk_level=3, parity=True, ras=False), 0x8200001F, 0x400),
    # FEAT_DoubleFault2, SCTLR2_EL1.EASE: the SError vector, the same syndrome.
    (Abort(EL0, LOAD, VA, ease=True), 0x92000010, 0x580),
    (Abort(EL1H, STORE, VA, ease=True), 0x96000050, 0x380),
]


@pytest.mark.parametrize(("abort", "esr", "vector"), BY_HARDWARE)
def test_by_hardware(abort: Abort, esr: int, vector: int) -> None:
    expected = subject.predict_abort(abort, HARDWARE)
    assert int(expected.esr) == esr
    assert expected.vector == vector
    assert expected.far.valid == abort.far_valid
    assert expected.far.value == (VA if abort.far_valid else None)
    assert expected.accepts(esr)
    # A VMM that does as a processor does gives the same, and leaves nothing open.
    written = subject.predict_abort(abort, WRITER)
    assert (int(written.esr), written.vector, written.unknown) == (esr, vector, 0)
    assert (written.far.valid, written.far.value) == (expected.far.valid, expected.far.value)


# (abort, ESR_EL1 that hardware may report too, ESR_EL1 that it may not).
LATITUDE = [
    # EA (bit 9) and SET (bits 12:11: UEO is 3, 1 is reserved) are the implementation's.
    (Abort(EL0, LOAD, VA), [0x92000210, 0x92001810, 0x92001010], [0x92000050, 0x92000810, 0x96000010]),
    # WU (bits 17:16): the store did not, or did, update the location; 1 is reserved.
    (Abort(EL0, STORE, VA), [0x92020050, 0x92030050], [0x92010050, 0x92020010]),
    (Abort(EL0, LOAD, VA), [], [0x92020010]),
    # WnR of an External abort on an atomic access is UNKNOWN.
    (Abort(EL0, ATOMIC, VA), [0x92000050, 0x92030010], [0x92000150]),
    # Without FEAT_RAS there are neither SET nor WU.
    (Abort(EL0, STORE, VA, ras=False), [0x92000250], [0x92001850, 0x92020050]),
    # A fetch has no WU; FnV does not exist on a walk.
    (Abort(EL0, FETCH, VA), [0x82001A10], [0x82020010, 0x82000410]),
    (Abort(EL0, LOAD, VA, walk_level=3), [0x92000217], [0x92000417, 0x92000016]),
    # PFV stays 0 under a hypervisor, and ESR_EL1 has no VNCR.
    (Abort(EL1H, LOAD, VA), [], [0x96004010, 0x96002010]),
]


@pytest.mark.parametrize(("abort", "may", "may_not"), LATITUDE)
def test_what_hardware_may_report(abort: Abort, may: list[int], may_not: list[int]) -> None:
    expected = subject.predict_abort(abort, HARDWARE)
    assert [f"{esr:#x}" for esr in may if not expected.accepts(esr)] == []
    assert [f"{esr:#x}" for esr in may_not if expected.accepts(esr)] == []


def test_by_qemu_as_measured() -> None:
    expected = subject.predict_abort(Abort(EL0, LOAD, VA), QEMU)
    assert int(expected.esr) == 0x92000410
    assert not expected.far.valid
    assert expected.far.value == GuestVirtual(0)
    assert expected.vector == 0x400
    assert not expected.accepts(0x92000010)


def test_by_kvm_as_measured() -> None:
    expected = subject.predict_abort(Abort(EL1H, LOAD, VA), KVM)
    assert int(expected.esr) == 0x96000010
    assert expected.far.valid
    assert expected.far.value == VA
    assert expected.vector == 0x200
    assert not expected.accepts(0x96000210)


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("origin", Origin)
def test_qemu_reports_the_same_whatever_happened(access: Access, origin: Origin) -> None:
    for walk_level in (None, -1, 0, 3):
        abort = Abort(origin, access, VA, walk_level=walk_level, ease=True)
        expected = subject.predict_abort(abort, QEMU)
        assert int(expected.esr) == qemu_sea_esr(from_el0=origin in {EL0, A32})
        assert expected.vector == origin.value


def test_kvm_by_release() -> None:
    walk = Abort(EL1H, STORE, VA, walk_level=1, ease=True)
    found = {
        release: subject.predict_abort(walk, KVM, subject.kvm_injection(release))
        for release in ((6, 1), (6, 16), (6, 17), (6, 18), (7, 3))
    }
    assert {release: int(one.esr) for release, one in found.items()} == {
        (6, 1): 0x96000010,
        (6, 16): 0x96000010,
        (6, 17): 0x96000010,
        (6, 18): 0x96000015,
        (7, 3): 0x96000015,
    }
    assert {release: one.vector for release, one in found.items()} == {
        (6, 1): 0x200,
        (6, 16): 0x200,
        (6, 17): 0x380,
        (6, 18): 0x380,
        (7, 3): 0x380,
    }


def test_kvm_takes_the_instruction_length_from_the_last_exit() -> None:
    assert subject.predict_abort(Abort(A32, LOAD, VA), KVM).unknown == 1 << 25
    assert subject.predict_abort(Abort(EL0, LOAD, VA), KVM).unknown == 0


IMPOSSIBLE = [
    ({"walk_level": 4}, "no translation table has level 4"),
    ({"walk_level": -3}, "no translation table has level -3"),
    ({"walk_level": 0, "far_valid": False}, "status of 0x14: it has no FnV"),
    ({"parity": True, "ras": False, "far_valid": False}, "status of 0x18: it has no FnV"),
    ({"walk_level": -2, "parity": True, "ras": False}, "no fault status names a parity error"),
]


@pytest.mark.parametrize(("arguments", "text"), IMPOSSIBLE)
def test_no_processor_reports_that(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Abort(EL0, LOAD, VA, **arguments)


@pytest.mark.parametrize("injector", [KVM, QEMU])
def test_no_guest_of_kvm_has_level_minus_two(injector: Injector) -> None:
    with pytest.raises(ValueError, match="FEAT_D128"):
        subject.predict_abort(Abort(EL0, LOAD, VA, walk_level=-2), injector)


# (abort, injector, {field: (hardware, injected)}).
DEVIATIONS = [
    (Abort(EL0, LOAD, VA), KVM, {}),
    (Abort(EL0, LOAD, VA), QEMU, {"FnV": (0, 1), "FAR": (int(VA), None)}),
    (Abort(EL0, LOAD, VA, far_valid=False), QEMU, {}),
    (Abort(EL0, LOAD, VA, far_valid=False), KVM, {"FnV": (1, 0)}),
    (Abort(EL0, STORE, VA), QEMU, {"FnV": (0, 1), "WnR": (1, 0), "FAR": (int(VA), None)}),
    (Abort(EL0, STORE, VA), KVM, {"WnR": (1, 0)}),
    (Abort(EL0, ATOMIC, VA), KVM, {}),
    (Abort(EL1H, DC, VA), KVM, {"CM": (1, 0), "WnR": (1, 0)}),
    (Abort(EL0, FETCH, VA), QEMU, {"EC": (0x20, 0x24), "FnV": (0, 1), "FAR": (int(VA), None)}),
    (Abort(EL1H, FETCH, VA), KVM, {"EC": (0x21, 0x25)}),
    (
        Abort(EL0, LOAD, VA, walk_level=2),
        QEMU,
        {"FnV": (0, 1), "status": (0x16, 0x10), "FAR": (int(VA), None)},
    ),
    (Abort(EL0, LOAD, VA, walk_level=2), KVM, {}),
    (Abort(EL0, LOAD, VA, parity=True, ras=False), KVM, {"status": (0x18, 0x10)}),
    (
        Abort(EL1H, LOAD, VA, ease=True),
        QEMU,
        {"FnV": (0, 1), "FAR": (int(VA), None), "vector": (0x380, 0x200)},
    ),
    (Abort(EL1H, LOAD, VA, ease=True), KVM, {}),
]


@pytest.mark.parametrize(("abort", "injector", "fields"), DEVIATIONS)
def test_deviations(abort: Abort, injector: Injector, fields: dict[str, tuple[int, int | None]]) -> None:
    found = abort_deviations.deviations(abort, injector)
    assert {one.field: (one.hardware, one.injected) for one in found} == fields


def test_deviations_of_an_old_kernel() -> None:
    walk = Abort(EL1H, LOAD, VA, walk_level=2, ease=True)
    found = abort_deviations.deviations(walk, KVM, KvmInjection(ease=False, walk_level=False))
    assert [str(one).partition(", as")[0] for one in found] == [
        "status: 0x10 instead of 0x16",
        "vector: 0x200 instead of 0x380",
    ]


def every_abort() -> Iterator[Abort]:
    levels = (None, -2, -1, 0, 1, 2, 3)
    flags = list(itertools.product((False, True), repeat=4))
    for origin, access, level in itertools.product(Origin, Access, levels):
        for parity, far_valid, ras, ease in flags:
            try:
                yield Abort(origin, access, VA, level, parity, far_valid, ras, ease)
            except ValueError:
                assert level == -2 or not far_valid


def test_every_abort_is_legal_and_every_deviation_has_a_reason() -> None:
    count = 0
    for abort in every_abort():
        assert decode_esr(subject.predict_abort(abort, HARDWARE).esr, el=1).violations == ()
        assert abort_deviations.deviations(abort, WRITER) == ()
        if abort.walk_level == -2:
            continue
        for kvm in (KvmInjection(), KvmInjection(ease=False, walk_level=False)):
            assert all(one.why for one in abort_deviations.deviations(abort, KVM, kvm))
        assert all(one.why for one in abort_deviations.deviations(abort, QEMU))
        for injector in (KVM, QEMU):
            injected = subject.predict_abort(abort, injector).esr
            assert decode_esr(injected, el=1).violations == ()
        count += 1
    assert count > 500
