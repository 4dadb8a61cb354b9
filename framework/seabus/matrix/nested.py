# SPDX-License-Identifier: Apache-2.0
"""A guest hypervisor at virtual EL2: an abort must reach the level that HCR_EL2 says.

Source: Arm ARM DDI 0487, pseudocode AArch64.RouteToEL2 conditions of Synchronous External aborts
(HCR_EL2.TEA, TGE) and SErrors (AMO, TGE); HCR_EL2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seabus.arch.esr import encode_esr, encode_serror
from seabus.arch.exception_entry import DAIF, MASK_A, take_exception
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell
from seabus.kvmprobe.probe import Probe
from seabus.kvmprobe.vm import Slot, Vm, vm_request
from seabus.matrix.aborts import readable
from seabus.matrix.judge import Answer, judge
from seabus.matrix.places import BAD, EMULATED, Bad
from seabus.matrix.question import Expected, Question

#: PSTATE.{EL,SP}.
_MODES: Final = {"EL0": 0x0, "EL1h": 0x5, "EL2t": 0x8, "EL2h": 0x9}
#: Bits of HCR_EL2 beside E2H and RW.
_HCR: Final = {"-": 0, "TEA": 1 << 37, "TGE": 1 << 27, "AMO": 1 << 5}
_KVM_CAP_ARM_EL2: Final = 240
_WNR: Final = 1 << 6
_NO_EL2: Final = (
    "KVM_CAP_ARM_EL2 is 0: the host's KVM does not offer a virtual EL2 (kvm-arm.mode=nested, FEAT_NV2)"
)
_OOPS: Final = (
    "not asked: KVM_SET_VCPU_EVENTS that is to reach virtual EL2 from below oopses the host"
    " (docs/findings/0043-nested-injection-oopses.md)"
)
_RULES: Final = {
    "ESR": "inject_abt64() and kvm_inject_nested_sea() build EC, IL and the status only",
    "EC": "KVM_SET_VCPU_EVENTS has ext_dabt_pending, and nothing for a fetch",
}


async def ask_nested(probe: Probe) -> list[Answer]:
    """Ask all of it in a VM with virtual EL2; if there is none, all of it is unreachable.

    :raises SeabusError: the probe could not do its work.
    """
    reason = "" if await probe.capability(_KVM_CAP_ARM_EL2) > 0 else _NO_EL2
    machine = [
        vm_request(Probe.payload(), slots=[Slot(address=int(layout.POISON), size=2 << 20)], el2=True),
        {"do": "poison", "address": str(layout.POISON)},
    ]
    vm = Vm(slots=(), regimes=(), registers={})
    if not reason:  # KVM has said that it has it: whatever it refuses now is no want, but wrong
        vm = Vm.of((await probe.ask(machine))[0])
    asked = list(nested(vm, unreachable=reason))
    cells = [question.cell for question in asked if question.cell]
    results = iter(await probe.cells(machine, cells) if cells else [])
    return [judge(question, next(results) if question.cell else None) for question in asked]


def nested(vm: Vm, *, unreachable: str = "") -> Iterator[Question]:
    """Every origin under every routing, for External aborts and SErrors.

    :param unreachable: why nothing of it can be asked here.
    """
    for origin in _MODES:
        for hcr in _HCR:
            if origin == "EL1h" and hcr == "TGE":
                continue  # there is no EL1 then
            for question in (*_aborts(vm, origin, hcr), *_serrors(vm, origin, hcr)):
                yield replace(question, cell=None, unreachable=unreachable) if unreachable else question


def _aborts(vm: Vm, origin: str, hcr: str) -> Iterator[Question]:
    target = 2 if origin.startswith("EL2") or hcr in ("TEA", "TGE") else 1
    pages: tuple[Bad, ...] = ("hole", "poison")
    for page in pages:
        for access in ("ldr", "str", "fetch"):
            fetch = access == "fetch"
            for path in ("kvm",) if fetch and page == "hole" else ("events", "registers"):
                at = {"origin": origin, "access": access, "HCR_EL2": hcr, "page": page, "path": path}
                if path == "events" and target == 2 and not origin.startswith("EL2"):
                    yield Question(group="nested", at=at, unreachable=_OOPS)
                    continue
                yield _abort(vm, at, target, _HCR[hcr], page)


def _abort(vm: Vm, at: dict[str, str], target: int, hcr: int, page: Bad) -> Question:
    origin, access, path = at["origin"], at["access"], at["path"]
    fetch = access == "fetch"
    lower = f"EL{target}" not in origin
    ec = (0x20 if fetch else 0x24) | (not lower)
    esr = int(encode_esr(ec, el=target, **{"IFSC" if fetch else "DFSC": 0x10}))
    esr |= _WNR if access == "str" else 0
    before = DAIF | _MODES[origin]
    pc = BAD[page] if fetch else layout.address_of(access)
    entry = take_exception(before, pc=pc, vbar=layout.VBAR, rules=vm.entry_rules(), target_el=target)
    exits = {"kvm": (), "poison": ("sigbus",)}.get(path if path == "kvm" else page, ("mmio",))
    spec = Expected(
        vector=entry.pc - layout.VBAR,
        esr=esr,
        far=BAD[page],
        elr=entry.elr,
        spsr=entry.spsr,
        pstate=entry.pstate & readable(vm),
        exits=exits if access in EMULATED or path == "kvm" or page == "poison" else ("nisv",),
    )
    known, rules = None, {}
    if path == "events":
        known = replace(spec, esr=int(encode_esr(0x24 | (not lower), el=target, DFSC=0x10)))
        rules = {"esr": _RULES["EC" if fetch else "ESR"]}
    cell = Cell(
        access=access,
        address=BAD[page],
        pstate=before,
        path="nothing" if path == "kvm" else "events" if path == "events" else "registers",
        esr=esr if path == "registers" else None,
        far=BAD[page] if path == "registers" else None,
        to_el2=path == "registers" and target == 2,
        hcr=hcr,
    )
    return Question(group="nested", at=at, cell=cell, spec=spec, known=known, rules=rules)


def _serrors(vm: Vm, origin: str, hcr: str) -> Iterator[Question]:
    # At EL2 with {E2H,TGE} = {1,0} it is IMPLEMENTATION DEFINED whether AMO counts as 1 (Arm ARM, known
    # issue D22105); KVM has it so.
    target = 2 if origin.startswith("EL2") or hcr in ("AMO", "TGE") else 1
    for path in ("events", "registers"):
        at = {"origin": origin, "access": "SError", "HCR_EL2": hcr, "page": "-", "path": path}
        if path == "events" and target == 2 and not origin.startswith("EL2"):
            yield Question(group="nested", at=at, unreachable=_OOPS)
            continue
        before = DAIF & ~MASK_A | _MODES[origin]
        syndrome = encode_serror(aet=3)
        entry = take_exception(
            before,
            pc=layout.address_of("nop"),
            vbar=layout.VBAR,
            rules=vm.entry_rules(),
            serror_vector=True,
            target_el=target,
        )
        spec = Expected(
            vector=entry.pc - layout.VBAR,
            esr=int(syndrome),
            far=layout.FAR_BEFORE,
            elr=entry.elr,
            spsr=entry.spsr,
            pstate=entry.pstate & readable(vm),
        )
        cell = Cell(
            access="nop",
            pstate=before,
            path="serror" if path == "events" else "registers",
            esr=syndrome.iss if path == "events" else int(syndrome),
            serror_vector=True,
            before=True,
            to_el2=path == "registers" and target == 2,
            hcr=_HCR[hcr],
        )
        yield Question(group="nested", at=at, cell=cell, spec=spec)
