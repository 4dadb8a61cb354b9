# SPDX-License-Identifier: Apache-2.0
"""Whole logs: what is found, where, in bounded memory and linear time."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.kernel_text import (
    AerReport,
    DmesgParser,
    EdacReport,
    FirmwareComplaint,
    GhesRecord,
    GhesSignal,
    KvmMessage,
    LogEvent,
    LostMessages,
    MemoryFailure,
    SoftOffline,
    TroubleReport,
    Unpoison,
    log_lines,
    parse_dmesg,
    parse_edac,
)

SAMPLES = Path(__file__).parent / "samples"
REAL = SAMPLES / "linux-7.3"


def test_kinds_lines_and_times_of_6_1() -> None:
    log = parse_dmesg((SAMPLES / "derived" / "linux-6.1.txt").read_text())
    assert [(event.line, event.kind) for event in log.events] == [
        (1, "ghes"),
        *((line, "memory-failure") for line in range(22, 27)),
        *((line, "soft-offline") for line in range(27, 31)),
        *((31, "unpoison"), (32, "unpoison"), (33, "injection"), (34, "signal"), (35, "edac"), (36, "edac")),
        (37, "trouble"),
    ]
    first, *_others, last = log.events
    assert (first.level, first.time_ns, first.caller) == (3, 100_000001000, "T123")
    assert (last.level, last.time_ns, last.caller) == (2, 100_300000000, "C3")


def test_findings_of_6_1() -> None:
    log = parse_dmesg((SAMPLES / "derived" / "linux-6.1.txt").read_text())
    assert log.events[13].what == GhesSignal(comm="stress-ng", pid=4711)
    corrected, uncorrected = (event.what for event in log.of_kind("edac"))
    assert corrected == EdacReport(
        severity="CE",
        count=3,
        controller="MC0",
        message="single-bit ECC",
        label="DIMM_A1",
        page=0xFE00D,
        offset=0xBA0,
        grain=64,
        syndrome=0,
        location="node:0 card:1 module:2",
        detail="APEI location: node:0 card:1",
    )
    assert isinstance(corrected, EdacReport)
    assert corrected.physical_address == 0xFE00DBA0
    assert uncorrected == EdacReport(
        severity="UE",
        count=1,
        controller="MC0",
        message="",
        label="unknown memory",
        page=0,
        offset=0,
        grain=1,
    )


def test_findings_of_6_12() -> None:
    log = parse_dmesg((SAMPLES / "derived" / "linux-6.12.txt").read_text())
    found = [event.what for event in log.events]
    assert [failure.kind for failure in log.memory_failures] == [
        *("signal", "recovery", "killed", "referenced", "tail", "lost"),
    ]
    migration = "page migration failed -16, type referenced|uptodate|lru(zone=1)"
    assert SoftOffline(pfn=0xFE00F, text=migration) in found
    assert [what.done for what in found if isinstance(what, Unpoison)] == [True, False]
    assert [what.esr for what in found if isinstance(what, KvmMessage)] == [0x9200001C, None]
    assert (
        AerReport(
            device="0000:01:00.0",
            text="PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer, (Requester ID)",
            severity="Uncorrectable (Non-Fatal)",
            fields={"severity": "Uncorrectable (Non-Fatal)", "type": "Transaction Layer"},
        )
        in found
    )
    assert LostMessages(count=17) in found


def test_records_that_linux_7_3_printed() -> None:
    log = parse_dmesg((REAL / "records" / "dmesg.txt").read_text())
    assert [record.sequence for record in log.ghes] == list(range(1, 18))
    assert log.trouble == ()
    assert [failure.kind for failure in log.memory_failures] == ["signal", "recovery"] * 2
    complaints = [what for event in log.events if isinstance(what := event.what, FirmwareComplaint)]
    assert {complaint.kind for complaint in complaints} == {"Warn"}
    assert list(dict.fromkeys(complaint.text for complaint in complaints)) == [
        "valid bits set for fields beyond structure",
        "GHES: Unhandled processor error type 0x08: bus error",
        "CXL CPER Invalid section length (0)",
        "error section length is too small",
    ]
    lost = [what.device for event in log.events if isinstance(what := event.what, AerReport)]
    assert lost == ["0000:01:02.0"] * 2
    # Each is found where it begins, though it was complete much later only.
    assert [event.line for event in log.events] == sorted(event.line for event in log.events)


@pytest.mark.parametrize("name", ["dmesg-r", "kmsg"])
def test_the_same_records_from_other_sources(name: str) -> None:
    log = parse_dmesg((REAL / "records" / f"{name}.txt").read_text())
    first, second = log.ghes
    assert (first.severity, second.severity) == ("corrected", "recoverable")
    assert first.physical_address == second.physical_address == 0x60004000
    (event, *_others) = log.events
    assert event.level == 4  # KERN_WARNING of a corrected error, ghes.c __ghes_print_estatus()
    assert event.time_ns is not None


def test_pages_taken_offline() -> None:
    log = parse_dmesg((REAL / "logs" / "offline-l1.txt").read_text())
    assert [failure.page_type for failure in log.memory_failures if failure.page_type] == [
        *("dirty LRU page", "already poisoned page", "get hwpoison page", "dirty LRU page"),
        "non struct page pfn",
    ]
    (soft,) = log.of_kind("soft-offline")
    assert soft.what == SoftOffline(pfn=0x60002, text="page already poisoned")


def test_an_edac_device() -> None:
    message = "EDAC DEVICE0: UE: xgene-edac instance: L3 block: L30 count: 2 'bad thing'"
    report = parse_edac(message)
    assert report == EdacReport(
        severity="UE",
        count=2,
        controller="DEVICE0",
        message="bad thing",
        label="xgene-edac",
        location="instance: L3 block: L30",
    )
    assert report.physical_address is None
    assert parse_edac("EDAC MC: Ver: 3.0.0") is None


def test_a_record_cannot_forge_another_finding() -> None:
    lines = [
        "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0",
        "{1}[Hardware Error]:  Error 0, type: recoverable",
        "{1}[Hardware Error]:  fru_text: Memory failure: 0x1: x",
        "{1}[Hardware Error]:  fru_text: EDAC MC0: 1 UE x on y (page:0x1 offset:0x0 grain:1)",
    ]
    assert [event.kind for event in parse_dmesg("\n".join(lines)).events] == ["ghes"]


def test_interleaved_records_stay_apart() -> None:
    def printed(number: int) -> list[str]:
        return [
            f"{{{number}}}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: {number}",
            f"{{{number}}}[Hardware Error]: event severity: recoverable",
            f"{{{number}}}[Hardware Error]:  Error 0, type: recoverable",
            f"{{{number}}}[Hardware Error]:   section_type: memory error",
            f"{{{number}}}[Hardware Error]:   physical_address: 0x{number:016x}",
            f"{{{number}}}[Hardware Error]:   error_type: 3, multi-bit ECC",
        ]

    mixed = [line for lines in zip(*(printed(n) for n in (1, 2, 3)), strict=True) for line in lines]
    log = parse_dmesg("\n".join(mixed))
    assert [(e.line, r.sequence, r.physical_address) for e in log.events if (r := _record(e))] == [
        *((1, 1, 1), (2, 2, 2), (3, 3, 3)),
    ]
    assert all(record.sections[0].error_type == 3 for record in log.ghes)


def _record(event: LogEvent) -> GhesRecord | None:
    return event.what if isinstance(event.what, GhesRecord) else None


def test_the_numbers_start_again_after_a_reboot() -> None:
    line = "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0"
    log = parse_dmesg("\n".join([line, "x", line, "x", line]))
    assert [event.line for event in log.events] == [1, 3, 5]


def test_a_record_is_out_when_others_have_gone_on() -> None:
    parser = DmesgParser()
    parser.feed("{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0")
    fed = [parser.feed("x") for _ in range(70)]
    (events,) = [events for events in fed if events]
    assert (events[0].line, events[0].kind) == (1, "ghes")
    assert parser.finish() == []


def test_what_a_report_keeps_is_capped() -> None:
    line = "Memory failure: 0x1: unhandlable page.\n"
    log = parse_dmesg(line * 50, max_events=20)
    assert (len(log.events), log.left_out, log.lines) == (20, 30, 50)


def test_lines_out_of_pieces() -> None:
    text = "one\ntwo\r\n\nthree \u20ac"
    data = text.encode()
    for size in (1, 2, 3, 7, 100):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert list(log_lines(pieces)) == ["one", "two\r", "", "three \u20ac"]
    assert list(log_lines([b"\xff\xfe\n"])) == ["\\xff\\xfe"]
    assert list(log_lines([])) == []


def test_a_line_without_end_is_held_in_part_only() -> None:
    lines = list(log_lines((b"x" * 4096 for _ in range(1000)), max_line=100))
    assert lines == ["x" * 100]


HOSTILE = [
    "{1}[Hardware Error]: " + "a:" * 2000,
    "Memory failure: 0x1: " + "recovery action for : " * 200,
    "Memory failure: 0x1: Sending SIGBUS to " + ":1 due to hardware memory corruption" * 100,
    "EDAC MC0: 1 UE " + "on (" * 1000,
    "EDAC MC0: 1 UE " + "on " * 1300,
    "INFO: task " + " blocked" * 500,
    "rcu: " + "kthread " * 500,
    "x[1]: unhandled exception: " + ", ESR 0x1" * 400 + " in " * 400,
    "Unhandled " + " exception on CPU" * 200,
    "Internal error: " + ": 0000000000000000 [#" * 190,
    "  " + "A = 1, " * 550,
    "CPU: 1 PID: 1 Comm: " + "x Tainted: " * 300,
    "PCIe Bus Error: " * 250,
    "\x1b[" * 2000,
    "Unpoison: " + "x " * 2000,
    " kernel: " * 450,
    "watchdog: " * 400,
    "KVM: " + "esr: 0x" * 500,
]


@pytest.mark.parametrize("line", HOSTILE)
def test_no_line_takes_more_than_linear_time(line: str) -> None:
    started = time.process_time()
    for _ in range(20):
        parser = DmesgParser()
        parser.feed("BUG: opens a report")
        parser.feed(line)
        parser.finish()
    assert time.process_time() - started < 2.0  # 0.1 s a line; a quadratic pattern takes seconds


PIECES = [
    *("{1}[Hardware Error]: ", "[Hardware Error]: ", "event severity: fatal", "Error 0, type: fatal", "\n"),
    *("section_type: ARM processor error", "Error info structure 0:", "00000000: 01 02", "[   1.000000] "),
    *("Hardware error from APEI Generic Hardware Error Source: 1", "Memory failure: 0x1: ", "<3>", "BUG: "),
    *("Kernel panic - not syncing: ", "---[ end trace 0 ]---", "Call trace:\n", " f+0x1/0x2\n", "kvm [1]: "),
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=30), max_size=40).map("".join))
def test_any_text_is_a_log(text: str) -> None:
    log = parse_dmesg(text)
    assert len(log.events) <= 2 * log.lines
    for event in log.events:
        assert 1 <= event.line <= log.lines
        assert event.kind
        if isinstance(event.what, GhesRecord):
            assert len([section.details for section in event.what.sections]) <= 32
        if isinstance(event.what, MemoryFailure):
            assert event.what.kind
        if isinstance(event.what, TroubleReport):
            assert event.what.esr is None or event.what.esr >= 0


@given(st.binary(max_size=400))
def test_any_bytes_are_a_log(data: bytes) -> None:
    assert parse_dmesg(log_lines([data])).lines == len(list(log_lines([data])))
