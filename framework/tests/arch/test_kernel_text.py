# SPDX-License-Identifier: Apache-2.0
"""Kernel log text: GHES records, memory failures, trouble, as several kernels word them."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.kernel_text import (
    GhesRecord,
    GhesTextParser,
    MemoryFailure,
    find_trouble,
    kernel_message,
    parse_memory_failure,
)

FRU = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
# drivers/acpi/apei/ghes.c and drivers/firmware/efi/cper.c, in the order they print.
MESSAGES = [
    "Hardware error from APEI Generic Hardware Error Source: 1",
    "event severity: recoverable",
    " precise tstamp: 2026-12-31 23:48:59",
    " Error 0, type: recoverable",
    f" fru_id: {FRU}",
    " fru_text: seabus 17",
    "  section_type: memory error",
    "   error_status: Storage error in DRAM memory (0x0000000000000400)",
    "  physical_address: 0x000000010123f000",
    "  physical_address_mask: 0xfffffffffffff000",
    "  node:0 card:1 module:2 rank:3 bank:4 device:5 row:6 column:7",
    "  error_type: 3, multi-bit ECC",
    "  DIMM location: not present. DMI handle: 0x0000",
]


def printed(sequence: int = 1, messages: list[str] = MESSAGES, prefix: str = "") -> list[str]:
    return [f"{prefix}{{{sequence}}}[Hardware Error]: {message}" for message in messages]


def feed(parser: GhesTextParser, lines: list[str]) -> list[GhesRecord]:
    return [record for line in lines if (record := parser.feed(line)) is not None]


def test_a_record_is_out_as_soon_as_its_address_is() -> None:
    parser = GhesTextParser()
    lines = printed(prefix="[   12.345678] ")
    upto = next(i for i, line in enumerate(lines) if " physical_address:" in line)
    assert feed(parser, lines[:upto]) == []
    record = parser.feed(lines[upto])
    assert record is not None
    assert (record.sequence, record.source, record.severity) == (1, 1, "recoverable")
    assert record.physical_address == 0x10123F000
    assert record.fru_id == FRU
    assert feed(parser, lines[upto + 1 :]) == []
    assert parser.finish() == []


def test_later_lines_complete_the_record() -> None:
    parser = GhesTextParser()
    feed(parser, printed())
    record = parser.records[1]
    (section,) = record.sections
    assert (section.index, section.severity, section.kind) == (0, "recoverable", "memory error")
    assert (section.fru_id, section.fru_text) == (FRU, "seabus 17")
    assert section.physical_address_mask == 0xFFFF_FFFF_FFFF_F000
    assert section.error_status == 0x400
    assert (section.error_type, section.error_type_name) == (3, "multi-bit ECC")
    assert (section.fields["card"], section.fields["column"]) == ("1", "7")
    assert list(record.lines) == MESSAGES


def test_a_record_without_address() -> None:
    parser = GhesTextParser()
    messages = [m for m in MESSAGES if "physical_address" not in m]
    (record,) = feed(parser, printed(messages=messages))
    assert record.physical_address is None
    assert record.sections[0].error_type == 3


ARM = [*MESSAGES[:4], "  section_type: ARM processor error", "  MIDR: 0x00000000410fd4f0"]


def test_other_records_are_out_when_the_next_begins_or_the_log_ends() -> None:
    parser = GhesTextParser()
    assert feed(parser, printed(1, ARM)) == []
    (first,) = feed(parser, printed(2, ARM))
    assert first.sequence == 1
    assert first.sections[0].fields["MIDR"] == "0x00000000410fd4f0"
    (second,) = parser.finish()
    assert second.sequence == 2
    assert parser.finish() == []


def test_records_and_other_lines_interleave() -> None:
    parser = GhesTextParser()
    noise = ["", "Memory failure: 0x1: recovery action for x: y", "systemd[1]: hello"] * 5
    pairs = zip(printed(7), printed(8), noise, strict=False)
    records = feed(parser, [line for group in pairs for line in group])
    assert [record.sequence for record in records] == [7, 8]
    assert all(record.physical_address == 0x10123F000 for record in records)


def test_several_sections() -> None:
    parser = GhesTextParser()
    second = [m.replace("Error 0", "Error 1").replace("10123f", "20456f") for m in MESSAGES[3:]]
    (record,) = feed(parser, printed(messages=MESSAGES + second))
    assert record.physical_address == 0x10123F000
    addresses = [section.physical_address for section in parser.records[1].sections]
    assert addresses == [0x10123F000, 0x20456F000]


def test_the_number_starts_again_after_a_reboot() -> None:
    parser = GhesTextParser()
    assert len(feed(parser, printed(1) + printed(1))) == 2
    cut_off_by_the_reboot = printed(1, MESSAGES[:4])
    assert len(feed(parser, cut_off_by_the_reboot + printed(1))) == 2


def test_a_record_whose_first_line_was_lost() -> None:
    (record,) = feed(GhesTextParser(), printed()[1:])
    assert record.source is None
    assert record.physical_address == 0x10123F000


def test_what_is_kept_is_capped() -> None:
    parser = GhesTextParser()
    for sequence in range(200):
        feed(parser, printed(sequence, [f"name{sequence}: value"]))
    feed(parser, printed(1000, ["junk: 1"] * 1000))
    assert len(parser.records) <= 64
    assert len(parser.records[1000].lines) <= 256


@given(st.lists(st.text(max_size=80)))
def test_the_parser_takes_any_text(texts: list[str]) -> None:
    parser = GhesTextParser()
    fed = [r for text in texts if (r := parser.feed(f"{{1}}[Hardware Error]: {text}")) is not None]
    assert len(fed) + len(parser.finish()) <= len(texts)
    for text in texts:
        parser.feed(text)
        parse_memory_failure(f"Memory failure: 0x1: {text}")
        find_trouble(text)


def test_memory_failure_recovery() -> None:
    line = "[   12.3456] Memory failure: 0x10123f: recovery action for dirty LRU page: Recovered\n"
    failure = parse_memory_failure(line)
    assert failure == MemoryFailure(
        pfn=0x10123F,
        text="recovery action for dirty LRU page: Recovered",
        page_type="dirty LRU page",
        result="Recovered",
    )


@pytest.mark.parametrize("verb", ["Sending SIGBUS to", "Killing"])
def test_memory_failure_signal(verb: str) -> None:
    text = f"{verb} CPU 0/KVM:a:812 due to hardware memory corruption"
    failure = parse_memory_failure(f"Memory failure: 0x10123f: {text}")
    assert failure == MemoryFailure(pfn=0x10123F, text=text, comm="CPU 0/KVM:a", pid=812)


def test_memory_failure_other() -> None:
    failure = parse_memory_failure("Memory failure: 0x10123f: already hardware poisoned")
    assert failure == MemoryFailure(pfn=0x10123F, text="already hardware poisoned")
    assert parse_memory_failure("Memory failure is bad") is None


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "<4>",
        "[    0.000000] ",
        "<6>[12345.678901] ",
        "[   12.345678][  T123] ",
        "[   12.345678] [    C0] ",
        "Nov 23 06:15:03 l1 kernel: ",
        "Nov 23 06:15:03 l1 kernel: [   12.345678] ",
    ],
)
def test_prefixes(prefix: str) -> None:
    assert kernel_message(f"{prefix}BUG: bad thing\r\n") == "BUG: bad thing"
    assert find_trouble(f"{prefix}BUG: bad thing") == "BUG"


TROUBLE = [
    ("panic", "Kernel panic - not syncing: Asynchronous SError Interrupt"),
    ("panic", "Kernel panic - not syncing: Fatal hardware error!"),
    ("oops", "Internal error: synchronous external abort: 0000000096000410 [#1] SMP"),
    ("oops", "Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP"),
    (
        "oops",
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008",
    ),
    ("oops", "Unable to handle kernel paging request at virtual address ffff800080000000"),
    ("oops", "Unhandled 64-bit el1h sync exception on CPU0, ESR 0x0000000002000000 -- Unknown"),
    ("SError", "SError Interrupt on CPU0, code 0x00000000be000011 -- SError"),
    ("BUG", "kernel BUG at mm/memory-failure.c:123!"),
    ("BUG", "BUG: KASAN: slab-out-of-bounds in cper_print_mem+0x10/0x20"),
    ("BUG", "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!"),
    ("BUG", "BUG: Bad page state in process bash  pfn:10123f"),
    ("soft lockup", "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [CPU 0/KVM:812]"),
    ("hard lockup", "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0"),
    ("hung task", "INFO: task khugepaged:41 blocked for more than 120 seconds."),
    ("RCU stall", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
    ("RCU stall", "rcu: INFO: rcu_preempt self-detected stall on CPU"),
    ("RCU stall", "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }"),
    ("RCU stall", "rcu: rcu_preempt kthread starved for 5250 jiffies! g-1 f0x0 RCU_GP_WAIT_FQS(5)"),
    ("WARNING", "WARNING: CPU: 0 PID: 1 at mm/memory-failure.c:1 memory_failure+0x1/0x2"),
    ("WARNING", "WARNING: mm/memory-failure.c:1 at memory_failure+0x1/0x2, CPU#0: bash/1"),
    ("WARNING", "WARNING: possible circular locking dependency detected"),
    ("list corruption", "list_del corruption. prev->next should be ffff0000, but was 0"),
    ("UBSAN", "UBSAN: array-index-out-of-bounds in drivers/firmware/efi/cper.c:1:2"),
    ("cut here", "------------[ cut here ]------------"),
    ("call trace", "Call trace:"),
]


@pytest.mark.parametrize(("kind", "message"), TROUBLE)
def test_trouble(kind: str, message: str) -> None:
    assert find_trouble(message) == kind
    assert find_trouble(f"[   95.123456] {message}") == kind


@pytest.mark.parametrize(
    "message",
    [
        *printed(),
        "{2}[Hardware Error]: event severity: fatal",
        "[Hardware Error]: Error 0, type: fatal",
        "Memory failure: 0x10123f: recovery action for dirty LRU page: Recovered",
        "Memory failure: 0x1: Sending SIGBUS to BUG: x:1 due to hardware memory corruption",
        "GHES: APEI firmware first mode is enabled by APEI bit and WHEA _OSC.",
        "rcu: Hierarchical RCU implementation.",
        "rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
        "SDEI NMI watchdog: SDEI Watchdog registered successfully",
        "EDAC MC0: 1 UE multi-bit ECC on unknown memory",
        "victim[321]: unhandled exception: SEA (external abort), ESR 0x92000410",
        'audit: type=1400 comm="WARNING: "',
        "",
    ],
)
def test_no_trouble(message: str) -> None:
    assert find_trouble(message) is None
