# SPDX-License-Identifier: Apache-2.0
"""trace_pipe lines: real shapes of several kernels and options, and anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.trace import (
    LostEvents,
    MceProbe,
    MemoryFailureEvent,
    SeaProbe,
    SignalGenerate,
    TraceLine,
    console_message,
    parse_trace_event,
    parse_trace_line,
)


def parse(line: str) -> TraceLine:
    parsed = parse_trace_line(line)
    assert isinstance(parsed, TraceLine)
    return parsed


SIGNAL = "sig=7 errno=0 code=4 comm=CPU 0/KVM pid=812 grp=0 res=0"


@pytest.mark.parametrize(
    ("head", "comm", "pid", "cpu", "t"),
    [
        ("     CPU 0/KVM-812     [001] d....    95.123456: ", "CPU 0/KVM", 812, 1, 95_123456_000),
        ("          <idle>-0       [000] d.h1.  1234.000001: ", "<idle>", 0, 0, 1234_000001_000),
        ("   kworker/0:1-H-31      [003] ....1 1.5: ", "kworker/0:1-H", 31, 3, 1_500000_000),
        ("           a [b]-1234567 [127] dN.2 0.000000001: ", "a [b]", 1234567, 127, 1),
        (
            "  qemu-system-aar-77 (     70) [000] ..... 2.000000: ",
            "qemu-system-aar",
            77,
            0,
            2 * 10**9,
        ),
        (
            "  qemu-system-aar-77 (-------) [000] ..... 2.000000: ",
            "qemu-system-aar",
            77,
            0,
            2 * 10**9,
        ),
        ("             cat-5       [000] 2.000000: ", "cat", 5, 0, 2 * 10**9),
    ],
)
def test_the_context_of_a_line(head: str, comm: str, pid: int, cpu: int, t: int) -> None:
    line = parse(f"{head}signal_generate: {SIGNAL}\n")
    assert (line.comm, line.pid, line.cpu, line.t) == (comm, pid, cpu, t)
    assert (line.event, line.text) == ("signal_generate", SIGNAL)
    assert line.fields["comm"] == "CPU 0/KVM"


def event(name: str, text: str) -> TraceLine:
    return parse(f"  CPU 0/KVM-812     [001] d....    95.123456: {name}: {text}")


def test_signal_generate() -> None:
    assert SignalGenerate.of(event("signal_generate", SIGNAL)) == SignalGenerate(
        sig=7, errno=0, code=4, comm="CPU 0/KVM", pid=812, group=False, result=0
    )
    hostile = "sig=7 errno=0 code=-6 comm=x pid=1 grp=1 pid=9 grp=1 res=0"
    signal = SignalGenerate.of(event("signal_generate", hostile))
    assert signal is not None
    assert (signal.comm, signal.pid, signal.code) == ("x pid=1 grp=1", 9, -6)
    assert SignalGenerate.of(event("signal_generate", "sig=7")) is None
    assert SignalGenerate.of(event("other", SIGNAL)) is None


@pytest.mark.parametrize(
    "text",
    [
        "pfn 0x10123f: recovery action for dirty LRU page: Recovered",  # include/ras/ras_event.h
        "pfn=0x10123f page_type=dirty LRU page result=Recovered",
    ],
)
def test_memory_failure_event(text: str) -> None:
    assert MemoryFailureEvent.of(event("memory_failure_event", text)) == MemoryFailureEvent(
        pfn=0x10123F, page_type="dirty LRU page", result="Recovered"
    )
    assert MemoryFailureEvent.of(event("memory_failure_event", "pfn 0x1")) is None
    assert MemoryFailureEvent.of(event("other", text)) is None


def test_sea_probe() -> None:
    text = "(do_sea+0x0/0xd8) far=0x0 esr=0x92000410"
    assert SeaProbe.of(event("do_sea", text)) == SeaProbe(far=0, esr=0x92000410)
    assert SeaProbe.of(event("seabus_sea", text)) == SeaProbe(far=0, esr=0x92000410)
    assert SeaProbe.of(event("do_sea", "(do_sea+0x0/0xd8) far=0x0")) is None
    assert SeaProbe.of(event("do_mem_abort", "(do_mem_abort+0x0/0xd8) far=0x0 esr=0x1")) is None


def test_mce_probe() -> None:
    for function in ("send_sig_mceerr", "force_sig_mceerr"):
        text = f"({function}+0x0/0x118) code=5 address=0xffffaae05000 lsb=21"
        probe = MceProbe(code=5, address=0xFFFF_AAE0_5000, lsb=21)
        assert MceProbe.of(event(function, text)) == probe
        assert parse_trace_event(event(function, text)) == probe
    assert MceProbe.of(event("send_sig_mceerr", "(send_sig_mceerr+0x0/0x118) code=5 lsb=21")) is None
    assert MceProbe.of(event("send_sig", "(send_sig+0x0/0x118) code=5 address=0x1 lsb=21")) is None


def test_console() -> None:
    text = "[   12.345678] {1}[Hardware Error]: event severity: recoverable"
    assert console_message(event("console", text)) == text
    assert console_message(event("signal_generate", SIGNAL)) is None


def test_lost_events() -> None:
    assert parse_trace_line("CPU:0 [LOST 12 EVENTS]\n") == LostEvents(0, 12)
    assert parse_trace_line("CPU:11 [LOST EVENTS]") == LostEvents(11, None)


@pytest.mark.parametrize(
    "line",
    ["", "# tracer: nop", "  bash-1 [000] ..... 1.000000: do_fork <-sys_clone", "x" * 100_000],
)
def test_anything_else_is_nothing(line: str) -> None:
    assert parse_trace_line(line) is None


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    parse_trace_line(text)
    for name in ("signal_generate", "memory_failure_event", "do_sea", "console"):
        line = parse_trace_line(f"  a-1 [000] ..... 1.000000: {name}: {text}")
        if isinstance(line, TraceLine):
            SignalGenerate.of(line)
            MemoryFailureEvent.of(line)
            SeaProbe.of(line)


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=15),
    st.integers(0, 2**22),
)
def test_comms_of_any_shape(comm: str, pid: int) -> None:
    comm = comm.strip()
    if not comm:
        return
    line = parse(f"{comm:>16}-{pid:<7d} [001] d....    95.123456: signal_generate: {SIGNAL}")
    assert (line.comm, line.pid) == (comm, pid)
