# SPDX-License-Identifier: Apache-2.0
"""SError: every type, unmasked, masked, unmasked later, and deferred by an error synchronization barrier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seabus.arch.esr import decode_esr, encode_esr, encode_serror
from seabus.arch.esr.serror import ASYNC_ERROR_TYPE
from seabus.arch.exception_entry import DAIF, DIT, MASK_A, NZCV, PSTATE_MODES, take_exception
from seabus.arch.expected_abort import Origin
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell
from seabus.kvmprobe.vm import Vm
from seabus.matrix.aborts import TCG_PSTATE, readable
from seabus.matrix.places import ORIGIN_NAMES, ORIGINS
from seabus.matrix.question import Expected, Question

_SVC64: Final = 0x5600_0000  # EC 0x15, IL
_ISS: Final = 0x1FF_FFFF
_DISR_A: Final = 1 << 31
_ISR_A: Final = 1 << 8
_IDS: Final = 1 << 24
_EINVAL: Final = 22
_SERROR: Final = 0x180
_NO_VSE: Final = (
    "no register of KVM_SET_ONE_REG makes an SError pend: HCR_EL2.VSE and VSESR_EL2 are KVM's"
    " (Linux arch/arm64/kvm/inject_fault.c, kvm_inject_serror_esr())"
)
_TOO_WIDE: Final = (
    "serror_esr may hold an ISS only (Linux Documentation/virt/kvm/api.rst, KVM_SET_VCPU_EVENTS)"
)

#: What the payload does, with PSTATE.A set or not before.
SITUATIONS: Final = {
    "unmasked": ("nop", False),
    "masked": ("nop", True),
    "masked, then unmasked": ("unmask", True),
    "masked, ESB": ("esb", True),
    "masked, ESB, then unmasked": ("esb_unmask", True),
    "unmasked, ESB": ("esb", False),
}


def serrors(vm: Vm) -> Iterator[Question]:
    """Each type in each situation, by both paths."""
    for origin in ORIGINS:
        for name, iss in _types().items():
            for situation in SITUATIONS:
                for path in ("events", "registers"):
                    yield _question(vm, origin, name, iss, situation, path)
        for bit in (25, 26, 31, 32, 63):
            yield _too_wide(origin, bit)
        yield _both(vm, origin)


def _types() -> dict[str, int | None]:
    """By name, the ISS; ``None``: the VMM leaves it to KVM."""
    types: dict[str, int | None] = {
        text.rpartition("(")[2].rstrip(")"): encode_serror(aet=aet).iss
        for aet, text in ASYNC_ERROR_TYPE.items()
    }
    for aet in sorted(set(range(8)) - set(ASYNC_ERROR_TYPE)):
        types[f"AET {aet}"] = aet << 10 | 0x11
    types["EA"] = encode_serror(aet=3, ea=True).iss
    types["IESB"] = encode_serror(aet=3, iesb=True).iss
    types["uncategorized"] = encode_esr(0x2F).iss
    types["IDS, ISS 0"] = _IDS
    types["IDS, ISS all ones"] = encode_esr(0x2F, IDS=1, ISS=0xFF_FFFF).iss
    types["no ESR"] = None
    return types


def _question(vm: Vm, origin: Origin, name: str, iss: int | None, situation: str, path: str) -> Question:
    access, masked = SITUATIONS[situation]
    at = {"origin": ORIGIN_NAMES[origin], "type": name, "situation": situation, "path": path}
    if path == "registers" and (masked or iss is None):
        return Question(group="serror", at=at, unreachable=_NO_VSE)
    before = DAIF | PSTATE_MODES[origin] if masked else NZCV | DAIF & ~MASK_A | PSTATE_MODES[origin]
    # Without an ESR, KVM makes it IMPLEMENTATION DEFINED, so that it is not taken for a RAS error.
    syndrome = _IDS if iss is None else iss
    expected = _expected(vm, access, before, masked=masked, iss=syndrome)
    cell = Cell(
        access=access,
        pstate=before,
        path="serror" if path == "events" else "registers",
        esr=iss if path == "events" else 0x2F << 26 | 1 << 25 | syndrome,
        serror_vector=path == "registers",
        before=True,
    )
    known, rules = None, {}
    # Where the processor itself makes the exception, it is TCG's.
    if path == "events" and expected.pstate is not None:
        known = replace(expected, pstate=expected.pstate & ~(NZCV | DIT))
        rules = {"pstate": TCG_PSTATE}
    violations = decode_esr(0x2F << 26 | 1 << 25 | syndrome, el=1).violations
    return Question(
        group="serror",
        at=at,
        cell=cell,
        spec=expected,
        known=known,
        rules=rules,
        illegal=", ".join(f"{violation} (Arm ARM, ESR_EL1)" for violation in violations),
        core=origin is not Origin.EL1T and not masked,
    )


def _expected(vm: Vm, access: str, before: int, *, masked: bool, iss: int) -> Expected:
    """What the payload tells of it: the SError, or the supervisor call after it was passed."""
    pc = layout.address_of(access)
    taken = not masked or access == "unmask"
    unmasked_by_then = 1 if access == "unmask" else 0
    # An SError is taken at the first instruction boundary where it is not masked; the payload's
    # supervisor call comes after all that the access consists of.
    steps = unmasked_by_then if taken else {"nop": 2, "esb": 2, "esb_unmask": 3}[access]
    at = before & ~MASK_A if access in ("unmask", "esb_unmask") else before
    entry = take_exception(
        at, pc=pc + 4 * steps, vbar=layout.VBAR, rules=vm.entry_rules(), serror_vector=taken
    )
    deferred = masked and access.startswith("esb")
    return Expected(
        vector=entry.pc - layout.VBAR,
        esr=0x2F << 26 | 1 << 25 | iss if taken else _SVC64,
        far=layout.FAR_BEFORE,
        elr=entry.elr,
        spsr=entry.spsr,
        pstate=entry.pstate & readable(vm),
        disr=(_DISR_A | iss) if deferred else None,
        isr=_ISR_A if masked and not taken and not deferred else 0,
        pending=masked and not taken and not deferred,
    )


def _too_wide(origin: Origin, bit: int) -> Question:
    cell = Cell(access="nop", pstate=DAIF | PSTATE_MODES[origin], path="serror", esr=1 << bit, before=True)
    at = {
        "origin": ORIGIN_NAMES[origin],
        "type": f"bit {bit} of ESR",
        "situation": "refused",
        "path": "events",
    }
    spec = Expected(outcome=f"refused {_EINVAL}", taken=0)
    return Question(group="serror", at={**at, "rule": _TOO_WIDE}, cell=cell, spec=spec)


def _both(vm: Vm, origin: Origin) -> Question:
    """Both pending in one call: the External abort is taken first, and masks the SError."""
    before = DAIF & ~MASK_A | PSTATE_MODES[origin]
    pc = layout.address_of("nop")
    entry = take_exception(before, pc=pc, vbar=layout.VBAR, rules=vm.entry_rules())
    spec = Expected(
        vector=origin.value,
        esr=int(encode_esr(0x24 if origin is Origin.EL0 else 0x25, DFSC=0x10)),
        elr=entry.elr,
        spsr=entry.spsr,
        pstate=entry.pstate & readable(vm),
        isr=_ISR_A,
        pending=True,
    )
    cell = Cell(access="nop", pstate=before, path="both", esr=encode_serror(aet=3).iss, before=True)
    at = {
        "origin": ORIGIN_NAMES[origin],
        "type": "UER",
        "situation": "with ext_dabt_pending",
        "path": "events",
    }
    return Question(group="serror", at=at, cell=cell, spec=spec)
