# SPDX-License-Identifier: Apache-2.0
"""Lines of a tracefs ``trace_pipe``, and the events of a memory error among them.

>>> line = parse_trace_line(
...     "  CPU 0/KVM-812     [001] d....   95.123456: signal_generate: "
...     "sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 grp=0 res=0"
... )
>>> line.comm, line.t, SignalGenerate.of(line).code
('CPU 0/KVM', 95123456000, 4)
>>> parse_trace_event(line) == SignalGenerate.of(line)
True

Each event's class has ``of(line)``, which is ``None`` for another event and for a damaged one. Events of
Linux 6.1 to 7.3 are read, and those of later kernels as long as they keep their names and add fields only.

===================  =================================================================
:mod:`.line`         a line's context, and events that were lost
:mod:`.signals`      ``signal:*``
:mod:`.ras`          ``ras:*``, ``memory_failure:*``; :mod:`.aer` those of PCI Express
:mod:`.kvm`          ``kvm:*``; :mod:`.kvm_devices` those of what is around a vCPU
:mod:`.probes`       kprobes, marks, ``printk:console``
===================  =================================================================
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from seabus.arch.trace.aer import AerEvent
from seabus.arch.trace.kvm import (
    KvmAccessFault,
    KvmEntry,
    KvmExit,
    KvmGuestFault,
    KvmHva,
    KvmNestedException,
    KvmUserspaceExit,
)
from seabus.arch.trace.kvm_devices import (
    KvmHandleSysReg,
    KvmHvc,
    KvmIrqLine,
    KvmMmio,
    KvmMmioEmulate,
    KvmSetIrq,
    KvmSysAccess,
    KvmVcpuWakeup,
    KvmWfx,
)
from seabus.arch.trace.line import LostEvents, TraceLine, parse_trace_line
from seabus.arch.trace.probes import MceProbe, ProbeHit, SeaProbe, console_message, marker_text
from seabus.arch.trace.ras import (
    ArmEvent,
    ExtlogMemEvent,
    McEvent,
    MemoryFailureEvent,
    NonStandardEvent,
)
from seabus.arch.trace.signals import SignalDeliver, SignalGenerate

__all__ = [
    "EVENT_CLASSES",
    "AerEvent",
    "ArmEvent",
    "ExtlogMemEvent",
    "KvmAccessFault",
    "KvmEntry",
    "KvmExit",
    "KvmGuestFault",
    "KvmHandleSysReg",
    "KvmHva",
    "KvmHvc",
    "KvmIrqLine",
    "KvmMmio",
    "KvmMmioEmulate",
    "KvmNestedException",
    "KvmSetIrq",
    "KvmSysAccess",
    "KvmUserspaceExit",
    "KvmVcpuWakeup",
    "KvmWfx",
    "LostEvents",
    "McEvent",
    "MceProbe",
    "MemoryFailureEvent",
    "NonStandardEvent",
    "ProbeHit",
    "SeaProbe",
    "SignalDeliver",
    "SignalGenerate",
    "TraceEvent",
    "TraceLine",
    "console_message",
    "marker_text",
    "parse_trace_event",
    "parse_trace_line",
]

TraceEvent: TypeAlias = (
    MemoryFailureEvent
    | McEvent
    | ArmEvent
    | NonStandardEvent
    | AerEvent
    | ExtlogMemEvent
    | SignalGenerate
    | SignalDeliver
    | KvmEntry
    | KvmExit
    | KvmGuestFault
    | KvmUserspaceExit
    | KvmAccessFault
    | KvmHva
    | KvmNestedException
    | KvmIrqLine
    | KvmSetIrq
    | KvmMmio
    | KvmMmioEmulate
    | KvmSysAccess
    | KvmHandleSysReg
    | KvmHvc
    | KvmWfx
    | KvmVcpuWakeup
    | SeaProbe
    | MceProbe
    | ProbeHit
)

_READERS: Mapping[str, Callable[[TraceLine], TraceEvent | None]] = {
    "memory_failure_event": MemoryFailureEvent.of,
    "mc_event": McEvent.of,
    "arm_event": ArmEvent.of,
    "non_standard_event": NonStandardEvent.of,
    "aer_event": AerEvent.of,
    "extlog_mem_event": ExtlogMemEvent.of,
    "signal_generate": SignalGenerate.of,
    "signal_deliver": SignalDeliver.of,
    "kvm_entry": KvmEntry.of,
    "kvm_exit": KvmExit.of,
    "kvm_guest_fault": KvmGuestFault.of,
    "kvm_mmio_nisv": KvmGuestFault.of,
    "kvm_userspace_exit": KvmUserspaceExit.of,
    "kvm_access_fault": KvmAccessFault.of,
    "kvm_unmap_hva_range": KvmHva.of,
    "kvm_age_hva": KvmHva.of,
    "kvm_test_age_hva": KvmHva.of,
    "kvm_inject_nested_exception": KvmNestedException.of,
    "kvm_irq_line": KvmIrqLine.of,
    "kvm_set_irq": KvmSetIrq.of,
    "kvm_mmio": KvmMmio.of,
    "kvm_mmio_emulate": KvmMmioEmulate.of,
    "kvm_sys_access": KvmSysAccess.of,
    "kvm_handle_sys_reg": KvmHandleSysReg.of,
    "kvm_hvc_arm64": KvmHvc.of,
    "kvm_wfx_arm64": KvmWfx.of,
    "kvm_vcpu_wakeup": KvmVcpuWakeup.of,
}

#: The events that :func:`parse_trace_event` types, by the name a trace prints; probes have any name.
EVENT_CLASSES = tuple(_READERS)


def parse_trace_event(line: TraceLine) -> TraceEvent | None:
    """Return a line's event, typed; ``None`` for one without a type, and for a damaged one.

    A line of any other name with the shape of a probe's is a :class:`SeaProbe`, a :class:`MceProbe` or a
    :class:`ProbeHit`. The texts of ``console`` and ``tracing_mark_write`` are :func:`console_message` and
    :func:`marker_text`.
    """
    if reader := _READERS.get(line.event):
        return reader(line)
    if console_message(line) is not None or marker_text(line) is not None:
        return None
    return SeaProbe.of(line) or MceProbe.of(line) or ProbeHit.of(line)
