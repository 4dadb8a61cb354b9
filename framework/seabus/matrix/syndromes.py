# SPDX-License-Identifier: Apache-2.0
"""Every ESR_EL1 a VMM may write: whether the guest gets it, and whether a processor could report it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from seabus.arch.esr import decode_esr
from seabus.arch.exception_entry import DAIF, PSTATE_MODES, take_exception
from seabus.arch.expected_abort import Origin
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell
from seabus.kvmprobe.vm import Vm
from seabus.matrix.aborts import readable
from seabus.matrix.places import BAD, ORIGIN_NAMES, ORIGINS
from seabus.matrix.question import Expected, Question

_IL: Final = 1 << 25
_FNV: Final = 1 << 10
_ISV: Final = 1 << 24
_S1PTW: Final = 1 << 7
_DATA_ABORTS: Final = frozenset({0x24, 0x25})
_ABORTS: Final = _DATA_ABORTS | {0x20, 0x21}
#: Aborts, breakpoints, steps and watchpoints come in pairs.
_FROM_LOWER: Final = frozenset({0x20, 0x24, 0x30, 0x32, 0x34})
_FROM_SAME: Final = frozenset(ec + 1 for ec in _FROM_LOWER)
#: External aborts on the access and on walks of levels -1 to 3.
_SEA: Final = (0x10, 0x13, 0x14, 0x15, 0x16, 0x17)
_NO_SYNDROME: Final = (
    "struct kvm_vcpu_events has no syndrome for ext_dabt_pending"
    " (Linux Documentation/virt/kvm/api.rst, KVM_SET_VCPU_EVENTS)"
)


def syndromes(vm: Vm) -> Iterator[Question]:
    """All fault status codes, exception classes and single bits."""
    yield from _every_status(vm)
    yield from _every_class(vm)
    yield from _every_bit(vm)


def _every_status(vm: Vm) -> Iterator[Question]:
    for origin in ORIGINS:
        for kind, ec in (("data", 0x24), ("instruction", 0x20)):
            for code in range(64):
                at = {"origin": ORIGIN_NAMES[origin], "kind": kind, "status": f"{code:#04x}"}
                for fnv in (0, 1):
                    for il in (0, 1):
                        esr = (ec | (origin is not Origin.EL0)) << 26 | il << 25 | fnv << 10 | code
                        more = {"FnV": str(fnv), "IL": str(il), "path": "registers"}
                        yield _question(vm, origin, esr, {**at, **more}, fetch=kind == "instruction")
                if kind == "instruction" or code not in _SEA:
                    yield Question(group="syndrome", at={**at, "path": "events"}, unreachable=_NO_SYNDROME)


def _every_class(vm: Vm) -> Iterator[Question]:
    for origin in ORIGINS:
        for ec in range(64):
            at = {"origin": ORIGIN_NAMES[origin], "class": f"{ec:#04x}", "path": "registers"}
            yield _question(vm, origin, ec << 26 | _IL, at)


def _every_bit(vm: Vm) -> Iterator[Question]:
    for origin in ORIGINS:
        for code in _SEA:
            for bit in (*range(6, 25), *range(32, 64)):
                esr = (0x24 | (origin is not Origin.EL0)) << 26 | _IL | 1 << bit | code
                at = {"origin": ORIGIN_NAMES[origin], "status": f"{code:#04x}", "bit": str(bit)}
                yield _question(vm, origin, esr, {**at, "path": "registers"})


def _question(vm: Vm, origin: Origin, esr: int, at: dict[str, str], *, fetch: bool = False) -> Question:
    """A VMM answers a real consumption with a syndrome of its choice."""
    access, page = ("fetch", BAD["poison"]) if fetch else ("ldr", BAD["hole"])
    before = DAIF | PSTATE_MODES[origin]
    pc = page if fetch else layout.address_of(access)
    entry = take_exception(before, pc=pc, vbar=layout.VBAR, rules=vm.entry_rules())
    far = None if esr & _FNV else page
    delivered = Expected(
        vector=origin.value,
        esr=esr,
        far=layout.FAR_BEFORE if far is None else far,
        elr=entry.elr,
        spsr=entry.spsr,
        pstate=entry.pstate & readable(vm),
        exits=("sigbus",) if fetch else ("mmio",),
    )
    cell = Cell(access=access, address=page, pstate=before, path="registers", esr=esr, far=far)
    return Question(group="syndrome", at=at, cell=cell, spec=delivered, illegal=_illegal(vm, origin, esr))


def _illegal(vm: Vm, origin: Origin, esr: int) -> str:
    """Why no processor reports that to EL1 from that origin; an empty string if one may."""
    syndrome = decode_esr(esr, el=1)
    told = [f"{violation} (Arm ARM, ESR_EL1)" for violation in syndrome.violations]
    ec = syndrome.esr.ec
    if ec in _FROM_LOWER | _FROM_SAME and (ec in _FROM_LOWER) != (origin is Origin.EL0):
        told.append(f"EC {ec:#x} is of another origin (Arm ARM, ESR_EL1, EC)")
    if ec in _ABORTS:
        if syndrome.fault is not None and syndrome.fault.is_parity_error and vm.ras:
            told.append(f"{syndrome.fault}: only without FEAT_RAS (Arm ARM, ESR_EL1, DFSC)")
        if esr & _S1PTW:
            told.append("S1PTW is RES0 but for stage 2 faults, which EL1 takes none of (Arm ARM, ESR_EL1)")
        if ec in _DATA_ABORTS and esr & _ISV:
            told.append("ISV is 0 for all faults reported in ESR_EL1 (Arm ARM, ESR_EL1, ISV)")
    return ", ".join(told)
