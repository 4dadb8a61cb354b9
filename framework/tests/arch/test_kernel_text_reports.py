# SPDX-License-Identifier: Apache-2.0
"""Exceptions, panics and the kernel's reports about itself: captured ones, and other kernels' words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.kernel_text import (
    TROUBLE_KINDS,
    ExceptionLine,
    InternalError,
    KernelAccess,
    KernelPanic,
    KvmMessage,
    SErrorInterrupt,
    TroubleTextParser,
    UnhandledException,
    UserException,
    find_trouble,
    parse_dmesg,
    parse_exception,
    parse_kvm,
)

SAMPLES = Path(__file__).parent / "samples"
LOGS = SAMPLES / "linux-7.3" / "logs"

LINES: list[tuple[str, ExceptionLine, bool | None]] = [
    (
        # arch/arm64/kernel/traps.c __die(): 7.3 prints two blanks, 6.x S_PREEMPT
        "Internal error: synchronous external abort: 0000000096000410 [#1]  SMP",
        InternalError(what="synchronous external abort", esr=0x96000410, number=1),
        True,
    ),
    (
        "Internal error: level 3 (translation table walk): 0000000096000017 [#2] PREEMPT SMP",
        InternalError(what="level 3 (translation table walk)", esr=0x96000017, number=2),
        True,
    ),
    (
        "Internal error: level 1 synchronous parity error (translation table walk): 9600001d [#1] SMP",
        InternalError(
            what="level 1 synchronous parity error (translation table walk)", esr=0x9600001D, number=1
        ),
        True,
    ),
    (
        "Internal error: Oops - BUG: 00000000f2000800 [#1] SMP",
        InternalError(what="Oops - BUG", esr=0xF2000800, number=1),
        False,
    ),
    (
        "SError Interrupt on CPU3, code 0x00000000be000411 -- SError",
        SErrorInterrupt(cpu=3, esr=0xBE000411, exception_class="SError"),
        None,
    ),
    (
        "Unhandled 64-bit el1h sync exception on CPU0, ESR 0x0000000002000000 -- Unknown/Uncategorized",
        UnhandledException(
            vector="64-bit el1h sync", cpu=0, esr=0x2000000, exception_class="Unknown/Uncategorized"
        ),
        None,
    ),
    (
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008",
        KernelAccess(what="NULL pointer dereference", address=8),
        None,
    ),
    (
        "a: b [c][134]: unhandled exception: DABT (lower EL), ESR 0x0000000092000010, synchronous external"
        " abort in frame[a60,400000+81000]",
        UserException(
            comm="a: b [c]",
            pid=134,
            what="synchronous external abort",
            esr=0x92000010,
            exception_class="DABT (lower EL)",
            where="frame[a60,400000+81000]",
        ),
        True,
    ),
    (
        "frame[135]: unhandled exception: level 3 translation fault in frame[a60+81000]",
        UserException(comm="frame", pid=135, what="level 3 translation fault", where="frame[a60+81000]"),
        False,
    ),
    ("Kernel panic - not syncing: sysrq triggered crash", KernelPanic(reason="sysrq triggered crash"), False),
]


@pytest.mark.parametrize(("message", "expected", "hardware"), LINES)
def test_lines_that_name_an_exception(message: str, expected: ExceptionLine, hardware: bool | None) -> None:
    found = parse_exception(message)
    assert found == expected
    if isinstance(found, InternalError | UserException | KernelPanic):
        assert found.hardware is hardware


@pytest.mark.parametrize(
    "reason",
    [
        "Fatal hardware error!",  # ghes.c up to 6.6 or so
        "GHES: Fatal hardware error",
        "Asynchronous SError Interrupt",
        "Memory failure on page 10123f",
        "Memory failure: 0x10123f: unrecoverable page",
        "synchronous external abort: Fatal exception",
        "level 0 (translation table walk): Fatal exception in interrupt",
        "UE multi-bit ECC on unknown memory (node:0 page:0x1 offset:0x0 grain:1)",
    ],
)
def test_panics_for_hardware(reason: str) -> None:
    assert KernelPanic(reason=reason).hardware


@pytest.mark.parametrize("reason", ["Oops: Fatal exception", "VFS: Unable to mount root fs", "UE", ""])
def test_panics_for_other_reasons(reason: str) -> None:
    assert not KernelPanic(reason=reason).hardware


def test_an_external_abort_at_el1() -> None:
    (report,) = parse_dmesg((LOGS / "kernel-sea-l1.txt").read_text()).trouble
    assert (report.kind, report.esr, report.hardware) == ("oops", 0x96000010, True)
    assert (report.cpu, report.pid, report.comm, report.tainted) == (1, 134, "frame", "G   M")
    assert report.pc == "__arch_copy_from_user+0x14/0x240"
    assert report.lr == "_copy_from_iter+0xec/0x670"
    assert report.registers["x1"] == 0x0000_FFFF_A7F8_2000
    assert report.registers["x29"] == 0xFFFF_8000_8054_B9B0
    assert report.registers["pstate"] == 0x81402005
    assert len([name for name in report.registers if name.startswith("x")]) == 30
    assert report.call_trace[0] == "__arch_copy_from_user+0x14/0x240 (P)"
    assert report.call_trace[-1] == "el0t_64_sync+0x198/0x1a0"
    assert len(report.call_trace) == 12
    assert len(report.lines) == 34


def test_a_fatal_record() -> None:
    log = parse_dmesg((LOGS / "fatal-record-l1.txt").read_text())
    assert [event.kind for event in log.events] == ["ghes", "trouble"]
    assert (log.ghes[0].severity, log.ghes[0].physical_address) == ("fatal", 0x6000A000)
    (report,) = log.trouble
    assert (report.kind, report.hardware, report.cpu) == ("panic", True, 0)
    assert report.exceptions == (KernelPanic(reason="GHES: Fatal hardware error"),)
    assert report.call_trace[5] == "__ghes_panic+0x94/0xa0"
    assert report.esr is None


def test_a_panic_for_another_reason() -> None:
    (report,) = parse_dmesg((LOGS / "panic-l2.txt").read_text()).trouble
    assert (report.kind, report.hardware, report.comm) == ("panic", False, "sh")
    assert report.tainted is None


def test_processes_that_die() -> None:
    log = parse_dmesg((LOGS / "user-exceptions-l1.txt").read_text())
    assert log.trouble == ()
    died = [event.what for event in log.of_kind("user-exception")]
    assert [(e.what, e.esr, e.hardware) for e in died if isinstance(e, UserException)] == [
        ("synchronous external abort", 0x92000010, True),
        ("level 3 translation fault", 0x92000007, False),
        ("alignment fault", 0x92000061, False),
    ]
    assert [event.line for event in log.of_kind("user-exception")] == [1, 22, 40]


def test_reports_of_6_12() -> None:
    oops, warning, lockup, stall, hung, panic = parse_dmesg(
        (SAMPLES / "derived" / "linux-6.12.txt").read_text()
    ).trouble
    assert oops.text == "Unable to handle kernel paging request at virtual address ffff800081234567"
    assert (oops.kind, oops.esr, oops.address) == ("oops", 0x96000045, 0xFFFF800081234567)
    assert (oops.comm, oops.tainted, oops.hardware) == ("kworker/2:1", None, False)
    assert oops.abort["EC"] == "0x25: DABT (current EL)"
    assert (oops.abort["IL"], oops.abort["WnR"], oops.abort["Xs"]) == ("32 bits", "1", "0")
    assert oops.registers == {"x2": 2, "x1": 1, "x0": 0xFFFF800081234567}
    assert (warning.kind, warning.comm, warning.pid) == ("WARNING", "CPU 0/KVM", 812)
    assert warning.text.startswith("WARNING: CPU: 1 PID: 812 at mm/memory-failure.c:2270")
    assert warning.tainted == "G   M D"
    assert (lockup.kind, stall.kind, hung.kind) == ("soft lockup", "RCU stall", "hung task")
    assert len(stall.lines) == 2
    assert len(hung.lines) == 2
    assert (panic.kind, panic.hardware) == ("panic", True)


def test_an_serror_and_its_panic_are_one() -> None:
    (report,) = parse_dmesg((SAMPLES / "derived" / "linux-6.1.txt").read_text()).trouble
    assert (report.kind, report.esr, report.cpu) == ("panic", 0xBE000411, 3)
    assert report.hardware
    assert (report.pc, report.call_trace) == (
        "0000ffffa0001234",
        ("dump_backtrace+0xe4/0x140", "show_stack+0x20/0x30"),
    )


def test_a_bug_and_its_death_are_one() -> None:
    lines = [
        "------------[ cut here ]------------",
        "kernel BUG at mm/memory-failure.c:123!",
        "Internal error: Oops - BUG: 00000000f2000800 [#1] SMP",
        "---[ end trace 0000000000000000 ]---",
    ]
    parser = TroubleTextParser()
    reports = [report for line in lines if (report := parser.feed(line))]
    assert [(r.kind, r.text, r.esr) for r in reports] == [
        ("BUG", "kernel BUG at mm/memory-failure.c:123!", 0xF2000800)
    ]
    assert not parser.is_open


def test_a_report_without_an_end() -> None:
    parser = TroubleTextParser()
    assert parser.feed("BUG: KASAN: slab-out-of-bounds in f+0x1/0x2") is None
    fed = [parser.feed(f"systemd[1]: {n}") for n in range(40)]
    (report,) = [report for report in fed if report]
    assert (report.kind, report.lines) == ("BUG", ("BUG: KASAN: slab-out-of-bounds in f+0x1/0x2",))
    assert parser.finish() is None


def test_what_a_report_keeps_is_capped() -> None:
    parser = TroubleTextParser()
    parser.feed("Internal error: Oops: 0000000096000004 [#1] SMP")
    reports = [r for n in range(10_000) if (r := parser.feed(f" f{n}+0x1/0x2"))]
    assert all(len(report.lines) <= 256 for report in reports)


NEW_TROUBLE = [
    ("hung task", "INFO: task khugepaged:41 blocked in I/O wait for more than 120 seconds."),
    ("hard lockup", "NMI watchdog: Watchdog detected hard LOCKUP on cpu 0"),
    ("hard lockup", "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 1"),
    ("BUG", "BUG kmalloc-64 (Not tainted): Poison overwritten"),
    ("oops", "Insufficient stack space to handle exception!"),
    ("oops", "kvm [812]: nVHE hyp panic at: [<ffff800080000000>] f+0x1/0x2!"),
    ("WARNING", "WARNING: at f+0x1/0x2, CPU#0: sh/1"),
    ("RCU stall", "INFO: rcu_tasks detected stalls on tasks:"),
]


@pytest.mark.parametrize(("kind", "message"), NEW_TROUBLE)
def test_trouble_of_every_kernel(kind: str, message: str) -> None:
    assert find_trouble(message) == kind
    assert kind in TROUBLE_KINDS


def test_a_boot_has_no_trouble() -> None:
    log = parse_dmesg((LOGS / "boot-l1.txt").read_text())
    assert log.lines == 347
    assert {event.kind for event in log.events} == {"kvm"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "kvm [812]: Unsupported FSC: EC=0x24 xFSC=0x1c ESR_EL2=0x9200001c",
            KvmMessage(text="Unsupported FSC: EC=0x24 xFSC=0x1c ESR_EL2=0x9200001c", pid=812, esr=0x9200001C),
        ),
        (
            "kvm [1]: Unknown exception class: esr: 0x0000007e000000 -- UNKNOWN",
            KvmMessage(
                text="Unknown exception class: esr: 0x0000007e000000 -- UNKNOWN", pid=1, esr=0x7E000000
            ),
        ),
        ("kvm: exiting hardware virtualization", KvmMessage(text="exiting hardware virtualization")),
        ("KVM: x", KvmMessage(text="x")),
    ],
)
def test_kvm(message: str, expected: KvmMessage) -> None:
    assert parse_kvm(message) == expected
    assert not expected.hypervisor_died


def test_the_hypervisor_died() -> None:
    message = parse_kvm("kvm [812]: nVHE hyp BUG at: arch/arm64/kvm/hyp/nvhe/mm.c:12!")
    assert message is not None
    assert message.hypervisor_died
    assert parse_kvm("kvmclock: hello") is None


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    parse_exception(text)
    parse_kvm(text)
    parser = TroubleTextParser()
    parser.feed("BUG: x")
    parser.feed(text)
    assert parser.finish() is not None or not parser.is_open
