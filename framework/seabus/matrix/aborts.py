# SPDX-License-Identifier: Apache-2.0
"""Synchronous External aborts at every place, put in by every path that there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from seabus.arch.abort_deviations import deviations
from seabus.arch.esr import encode_esr
from seabus.arch.exception_entry import DAIF, DIT, NZCV, PSTATE_MODES, take_exception
from seabus.arch.expected_abort import (
    Access,
    ExpectedAbort,
    Injector,
    KvmInjection,
    Origin,
    predict_abort,
)
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell, Path
from seabus.kvmprobe.vm import Vm
from seabus.matrix.places import ACCESS_KINDS, Place, places
from seabus.matrix.question import Expected, Question

#: Who puts an abort in, as the grid calls it, and what the probe does for it.
PATHS: Final[dict[str, Path]] = {
    "events": "events",
    "registers": "registers",
    "relay": "relay",
    "kvm": "nothing",
    "cpu": "nothing",
}
TCG_PSTATE: Final = (
    "QEMU's arm_cpu_do_interrupt_aarch64() sets NZCV and DIT to 0 (docs/findings/0042-pstate-on-entry.md)"
)
_NO_ADDRESS: Final = "neither KVM_EXIT_MMIO, KVM_EXIT_ARM_NISV nor SIGBUS names a guest virtual address"
_NOT_TOLD: Final = {
    False: f"FnV is 1, as {_NO_ADDRESS}",
    True: f"FnV is 1, as {_NO_ADDRESS}; nor does SIGBUS tell kind, direction or level of the access",
}
_WNR: Final = 1 << 6
_PTW: Final = (
    "KVM sets HCR_EL2.PTW: a walk to Device memory is a stage 2 permission fault, before anybody could"
    " answer, and is tried for ever (docs/findings/0040-walk-in-device-memory.md)"
)

#: Patterns that PSTATE is taken from in turn; a processor without a field has it 0.
_PATTERNS: Final = (
    DAIF,
    NZCV | DAIF,
    0x6000_0000 | 0x0040_0000 | DAIF,
    0x9000_0000 | 0x0080_0000,
    0x0100_0000 | 0x1000 | 0x80,
    NZCV | 0x01C0_1000 | 0x2C0,
)


def aborts(vm: Vm, kvm: KvmInjection) -> Iterator[Question]:
    """One question for each place and path.

    :param kvm: what the host's KVM can do.
    """
    # All paths of a place from the same PSTATE, so that they can be compared.
    for place, pstate in zip(places(vm), itertools.cycle(_PATTERNS), strict=False):
        for path in _paths(place):
            yield abort_question(vm, kvm, place, path, pstate=pstate)


def abort_question(
    vm: Vm,
    kvm: KvmInjection,
    place: Place,
    path: str,
    *,
    pstate: int = DAIF,
    sctlr: int = 0,
    group: str = "",
    more: Mapping[str, str] | None = None,
    serial: bool = False,
) -> Question:
    """What is to be expected of an abort at that place by that path.

    :param pstate: as it is before, without the mode; fields that the guest has not are left out.
    :param sctlr: bits of SCTLR_EL1 that are not as usual.
    """
    group = group or ("access" if place.level is None else "walk")
    at = {**place.at(path), **(more or {})}
    if place.bad == "nobody" and place.level is not None:
        return Question(group=group, at=at, unreachable=_PTW)
    before = pstate & (NZCV | DAIF | vm.pstate_fields()) | PSTATE_MODES[place.origin]
    abort = place.abort(ras=vm.ras)
    spec = predict_abort(abort, Injector.HARDWARE)
    entry = take_exception(before, pc=place.pc, vbar=layout.VBAR, rules=vm.entry_rules(sctlr))
    expected = Expected(
        vector=spec.vector,
        esr=int(spec.esr),
        esr_unknown=spec.unknown,
        far=_far(spec),
        elr=entry.elr,
        spsr=entry.spsr,
        pstate=entry.pstate & readable(vm),
        exits=_exits(place, path),
    )
    known, rules = _known(place, path, expected, kvm, vm)
    cell = Cell(
        access=place.access,
        address=place.address,
        pstate=before,
        path=PATHS[path],
        regime=place.regime,
        esr=int(spec.esr) if path == "registers" else None,
        far=_far(spec) if path == "registers" else None,
        sctlr=sctlr,
        serial=serial,
    )
    core = place.granule in ("off", "4k") and place.origin is not Origin.EL1T
    return Question(group=group, at=at, cell=cell, spec=expected, known=known, rules=rules, core=core)


def readable(vm: Vm) -> int:
    """What of PSTATE a handler can read."""
    return NZCV | DAIF | 0x1F | vm.pstate_fields()


def _paths(place: Place) -> tuple[str, ...]:
    if place.bad == "nobody":
        # Stage 2 makes Device memory execute-never, and KVM answers the fault of a fetch (-ENOEXEC).
        return ("kvm",) if place.access == "fetch" else ("cpu",)
    # What KVM cannot hand to a VMM as an MMIO, because it needs the page itself, it answers itself.
    if place.bad == "hole" and (place.level is not None or place.access == "fetch"):
        return ("kvm",)
    return ("events", "registers", "relay")


def _exits(place: Place, path: str) -> tuple[str, ...]:
    if path in ("kvm", "cpu"):
        return ()
    if place.bad == "poison":
        return ("sigbus",)
    return ("mmio",) if place.emulated else ("nisv",)


def _known(
    place: Place, path: str, expected: Expected, kvm: KvmInjection, vm: Vm
) -> tuple[Expected | None, dict[str, str]]:
    if path == "registers":
        return None, {}
    if path == "cpu":
        assert expected.pstate is not None
        pstate = expected.pstate & ~(NZCV | DIT)
        return replace(expected, pstate=pstate), {"pstate": TCG_PSTATE}
    if path == "relay":
        return _relayed(place, expected)
    abort = place.abort(ras=vm.ras)
    if path == "kvm" and ACCESS_KINDS[place.access] is Access.FETCH:
        return None, {}
    injected = predict_abort(abort, Injector.KVM, kvm)
    found = deviations(abort, Injector.KVM, kvm)
    rules: dict[str, str] = {}
    for deviation in found:
        name = {"FAR": "far", "vector": "vector"}.get(deviation.field, "esr")
        told = str(deviation).replace(": ", " ", 1)
        rules[name] = f"{rules[name]}, {told}" if name in rules else told
    known = replace(
        expected,
        vector=injected.vector,
        esr=int(injected.esr),
        esr_unknown=injected.unknown,
        far=_far(injected),
    )
    return known, rules


def _relayed(place: Place, expected: Expected) -> tuple[Expected, dict[str, str]]:
    """A VMM that tells its guest all that an exit has told it."""
    writes = ACCESS_KINDS[place.access] is Access.STORE and place.bad != "poison"
    ec = 0x24 if place.origin.lower_el else 0x25
    esr = int(encode_esr(ec, el=1, DFSC=0x10, FnV=1, WnR=writes))
    unknown = _WNR if ACCESS_KINDS[place.access] is Access.ATOMIC else 0
    known = replace(expected, esr=esr, esr_unknown=unknown, far=layout.FAR_BEFORE)
    return known, {"esr": _NOT_TOLD[place.bad == "poison"], "far": _NO_ADDRESS}


def _far(abort: ExpectedAbort) -> int | None:
    return int(abort.far.value) if abort.far.value is not None else None
