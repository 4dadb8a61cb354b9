# SPDX-License-Identifier: Apache-2.0
"""Where an injected abort differs from the one a processor would have reported, and why.

>>> from seabus.arch.addresses import GuestVirtual
>>> from seabus.arch.expected_abort import Access, Origin
>>> store = Abort(Origin.EL0, Access.STORE, GuestVirtual(0x1040))
>>> for found in deviations(store, Injector.QEMU):
...     print(found)
FnV: 0x1 instead of 0x0, as SIGBUS names no guest virtual address, and QEMU says so
WnR: 0x0 instead of 0x1, as syn_data_abort_no_iss() is called with wnr 0
FAR: not valid instead of 0x1040, as SIGBUS names no guest virtual address, and QEMU says so
"""

from collections.abc import Iterator
from dataclasses import dataclass

from seabus.arch.expected_abort import (
    Abort,
    ExpectedAbort,
    FarRule,
    Injector,
    KvmInjection,
    predict_abort,
)

# Fields of ESR_EL1 that both kinds of abort have at the same place: name, high and low bit.
_FIELDS = (
    ("EC", 31, 26),
    ("IL", 25, 25),
    ("FnV", 10, 10),
    ("CM", 8, 8),
    ("WnR", 6, 6),
    ("status", 5, 0),
)

_SIGBUS = "SIGBUS names no guest virtual address, and QEMU says so"

# Sources: QEMU target/arm/kvm.c kvm_inject_arm_sea(), target/arm/helper.c
# arm_cpu_do_interrupt_aarch64(); Linux arch/arm64/kvm/inject_fault.c inject_abt64(), arch/arm64/kvm/
# guest.c __kvm_arm_vcpu_set_events().
_REASONS = {
    Injector.QEMU: {
        "EC": "kvm_inject_arm_sea() makes a data abort of every SIGBUS",
        "FnV": _SIGBUS,
        "CM": "syn_data_abort_no_iss() is called with cm 0",
        "WnR": "syn_data_abort_no_iss() is called with wnr 0",
        "status": "syn_data_abort_no_iss() is called with fsc 0x10",
        "FAR": _SIGBUS,
        "vector": "arm_cpu_do_interrupt_aarch64() heeds EASE of EL3 only",
    },
    Injector.KVM: {
        "EC": "KVM_SET_VCPU_EVENTS has ext_dabt_pending, and nothing for a fetch",
        "FnV": "inject_abt64() never sets FnV: FAR is FAR_EL2 of the last exit",
        "CM": "inject_abt64() builds EC, IL and the status only",
        "WnR": "inject_abt64() builds EC, IL and the status only",
        "status": "inject_abt64() reports External aborts only, and walks from Linux 6.18 on",
        "vector": "inject_abt64() heeds SCTLR2_EL1.EASE from Linux 6.17 on",
    },
}


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that an injected abort has otherwise than a processor's.

    :param field: a field of ESR_EL1 (``status`` stands for DFSC and IFSC), ``FAR``, or ``vector``.
    :param hardware: the processor's value.
    :param injected: the injector's value, ``None`` for a FAR that is not valid.
    :param why: the reason, with the function that causes it.
    """

    field: str
    hardware: int
    injected: int | None
    why: str

    def __str__(self) -> str:
        injected = "not valid" if self.injected is None else f"{self.injected:#x}"
        return f"{self.field}: {injected} instead of {self.hardware:#x}, as {self.why}"


def deviations(abort: Abort, injector: Injector, kvm: KvmInjection | None = None) -> tuple[Deviation, ...]:
    """List where that injector's abort differs from what hardware may report for the same.

    A value that hardware may report, too, is no deviation: the direction of an atomic access, the
    state that SET describes.

    :param kvm: what the host's KVM can do, for :attr:`Injector.KVM`; the newest by default.
    :raises ValueError: as of :func:`predict_abort`.
    """
    hardware = predict_abort(abort, Injector.HARDWARE)
    injected = predict_abort(abort, injector, kvm)
    reasons = _REASONS.get(injector, {})
    return tuple(
        Deviation(field, theirs, ours, reasons[field])
        for field, theirs, ours in _differences(hardware, injected)
    )


def _differences(hardware: ExpectedAbort, injected: ExpectedAbort) -> Iterator[tuple[str, int, int | None]]:
    known = ~(hardware.unknown | injected.unknown)
    for name, high, low in _FIELDS:
        mask = (1 << high + 1) - (1 << low)
        theirs, ours = int(hardware.esr) & mask & known, int(injected.esr) & mask & known
        if theirs != ours:
            yield name, theirs >> low, ours >> low
    if (address := _address(hardware.far)) is not None and _address(injected.far) != address:
        yield "FAR", address, _address(injected.far)
    if hardware.vector != injected.vector:
        yield "vector", hardware.vector, injected.vector


def _address(far: FarRule) -> int | None:
    return int(far.value) if far.valid and far.value is not None else None
