# SPDX-License-Identifier: Apache-2.0
"""Lines about bad pages, as 6.1 to 7.3 word them (mm/memory-failure.c, mm/madvise.c, ghes.c)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seabus.arch.kernel_text import (
    PAGE_TYPES,
    RECOVERY_RESULTS,
    MemoryFailure,
    MemoryFailureNote,
    PageEvent,
    PoisonInjection,
    SoftOffline,
    Unpoison,
    parse_memory_failure,
    parse_page_event,
)


@pytest.mark.parametrize("page_type", PAGE_TYPES)
@pytest.mark.parametrize("result", RECOVERY_RESULTS)
def test_each_action_on_each_kind_of_page(page_type: str, result: str) -> None:
    failure = parse_memory_failure(f"Memory failure: 0x1f: recovery action for {page_type}: {result}")
    assert failure is not None
    assert (failure.pfn, failure.page_type, failure.result) == (0x1F, page_type, result)
    assert failure.kind == "recovery"


KINDS = [
    ("already hardware poisoned", "already poisoned"),
    ("memory outside kernel control", "outside control"),
    ("unhandlable page.", "unhandlable"),
    ("can't handle KSM pages.", "unhandlable"),
    ("Unknown page state", "unhandlable"),
    ("dirty LRU page still referenced by 3 users", "referenced"),
    ("corrupted page was clean: dropped without side effects", "dropped clean"),
    ("failed to unmap page (mapcount=2)", "unmap failed"),
    ("failed to unmap page (folio mapcount=2)", "unmap failed"),
    ("could not lock mapping for mapped huge page", "unmap failed"),
    ("could not lock mapping for mapped hugetlb folio", "unmap failed"),
    ("keeping poisoned page in swap cache", "kept"),
    ("Failed to punch page: -5", "not released"),
    ("failed to release buffers", "not released"),
    ("Failed to invalidate", "not released"),
    ("something of 2030", "other"),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_other_lines_about_a_page(text: str, kind: str) -> None:
    failure = parse_memory_failure(f"Memory failure: 0xfe00d: {text}")
    assert failure == MemoryFailure(pfn=0xFE00D, text=text)
    assert failure.kind == kind


TASK = "x:y[1]: z"
EVENTS: list[tuple[str, PageEvent, str | None]] = [
    (
        f"Memory failure: 0xfe00d: Sending SIGBUS to {TASK}:812 due to hardware memory corruption",
        MemoryFailure(
            pfn=0xFE00D,
            text=f"Sending SIGBUS to {TASK}:812 due to hardware memory corruption",
            comm=TASK,
            pid=812,
        ),
        "signal",
    ),
    (  # ghes.c of 7.3, without a prefix
        "0xfe00d: Sending SIGBUS to victim:9 due to hardware memory corruption",
        MemoryFailure(
            pfn=0xFE00D,
            text="Sending SIGBUS to victim:9 due to hardware memory corruption",
            comm="victim",
            pid=9,
        ),
        "signal",
    ),
    (
        f"Memory failure: 0xfe00d: forcibly killing {TASK}:812 because of failure to unmap corrupted page",
        MemoryFailure(
            pfn=0xFE00D,
            text=f"forcibly killing {TASK}:812 because of failure to unmap corrupted page",
            comm=TASK,
            pid=812,
        ),
        "killed",
    ),
    (
        f"Memory failure: 0xfe00d: Cannot send advisory machine check signal to {TASK}:812",
        MemoryFailure(
            pfn=0xFE00D,
            text=f"Cannot send advisory machine check signal to {TASK}:812",
            comm=TASK,
            pid=812,
        ),
        "signal failed",
    ),
    (
        "Memory failure: 0xfe00d cannot catch tail",
        MemoryFailure(pfn=0xFE00D, text="cannot catch tail"),
        "tail",
    ),
    (  # %#lx prints no 0x of 0
        "Memory failure: 0: recovery action for reserved kernel page: Ignored",
        MemoryFailure(
            pfn=0,
            text="recovery action for reserved kernel page: Ignored",
            page_type="reserved kernel page",
            result="Ignored",
        ),
        "recovery",
    ),
    (
        "Memory failure: buffer overflow when queuing memory failure at 0xfe00d",
        MemoryFailure(pfn=0xFE00D, text="buffer overflow when queuing memory failure at 0xfe00d"),
        "lost",
    ),
    (
        f"Memory failure: Error sending signal to {TASK}:812: -22",
        MemoryFailureNote(text=f"Error sending signal to {TASK}:812: -22", comm=TASK, pid=812),
        None,
    ),
    (
        "Memory failure: Out of memory while machine check handling",
        MemoryFailureNote(text="Out of memory while machine check handling"),
        None,
    ),
    ("soft offline: 0x1: thp split failed", SoftOffline(pfn=1, text="thp split failed"), None),
    ("soft offline: 0x1 page already poisoned", SoftOffline(pfn=1, text="page already poisoned"), None),
    ("soft_offline: 0x1: invalidated", SoftOffline(pfn=1, text="invalidated"), None),
    ("soft_offline_page: 0x1 page already poisoned", SoftOffline(pfn=1, text="page already poisoned"), None),
    ("Soft offline: 0x1: invalidated", SoftOffline(pfn=1, text="invalidated"), None),
    (
        "Unpoison: Software-unpoisoned page 0x1",
        Unpoison(pfn=1, text="Software-unpoisoned page"),
        None,
    ),
    (
        "Unpoison: Page was already unpoisoned 0x1",
        Unpoison(pfn=1, text="Page was already unpoisoned"),
        None,
    ),
    ("Unpoison: 0x1: software-unpoisoned page", Unpoison(pfn=1, text="software-unpoisoned page"), None),
    (
        "Injecting memory failure for pfn 0xa9d08 at process virtual address 0xffff88ac8000",
        PoisonInjection(pfn=0xA9D08, address=0xFFFF88AC8000),
        None,
    ),
    (
        "Soft offlining pfn 0xa9c09 at process virtual address 0xffff889fc000",
        PoisonInjection(pfn=0xA9C09, address=0xFFFF889FC000, soft=True),
        None,
    ),
    ("Injecting memory failure at pfn 0x1", PoisonInjection(pfn=1), None),
]


@pytest.mark.parametrize(("line", "event", "kind"), EVENTS)
@pytest.mark.parametrize("prefix", ["", "[   12.345678] ", "<3>[   12.345678][    T1] "])
def test_page_events(line: str, event: PageEvent, kind: str | None, prefix: str) -> None:
    found = parse_page_event(f"{prefix}{line}\n")
    assert found == event
    if isinstance(found, MemoryFailure):
        assert found.kind == kind


def test_whether_a_page_is_clean_again() -> None:
    assert Unpoison(pfn=1, text="Software-unpoisoned page").done
    assert Unpoison(pfn=1, text="software-unpoisoned page").done
    assert not Unpoison(pfn=1, text="failed to grab page").done


@pytest.mark.parametrize(
    "line",
    [
        "",
        "memory failure is bad",
        "Memory failure is bad",
        "Soft offline: disabled by /proc/sys/vm/enable_soft_offline",
        "0xfe00d: hello",
        "0xzz: Sending SIGBUS to victim:9 due to hardware memory corruption",
    ],
)
def test_no_page_event(line: str) -> None:
    assert parse_page_event(line) is None


WORDS = ["Memory failure: ", "0x1", ": ", "soft offline: ", "Unpoison: ", "recovery action for ", "pfn "]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=20), max_size=12).map("".join))
def test_any_text_is_taken(text: str) -> None:
    event = parse_page_event(text)
    if isinstance(event, MemoryFailure):
        assert event.kind
