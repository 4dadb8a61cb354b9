# SPDX-License-Identifier: Apache-2.0
"""What KVM does of its own when nobody injects, what a careless VMM does, and what cannot be asked here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seabus.arch.exception_entry import DAIF, PSTATE_MODES
from seabus.arch.expected_abort import KvmInjection, Origin
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell
from seabus.kvmprobe.vm import Vm
from seabus.matrix.aborts import abort_question
from seabus.matrix.places import BAD, ORIGIN_NAMES, ORIGINS, Place
from seabus.matrix.question import Expected, Question

_EASE: Final = 1 << 5
_NMEA: Final = 1 << 2
_CARELESS: Final = (
    "the MMIO was still pending: KVM completed it at the next KVM_RUN, so the first instruction of the"
    " vector was stepped over and X2 loaded (Linux Documentation/virt/kvm/api.rst, KVM_EXIT_MMIO: operations"
    " are complete only after userspace has re-entered the kernel)"
)
_STALE: Final = (
    "FAR_EL1 gets FAR_EL2 of the vCPU's last exit, whatever that was"
    " (Linux arch/arm64/kvm/guest.c, __kvm_arm_vcpu_set_events())"
)
_NO_DF2: Final = "FEAT_DoubleFault2: ID_AA64PFR1_EL1.DF2 of the guest is 0, so EASE and NMEA are RES0"
_NO_SEA_EXIT: Final = (
    "KVM_EXIT_ARM_SEA needs a processor that routes External aborts to EL2 (HCR_EL2.TEA):"
    " this one took the abort to EL1"
)


def reactions(vm: Vm, kvm: KvmInjection) -> Iterator[Question]:
    """One question for each origin, mostly."""
    for origin in ORIGINS:
        yield from _spurious(vm, kvm, origin)
        yield _careless(vm, kvm, origin)
        yield from _ease(vm, kvm, origin)
        yield _maintenance(origin)
        yield _sea_to_user(origin)


def _spurious(vm: Vm, kvm: KvmInjection, origin: Origin) -> Iterator[Question]:
    """``ext_dabt_pending`` when nothing has been accessed: what is in FAR then?"""
    place = Place(origin=origin, access="nop", bad="hole", address=0)
    load = Place(origin=origin, access="ldr", bad="hole", address=int(layout.HOLE))
    like = abort_question(vm, kvm, load, "events")
    spec = replace(
        like.spec,
        far=layout.FAR_BEFORE,
        elr=layout.address_of("nop"),
        exits=(),
        spsr=DAIF | PSTATE_MODES[origin],
    )
    # The vCPU's last exit is the doorbell of the cell before.
    known = replace(spec, far=layout.DOORBELL)
    cell = Cell(access="nop", pstate=DAIF | PSTATE_MODES[origin], path="events", before=True)
    yield Question(
        group="reaction",
        at={**place.at("events"), "what": "an abort of no access"},
        cell=cell,
        spec=spec,
        known=known,
        rules={"far": _STALE},
    )


def _careless(vm: Vm, kvm: KvmInjection, origin: Origin) -> Question:
    place = Place(origin=origin, access="ldr", bad="hole", address=int(layout.HOLE))
    like = abort_question(vm, kvm, place, "registers")
    assert like.cell is not None
    return replace(
        like,
        group="reaction",
        at={**like.at, "what": "registers written while an MMIO is pending"},
        cell=replace(like.cell, careless=True),
        known=replace(like.spec, changed=frozenset({"x0", "x1", "x2"})),
        rules={"changed": _CARELESS},
        core=False,
    )


def _ease(vm: Vm, kvm: KvmInjection, origin: Origin) -> Iterator[Question]:
    """SCTLR2_EL1.EASE and NMEA, where the processor has them; else that they do nothing."""
    place = Place(origin=origin, access="ldr", bad="hole", address=int(layout.HOLE))
    for name, bit in (("EASE", _EASE), ("NMEA", _NMEA)):
        for path in ("events", "registers"):
            at = {**place.at(path), "what": f"SCTLR2_EL1.{name}"}
            if not vm.double_fault_2:
                yield Question(group="ease", at=at, unreachable=_NO_DF2)
                continue
            like = abort_question(vm, kvm, place, path)
            assert like.cell is not None
            vector = (like.spec.vector or 0) + (0x180 if bit == _EASE else 0)
            cell = replace(like.cell, set_={"sctlr2_el1": bit}, serror_vector=bit == _EASE)
            yield replace(
                like,
                group="ease",
                at=at,
                cell=cell,
                spec=replace(like.spec, vector=vector),
                known=None,
                core=False,
            )
    if vm.sctlr2 and not vm.double_fault_2:
        like = abort_question(vm, kvm, place, "events")
        assert like.cell is not None
        at = {**place.at("events"), "what": "SCTLR2_EL1.EASE while it is RES0"}
        yield replace(
            like, group="ease", at=at, cell=replace(like.cell, set_={"sctlr2_el1": _EASE}), core=False
        )


def _maintenance(origin: Origin) -> Question:
    return Question(
        group="reaction",
        at={"origin": ORIGIN_NAMES[origin], "access": "dc", "page": "poison", "path": "events"},
        cell=Cell(access="dc", address=BAD["poison"], pstate=DAIF | PSTATE_MODES[origin], path="events"),
        spec=Expected(exits=("sigbus",), esr=0x9200_0150 | (origin is not Origin.EL0) << 26),
        known=Expected(esr=0x5600_0000, vector=origin.value),
        unreachable="the emulated processor's DC CIVAC accesses nothing, so nothing is consumed (QEMU, TCG)",
    )


def _sea_to_user(origin: Origin) -> Question:
    """KVM_CAP_ARM_SEA_TO_USER is enabled for the whole VM, if there is one."""
    place = Place(origin=origin, access="ldr", bad="nobody", address=BAD["nobody"])
    return Question(
        group="reaction",
        at={**place.at("kvm"), "what": "KVM_EXIT_ARM_SEA"},
        cell=Cell(access="ldr", address=place.address, pstate=DAIF | PSTATE_MODES[origin]),
        spec=Expected(outcome="silent", exits=("sea",), taken=0),
        known=Expected(
            vector=origin.value, esr=0x9200_0010 | (origin is not Origin.EL0) << 26, far=BAD["nobody"]
        ),
        unreachable=_NO_SEA_EXIT,
    )
