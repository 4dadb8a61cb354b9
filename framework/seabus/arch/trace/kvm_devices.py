# SPDX-License-Identifier: Apache-2.0
"""``kvm:*`` of what is around a vCPU: interrupts, devices, system registers, calls and waits.

Source: Linux arch/arm64/kvm/trace_arm.h, trace_handle_exit.h, include/trace/events/kvm.h, 6.1 to 7.3.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from seabus.arch.trace._printed import HEX, PrintedEvent, Texts, hexadecimal, printed

__all__ = [
    "KvmHandleSysReg",
    "KvmHvc",
    "KvmIrqLine",
    "KvmMmio",
    "KvmMmioEmulate",
    "KvmSetIrq",
    "KvmSysAccess",
    "KvmVcpuWakeup",
    "KvmWfx",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmIrqLine(PrintedEvent):
    """``kvm_irq_line``: the VMM drives an interrupt line. ``type`` is CPU, VGIC PPI or VGIC SPI."""

    type: str
    vcpu: int
    number: int
    level: int

    _texts: ClassVar[Texts] = {
        "kvm_irq_line": printed(
            r"Inject (?P<type>[\w ]{1,20}) interrupt \(\d{1,5}\), vcpu->idx: (?P<vcpu>-?\d{1,10}),"
            r" num: (?P<number>-?\d{1,10}), level: (?P<level>-?\d{1,5})",
            vcpu=int,
            number=int,
            level=int,
        )
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmSetIrq(PrintedEvent):
    """``kvm_set_irq``: an interrupt by its GSI, such as GED's that announces a record to the guest."""

    gsi: int
    level: int
    source: int

    _texts: ClassVar[Texts] = {
        "kvm_set_irq": printed(
            r"gsi (?P<gsi>\d{1,10}) level (?P<level>-?\d{1,10}) source (?P<source>-?\d{1,10})",
            gsi=int,
            level=int,
            source=int,
        )
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmMmio(PrintedEvent):
    """``kvm_mmio``: an access to a device at guest-physical ``ipa``.

    ``kind`` is read, write or unsatisfied-read; ``length`` in bytes.
    """

    kind: str
    length: int
    ipa: int
    value: int

    _texts: ClassVar[Texts] = {
        "kvm_mmio": printed(
            rf"mmio (?P<kind>[\w-]{{1,30}}) len (?P<length>\d{{1,5}}) gpa (?P<ipa>{HEX})"
            rf" val (?P<value>{HEX})",
            length=int,
            ipa=hexadecimal,
            value=hexadecimal,
        )
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmMmioEmulate(PrintedEvent):
    """``kvm_mmio_emulate``: KVM decodes an access to a device itself."""

    pc: int
    instruction: int
    pstate: int

    _texts: ClassVar[Texts] = {
        "kvm_mmio_emulate": printed(
            rf"Emulate MMIO at: (?P<pc>{HEX}) \(instr: (?P<instruction>{HEX}), cpsr: (?P<pstate>{HEX})",
            pc=hexadecimal,
            instruction=hexadecimal,
            pstate=hexadecimal,
        )
    }


def _encoding(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmSysAccess(PrintedEvent):
    """``kvm_sys_access``: a trapped MSR (``access`` is write) or MRS (read).

    ``encoding`` is (Op0, Op1, CRn, CRm, Op2).
    """

    pc: int
    name: str
    encoding: tuple[int, ...]
    access: str

    _texts: ClassVar[Texts] = {
        "kvm_sys_access": printed(
            rf"PC: (?P<pc>{HEX}) (?P<name>\w{{1,60}}) \((?P<encoding>\d{{1,2}}(?:,\d{{1,2}}){{4}})\)"
            r" (?P<access>read|write)",
            pc=hexadecimal,
            encoding=_encoding,
        )
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmHandleSysReg(PrintedEvent):
    """``kvm_handle_sys_reg``: a trapped system register access, by its syndrome."""

    esr: int

    _texts: ClassVar[Texts] = {"kvm_handle_sys_reg": printed(rf"HSR (?P<esr>{HEX})", esr=hexadecimal)}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmHvc(PrintedEvent):
    """``kvm_hvc_arm64``: the guest calls KVM; ``x0`` is the SMCCC function id."""

    pc: int
    x0: int
    immediate: int

    _texts: ClassVar[Texts] = {
        "kvm_hvc_arm64": printed(
            rf"HVC at (?P<pc>{HEX}) \(r0: (?P<x0>{HEX}), imm: (?P<immediate>{HEX})",
            pc=hexadecimal,
            x0=hexadecimal,
            immediate=hexadecimal,
        )
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmWfx(PrintedEvent):
    """``kvm_wfx_arm64``: the guest waits: ``wfi`` or ``wfe``."""

    what: str
    pc: int

    _texts: ClassVar[Texts] = {
        "kvm_wfx_arm64": printed(rf"guest executed (?P<what>wf[ei]) at: (?P<pc>{HEX})", pc=hexadecimal)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmVcpuWakeup(PrintedEvent):
    """``kvm_vcpu_wakeup``: a vCPU that waited goes on. ``ns`` is how long; ``how`` is wait, or poll if it
    never slept."""

    how: str
    ns: int

    _texts: ClassVar[Texts] = {
        "kvm_vcpu_wakeup": (
            re.compile(r"(?P<how>wait|poll) time (?P<ns>-?\d{1,20}) ns, polling \w{1,20}\b.*"),
            {"ns": int},
        )
    }
