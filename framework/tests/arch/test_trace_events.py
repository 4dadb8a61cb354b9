# SPDX-License-Identifier: Apache-2.0
"""Typed trace events: captured lines of 7.3, and the texts of other kernels."""

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.trace import (
    EVENT_CLASSES,
    AerEvent,
    ArmEvent,
    ExtlogMemEvent,
    KvmAccessFault,
    KvmEntry,
    KvmExit,
    KvmGuestFault,
    KvmHandleSysReg,
    KvmHva,
    KvmHvc,
    KvmIrqLine,
    KvmMmio,
    KvmMmioEmulate,
    KvmNestedException,
    KvmSetIrq,
    KvmSysAccess,
    KvmUserspaceExit,
    KvmVcpuWakeup,
    KvmWfx,
    LostEvents,
    McEvent,
    MemoryFailureEvent,
    NonStandardEvent,
    ProbeHit,
    SeaProbe,
    SignalDeliver,
    SignalGenerate,
    TraceEvent,
    TraceLine,
    marker_text,
    parse_trace_event,
    parse_trace_line,
)

SAMPLES = Path(__file__).parent / "samples"
REAL = SAMPLES / "linux-7.3"


def lines(path: Path) -> list[TraceLine]:
    parsed = [parse_trace_line(line) for line in path.read_text().splitlines()]
    return [line for line in parsed if isinstance(line, TraceLine)]


def event(name: str, text: str) -> TraceLine:
    line = parse_trace_line(f"  CPU 0/KVM-812     [001] d....    95.123456: {name}: {text}")
    assert isinstance(line, TraceLine)
    return line


DERIVED: list[TraceEvent] = [
    McEvent(
        count=2,
        kind="Corrected",
        message="single-bit ECC",
        label="DIMM_A1",
        mc=0,
        location=(1, 0, -1),
        address=0xFE00DBA0,
        grain=64,
        syndrome=0x12,
        detail="APEI location: node:0 (card:1)",
    ),
    McEvent(
        count=1,
        kind="Fatal",
        message="",
        label="unknown memory",
        mc=0,
        location=(-1, -1, -1),
        address=0,
        grain=1,
        syndrome=0,
        detail="",
    ),
    ArmEvent(affinity_level=255, mpidr=0x81080000, midr=0x411FD0C0, running_state=1, psci_state=-1),
    AerEvent(
        device="0000:01:00.0",
        bus="PCIe",
        severity="Uncorrected, non-fatal",
        errors=("Completion Timeout", "Poisoned TLP"),
        tlp_header=(0x4A000001, 0x02000004, 0xDEADBEEF, 0),
    ),
    AerEvent(device="0000:02:00.0", bus="CXL", severity="Corrected", errors=("Bad DLLP",), tlp_header=()),
    ExtlogMemEvent(
        sequence=3,
        severity="corrected",
        error="single-bit ECC",
        address=0xFE00DBA0,
        lsb=12,
        location="node:0 card:1",
        fru_id=uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
        fru_text="board 3",
    ),
    MemoryFailureEvent(pfn=0xFE00D, page_type="already poisoned", result="Failed"),
    KvmIrqLine(type="VGIC SPI", vcpu=0, number=33, level=1),
    KvmSetIrq(gsi=9, level=1, source=0),
    KvmMmio(kind="unsatisfied-read", length=4, ipa=0x9000018, value=0),
    KvmMmioEmulate(pc=0xFFFF800080010000, instruction=0xB9400001, pstate=0x604000C5),
    KvmGuestFault(ipa=0x9000000, esr=0x92000010, far=0x9000000, pc=0xFFFF800080010000, no_syndrome=True),
    KvmAccessFault(ipa=0x4EB35000),
    KvmHvc(pc=0xFFFF800080010000, x0=0x84000000, immediate=0),
    KvmNestedException(
        kind="SERROR",
        esr=0xBE000011,
        elr=0xFFFF800080010000,
        spsr=0x604000C9,
        mode="EL2h",
        hcr=0x80000000,
    ),
    KvmUserspaceExit(reason="KVM_EXIT_ARM_SEA", number=41),
    KvmUserspaceExit(reason="error", number=14),
    KvmExit(kind="SERROR", ec=0, ec_name="UNKNOWN", pc=0xFFFF800080010000),
]


def test_texts_of_every_kernel() -> None:
    assert [parse_trace_event(line) for line in lines(SAMPLES / "derived" / "traces.txt")] == DERIVED
    *_others, last = (SAMPLES / "derived" / "traces.txt").read_text().splitlines()
    assert parse_trace_line(last) == LostEvents(1, 12)


def test_every_class_is_met_in_a_sample() -> None:
    paths = [*REAL.rglob("*.txt"), SAMPLES / "derived" / "traces.txt"]
    met = {line.event for path in paths for line in lines(path)}
    assert set(EVENT_CLASSES) - met == set()


@pytest.mark.parametrize("name", ["default", "thp", "vhe"])
def test_the_chain_of_a_consumed_page(name: str) -> None:
    host = [parse_trace_event(line) for line in lines(REAL / "chain" / f"{name}-l1.txt")]
    told, unmapped, stopped = [event for event in host if event is not None]
    assert isinstance(told, SignalGenerate)
    assert (told.code, told.comm, told.is_memory_error) == (5, "qemu-system-aar", True)
    assert told.result_name == "delivered"
    assert isinstance(unmapped, MemoryFailureEvent)
    assert (unmapped.page_type, unmapped.result) == ("dirty LRU page", "Recovered")
    assert isinstance(stopped, SignalGenerate)
    assert (stopped.code, stopped.comm, stopped.group) == (4, "CPU 0/KVM", False)
    guest = [parse_trace_event(line) for line in lines(REAL / "chain" / f"{name}-l2.txt")]
    sea, told, unmapped = [event for event in guest if event is not None]
    assert sea == SeaProbe(far=0, esr=0x92000410)
    assert isinstance(told, SignalGenerate)
    assert told.code == 4
    assert isinstance(unmapped, MemoryFailureEvent)


def test_runs_that_lack_something() -> None:
    for level in ("l1", "l2"):
        (mark,) = lines(REAL / "chain" / f"noinject-{level}.txt")
        assert marker_text(mark) == "seabus barrier 1"
        assert parse_trace_event(mark) is None
    host = [parse_trace_event(line) for line in lines(REAL / "chain" / "noras-l1.txt")]
    found = [event for event in host if event is not None]
    assert [e.code for e in found if isinstance(e, SignalGenerate)] == [5, 4]


def test_kvm_around_a_fault() -> None:
    parsed = lines(REAL / "kvm" / "record-tgid-l1.txt")
    events = [(line, parse_trace_event(line)) for line in parsed]
    missing = {line.event for line, typed in events if typed is None}
    assert missing <= {"console", "tracing_mark_write", "kvm_halt_poll_ns"}
    found = [typed for _line, typed in events]
    assert KvmVcpuWakeup(how="wait", ns=75325692) in found
    assert KvmEntry(pc=0xFFFFB165ACD7C430) in found
    trap = KvmExit(kind="TRAP", ec=0x24, ec_name="DABT_LOW", pc=0xFFFFB165AC05E128)
    assert trap in found
    assert trap.exception_class == "data abort from a lower EL"
    interrupt = KvmExit(kind="IRQ", ec=0, ec_name="UNKNOWN", pc=0xFFFFB165AC05E1D8)
    assert interrupt in found
    assert interrupt.exception_class is None
    assert (
        KvmGuestFault(ipa=0x5F8E3000, esr=0x93C08007, far=0xFFFFC1FFC00E3148, pc=0xFFFFB165AC05E128) in found
    )
    assert KvmHva(what="test age", start=0xFFFFA324E000) in found
    assert KvmHva(what="age", start=0xFFFFA3DEE000, end=0xFFFFA3DEF000) in found
    assert KvmHva(what="unmap", start=0xFFFF82935000, end=0xFFFF82936000) in found
    assert KvmUserspaceExit(reason="restart", number=4) in found
    assert KvmWfx(what="wfi", pc=0xFFFFB165ACD7C430) in found
    assert len([typed for typed in found if isinstance(typed, KvmSysAccess | KvmHandleSysReg)]) == 4
    entry = next(line for line in parsed if line.event == "kvm_entry")
    assert (entry.pid, entry.tgid, entry.flags) == (120, 117, "d..1.")


def test_probes() -> None:
    host = [parse_trace_event(line) for line in lines(REAL / "kvm" / "record-tgid-l1.txt")]
    hit, left = [event for event in host if isinstance(event, ProbeHit)]
    assert hit == ProbeHit(place="memory_failure+0x0/0x1258", arguments={"pfn": "0x64b35", "flags": "0x0"})
    assert left == ProbeHit(
        place="memory_failure_work_func+0xc8/0x138", function="memory_failure", arguments={"ret": "0"}
    )
    assert hit.symbol == left.symbol == "memory_failure"
    guest = [parse_trace_event(line) for line in lines(REAL / "kvm" / "probes-l2.txt")]
    assert SignalDeliver(sig=7, errno=0, code=4, handler=0x4057BC, flags=0x18000004) in guest
    returned = next(event for event in guest if isinstance(event, ProbeHit))
    assert (returned.symbol, returned.arguments) == ("do_sea", {"arg1": "0"})


@pytest.mark.parametrize(
    ("name", "tgid", "flags"),
    [("noirq-info-l1", 51, None), ("noirq-info-norecord-tgid-l1", None, None)],
)
def test_columns_that_are_off(name: str, tgid: int | None, flags: str | None) -> None:
    first = next(line for line in lines(REAL / "kvm" / f"{name}.txt") if line.comm == "kdamond.0")
    assert (first.pid, first.tgid, first.cpu, first.flags) == (51, tgid, 1, flags)
    assert isinstance(parse_trace_event(first), KvmHva)


def test_the_latency_format_is_not_read() -> None:
    assert lines(REAL / "kvm" / "latency-format-l1.txt") == []


def test_hardware_errors_of_7_3() -> None:
    found = [parse_trace_event(line) for line in lines(REAL / "records" / "trace.txt")]
    arm = next(event for event in found if isinstance(event, ArmEvent))
    cper = (REAL / "records" / "arm.cper").read_bytes()
    section = cper[20 + 72 :]
    assert (arm.cpu, arm.severity, arm.affinity_level) == (1, 2, 1)
    assert (arm.mpidr, arm.midr, arm.running_state, arm.psci_state) == (0x81000001, 0x410FD4F0, 1, 0)
    assert arm.errors == section[40:104]
    # Linux 7.3.4 counts a context's header only, drivers/ras/ras.c log_arm_hw_error(); the rest is "vendor".
    assert arm.contexts is not None
    assert arm.vendor is not None
    assert arm.contexts + arm.vendor == section[104:]
    generic = next(event for event in found if isinstance(event, NonStandardEvent))
    assert (
        generic
        == NonStandardEvent(
            severity=2,
            section_type=uuid.UUID(
                "9876ccad-47b4-4bdb-b65e-16f193c4f3db"
            ),  # UEFI 2.11 N.2.2, generic processor
            fru_id=uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
            fru_text="board 3 slot 7",
            length=192,
            data=(REAL / "records" / "generic.cper").read_bytes()[20 + 72 :],
        )
    )


SIGNAL = SignalGenerate(sig=7, errno=0, code=4, comm="CPU 0/KVM", pid=812, group=False, result=0)


@pytest.mark.parametrize(
    "text",
    [
        "sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 grp=0 res=0",
        "sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 grp=0 res=0 new=1 newer=0x2",
        "new=1 sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 grp=0 res=0",
        "sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 new=1 grp=0 res=0",
        "code=4 errno=0 sig=7 comm=CPU 0/KVM res=0 grp=0 pid=812",
    ],
)
def test_signals_with_fields_moved_and_added(text: str) -> None:
    assert SignalGenerate.of(event("signal_generate", text)) == SIGNAL


def test_signals_that_were_not_delivered() -> None:
    text = "sig=7 errno=0 code=4 comm=x pid=1 grp=1 res={}"
    results = [SignalGenerate.of(event("signal_generate", text.format(n))) for n in (1, 2, 3, 4, 9)]
    assert [result.result_name for result in results if result] == [
        *("ignored", "already pending", "queue overflow", "information lost", "result 9"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kvm_exit", "TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x1, NEW: 2"),
        ("kvm_entry", "PC: 0x1, NEW: 2"),
        ("kvm_guest_fault", "new 0x1, ipa 0, hsr 0x92000010, hxfar 0, pc 0x1"),
        ("kvm_userspace_exit", "reason KVM_EXIT_MMIO (6), flags 0x1"),
        ("kvm_set_irq", "gsi 9 level 1 source 0 new 1"),
    ],
)
def test_events_with_fields_added(name: str, text: str) -> None:
    assert parse_trace_event(event(name, text)) is not None


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_damaged_events_are_none(name: str) -> None:
    sample = next(
        line
        for path in (*REAL.rglob("*.txt"), SAMPLES / "derived" / "traces.txt")
        for line in lines(path)
        if line.event == name
    )
    assert parse_trace_event(sample) is not None
    assert parse_trace_event(event(name, "")) is None
    assert parse_trace_event(event(name, "x" + sample.text[: len(sample.text) // 3])) is None


@given(st.sampled_from(EVENT_CLASSES), st.text(max_size=120))
def test_any_text_is_taken(name: str, text: str) -> None:
    line = parse_trace_line(f"  a-1 [000] ..... 1.000000: {name}: {text}")
    if isinstance(line, TraceLine):
        parse_trace_event(line)


ALL = [line for path in (*REAL.rglob("*.txt"), SAMPLES / "derived" / "traces.txt") for line in lines(path)]


@given(st.sampled_from(ALL), st.data())
def test_any_damage_is_taken(line: TraceLine, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(line.text)))
    length = data.draw(st.integers(0, 20))
    text = line.text[:at] + data.draw(st.text(max_size=5)) + line.text[at + length :]
    damaged = parse_trace_line(f"  a-1 [000] ..... 1.000000: {line.event}: {text}")
    if isinstance(damaged, TraceLine):
        parse_trace_event(damaged)


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=15))
def test_comms_of_any_shape(comm: str) -> None:
    # A task's name may even look like the fields that follow it.
    line = event("signal_generate", f"sig=7 errno=0 code=4 comm={comm} pid=812 grp=0 res=0")
    signal = SignalGenerate.of(line)
    assert signal is not None
    assert (signal.comm, signal.pid) == (comm, 812)
