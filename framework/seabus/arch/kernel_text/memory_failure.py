# SPDX-License-Identifier: Apache-2.0
"""What the kernel's memory management says of bad pages: hard, soft, injected and healed.

>>> failure = parse_memory_failure("Memory failure: 0x10123f: recovery action for dirty LRU page: Recovered")
>>> failure.kind, hex(failure.pfn), failure.page_type, failure.result
('recovery', '0x10123f', 'dirty LRU page', 'Recovered')
>>> parse_page_event("soft offline: 0x10123f page already poisoned")
SoftOffline(pfn=1053247, text='page already poisoned')
"""

import re
from dataclasses import dataclass

__all__ = [
    "PAGE_TYPES",
    "RECOVERY_RESULTS",
    "MemoryFailure",
    "MemoryFailureNote",
    "PageEvent",
    "PoisonInjection",
    "SoftOffline",
    "Unpoison",
    "parse_memory_failure",
    "parse_page_event",
]

#: What ``memory_failure()`` may call a page, 6.1 to 7.3. Source: Linux mm/memory-failure.c
#: ``action_page_types[]``; the tracepoint says "already poisoned" for the last but two.
PAGE_TYPES = (
    "reserved kernel page",
    "high-order kernel page",
    "kernel slab page",
    "different compound page after locking",
    "huge page",
    "free huge page",
    "get hwpoison page",
    "unmapping failed page",
    "dirty swapcache page",
    "clean swapcache page",
    "dirty mlocked LRU page",
    "clean mlocked LRU page",
    "dirty unevictable LRU page",
    "clean unevictable LRU page",
    "dirty LRU page",
    "clean LRU page",
    "already truncated LRU page",
    "free buddy page",
    "dax page",
    "unsplit thp",
    "already poisoned page",
    "non struct page pfn",
    "unknown page",
)

#: What may come of it. Source: Linux mm/memory-failure.c ``action_name[]``.
RECOVERY_RESULTS = ("Ignored", "Failed", "Delayed", "Recovered")

_PFN = r"(?P<pfn>0x[0-9a-fA-F]{1,16}|0)"
_MEMORY_FAILURE = re.compile(rf"\bMemory failure: {_PFN}:? (?P<text>.*)")
# ghes.c prints this one itself, without a prefix, where memory_failure() failed for the current task.
_GHES_FAILURE = re.compile(rf"(?:.{{0,64}}\s)?{_PFN}: (?P<text>Sending SIGBUS to .*)")
_OVERFLOW = re.compile(rf"\bMemory failure: (?P<text>buffer overflow when queuing memory failure at {_PFN})")
_NOTE = re.compile(r"\bMemory failure: (?P<text>.*)")
_RECOVERY = re.compile(r"recovery action for (?P<page_type>.+): (?P<result>\w+)")
_SIGNAL = re.compile(
    r"(?:Sending SIGBUS to|Killing) (?P<comm>.*):(?P<pid>\d{1,10})"
    r" due to hardware memory corruption"
)
# The other lines that name a task.
_TASK = re.compile(
    r"(?:forcibly killing|Cannot send advisory machine check signal to|Error sending signal to)"
    r" (?P<comm>.*):(?P<pid>\d{1,10})(?: because of failure to unmap corrupted page|: -?\d{1,10})?"
)

_KINDS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("recovery", r"recovery action for .+: \w+"),
        ("signal", r"(?:Sending SIGBUS to|Killing) .*:\d{1,10} due to hardware memory corruption"),
        ("already poisoned", r"already hardware poisoned"),
        ("outside control", r"memory outside kernel control"),
        ("killed", r"forcibly killing "),
        ("signal failed", r"Cannot send advisory machine check signal to |Error sending signal to "),
        ("unhandlable", r"unhandlable page|can't handle KSM pages|Unknown page state"),
        ("referenced", r".+ still referenced by \d+ users"),
        ("dropped clean", r"corrupted page was clean: dropped without side effects"),
        ("unmap failed", r"failed to unmap page |could not lock mapping for mapped huge"),
        ("kept", r"keeping poisoned page in swap cache"),
        ("not released", r"Failed to punch page: |failed to release buffers|Failed to invalidate"),
        ("tail", r"cannot catch tail"),
        ("lost", r"buffer overflow when queuing memory failure at "),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFailure:
    """One line of ``memory_failure()`` about a page.

    ``pfn`` is the page frame number, in pages of the kernel whose log this is; ``text`` what
    follows. ``page_type`` and ``result`` (Ignored, Failed, Delayed, Recovered) are set on the line
    that reports the recovery action, ``comm`` and ``pid`` on one that announces a SIGBUS; all
    ``None`` on others.
    """

    pfn: int
    text: str
    page_type: str | None = None
    result: str | None = None
    comm: str | None = None
    pid: int | None = None

    @property
    def kind(self) -> str:
        """What the line is about.

        One of: recovery, signal, already poisoned, outside control, killed, signal failed, unhandlable,
        referenced, dropped clean, unmap failed, kept, not released, tail, lost (never handled: the queue was
        full), other.
        """
        return next((kind for kind, pattern in _KINDS if pattern.match(self.text)), "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFailureNote:
    """A line of ``memory_failure()`` that names no page; ``comm`` and ``pid`` where it names a task."""

    text: str
    comm: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftOffline:
    """A page that the kernel was asked to move away from, and how that went."""

    pfn: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpoison:
    """A page whose poison was taken back, or not: ``text`` says it."""

    pfn: int
    text: str

    @property
    def done(self) -> bool:
        """Whether the page is clean again."""
        return self.text.lower().startswith("software-unpoisoned page")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonInjection:
    """Software asked for the fault: ``madvise()`` with a virtual ``address`` of the caller, or debugfs.

    ``soft`` tells MADV_SOFT_OFFLINE from MADV_HWPOISON.
    """

    pfn: int
    address: int | None = None
    soft: bool = False


PageEvent = MemoryFailure | MemoryFailureNote | SoftOffline | Unpoison | PoisonInjection

# 6.1 writes "soft offline: 0x1: thp split failed", "soft offline: 0x1 page already poisoned", "soft_offline:
# 0x1: invalidated", "soft_offline_page: 0x1 page already poisoned", and "Unpoison: Software-unpoisoned page
# 0x1"; 6.12 "Soft offline: 0x1: ..." and "Unpoison: 0x1: software-unpoisoned page".
_SOFT = re.compile(rf"(?:.{{0,64}}\s)?[Ss]oft[ _]offline(?:_page)?: {_PFN}:? (?P<text>.*)")
_UNPOISON = re.compile(rf"(?:.{{0,64}}\s)?Unpoison: {_PFN}: (?P<text>.*)")
_UNPOISON_OLD = re.compile(rf"(?:.{{0,64}}\s)?Unpoison: (?P<text>[A-Za-z].{{0,100}}) {_PFN}")
_INJECTION = re.compile(
    rf"(?:.{{0,64}}\s)?(?:Injecting memory failure (?:for|at)|(?P<soft>Soft offlining)) pfn {_PFN}"
    r"(?: at process virtual address (?P<address>0x[0-9a-f]{1,16}|0))?"
)


def parse_memory_failure(line: str) -> MemoryFailure | None:
    """Read a ``Memory failure: 0x<pfn>: …`` line; ``None`` for any other.

    Source: Linux mm/memory-failure.c ``action_result()`` and ``kill_proc()``; drivers/acpi/apei/ghes.c
    ``memory_failure_cb()``.
    """
    line = line.rstrip()
    match = _MEMORY_FAILURE.search(line) or _OVERFLOW.search(line) or _GHES_FAILURE.fullmatch(line)
    if not match:
        return None
    pfn, text = int(match["pfn"], 16), match["text"]
    if recovery := _RECOVERY.fullmatch(text):
        page_type, result = recovery["page_type"], recovery["result"]
        return MemoryFailure(pfn=pfn, text=text, page_type=page_type, result=result)
    if task := _SIGNAL.fullmatch(text) or _TASK.fullmatch(text):
        return MemoryFailure(pfn=pfn, text=text, comm=task["comm"], pid=int(task["pid"]))
    return MemoryFailure(pfn=pfn, text=text)


def parse_page_event(line: str) -> PageEvent | None:
    """Read any line of the kernel about bad pages; ``None`` for any other.

    Source: Linux mm/memory-failure.c, mm/madvise.c ``madvise_inject_error()``, mm/hwpoison-inject.c.
    """
    line = line.rstrip()
    if failure := parse_memory_failure(line):
        return failure
    if note := _NOTE.search(line):
        task = _TASK.fullmatch(note["text"])
        comm, pid = (task["comm"], int(task["pid"])) if task else (None, None)
        return MemoryFailureNote(text=note["text"], comm=comm, pid=pid)
    if soft := _SOFT.fullmatch(line):
        return SoftOffline(pfn=int(soft["pfn"], 16), text=soft["text"])
    if healed := _UNPOISON.fullmatch(line) or _UNPOISON_OLD.fullmatch(line):
        return Unpoison(pfn=int(healed["pfn"], 16), text=healed["text"])
    if injected := _INJECTION.fullmatch(line):
        address = injected["address"]
        return PoisonInjection(
            pfn=int(injected["pfn"], 16),
            address=int(address, 16) if address else None,
            soft=injected["soft"] is not None,
        )
    return None
