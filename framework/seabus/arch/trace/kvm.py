# SPDX-License-Identifier: Apache-2.0
"""``kvm:*``: what a guest's vCPU met, as a witness at the host. Its devices are :mod:`.kvm_devices`.

Guest addresses are the guest's: ``pc`` and ``far`` guest-virtual, ``ipa`` guest-physical. ``esr`` is
ESR_EL2 of the exit, which KVM calls HSR.

Source: Linux arch/arm64/kvm/trace_arm.h, trace_handle_exit.h, include/trace/events/kvm.h, 6.1 to 7.3.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from seabus.arch.esr import EXCEPTION_CLASSES
from seabus.arch.trace._printed import HEX, PrintedEvent, Text, Texts, hexadecimal, printed
from seabus.arch.trace.line import TraceLine

__all__ = [
    "KvmAccessFault",
    "KvmEntry",
    "KvmExit",
    "KvmGuestFault",
    "KvmHva",
    "KvmNestedException",
    "KvmUserspaceExit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmEntry(PrintedEvent):
    """``kvm_entry``: a vCPU is about to run at ``pc``."""

    pc: int

    _texts: ClassVar[Texts] = {"kvm_entry": printed(rf"PC: (?P<pc>{HEX})", pc=hexadecimal)}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmExit(PrintedEvent):
    """``kvm_exit``: a vCPU stopped running.

    ``kind`` is IRQ, SERROR, TRAP, HYP_GONE, or a number without a name; ``ec`` is the exception class of
    ESR_EL2, meaningful for a TRAP only, and ``ec_name`` the kernel's name of it.
    """

    kind: str
    ec: int
    ec_name: str
    pc: int

    _texts: ClassVar[Texts] = {
        "kvm_exit": printed(
            rf"(?P<kind>[\w ]{{1,30}}): HSR_EC: (?P<ec>{HEX}) \((?P<ec_name>[^()]{{0,40}})\),"
            rf" PC: (?P<pc>{HEX})",
            ec=hexadecimal,
            pc=hexadecimal,
        )
    }

    @property
    def exception_class(self) -> str | None:
        """The class in the architecture's words; ``None`` if it is reserved, or the exit is no trap."""
        entry = EXCEPTION_CLASSES.get(self.ec) if self.kind == "TRAP" else None
        return entry.name if entry else None


_NAMED = re.compile(r"(\w{1,20}) (0x[0-9a-f]{1,16}|0)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmGuestFault:
    """``kvm_guest_fault``: an access of the guest that stage 2 did not allow, poisoned pages included.

    ``far`` is FAR_EL2 (KVM's hxfar). ``kvm_mmio_nisv``, an access that KVM cannot emulate for want of a
    syndrome, reads the same.
    """

    ipa: int
    esr: int
    far: int
    pc: int
    no_syndrome: bool = False

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event not in {"kvm_guest_fault", "kvm_mmio_nisv"}:
            return None
        items = dict(_NAMED.findall(line.text))
        esr, far = items.get("hsr", items.get("esr")), items.get("hxfar", items.get("far"))
        ipa, pc = items.get("ipa"), items.get("pc")
        if ipa is None or esr is None or far is None or pc is None:
            return None
        return cls(
            ipa=int(ipa, 16),
            esr=int(esr, 16),
            far=int(far, 16),
            pc=int(pc, 16),
            no_syndrome=line.event == "kvm_mmio_nisv",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmUserspaceExit(PrintedEvent):
    """``kvm_userspace_exit``: KVM_RUN returns. ``number`` is KVM_EXIT_*, or the errno of a failure.

    ``reason`` is the name, or ``restart`` (a signal, such as the SIGBUS of a poisoned page) or ``error``.
    """

    reason: str
    number: int

    _texts: ClassVar[Texts] = {
        "kvm_userspace_exit": (
            re.compile(r"reason (?P<reason>\w{1,60}) \((?P<number>-?\d{1,10})\).*"),
            {"number": int},
        )
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmAccessFault(PrintedEvent):
    """``kvm_access_fault``: stage 2 lacked the access flag."""

    ipa: int

    _texts: ClassVar[Texts] = {"kvm_access_fault": printed(rf"IPA: (?P<ipa>{HEX})", ipa=hexadecimal)}


def _hva(words: str, end: str = f" -- (?P<end>{HEX})") -> Text:
    return printed(
        rf"mmu notifier (?P<what>{words})(?: range| hva): (?P<start>{HEX}){end}",
        start=hexadecimal,
        end=hexadecimal,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmHva(PrintedEvent):
    """The host's memory management tells KVM about VMM-virtual addresses, ``start`` up to ``end`` excluded.

    ``what`` is ``unmap`` (as ``memory_failure()`` does), ``age`` or ``test age``; the last has no end.
    """

    what: str
    start: int
    end: int | None = None

    _texts: ClassVar[Texts] = {
        "kvm_unmap_hva_range": _hva("unmap"),
        "kvm_age_hva": _hva("age"),
        "kvm_test_age_hva": _hva("test age", end=""),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmNestedException(PrintedEvent):
    """``kvm_inject_nested_exception``: KVM puts an exception into a guest hypervisor's EL2.

    ``kind`` is SYNC, IRQ, FIQ or SERROR; the registers are the guest's EL2 ones; ``mode`` is where it came
    from.
    """

    kind: str
    esr: int
    elr: int
    spsr: int
    mode: str
    hcr: int

    _texts: ClassVar[Texts] = {
        "kvm_inject_nested_exception": printed(
            rf"(?P<kind>\w{{1,20}}): esr_el2 (?P<esr>{HEX}) elr_el2: (?P<elr>{HEX}) spsr_el2: (?P<spsr>{HEX})"
            rf" \(M: (?P<mode>\w{{1,20}})\) hcr_el2: (?P<hcr>{HEX})",
            esr=hexadecimal,
            elr=hexadecimal,
            spsr=hexadecimal,
            hcr=hexadecimal,
        )
    }
