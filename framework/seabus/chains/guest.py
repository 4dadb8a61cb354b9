# SPDX-License-Identifier: Apache-2.0
"""What the guest (L2) owes: it takes the abort, finds the VMM's record, and signals the consumer alone."""

from __future__ import annotations

from typing import Any, Final, Protocol

from seabus.arch.sigbus import BusCode
from seabus.chains import host
from seabus.chains.host import DELIVERED
from seabus.guest.translate import Addresses
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation, Link


class Consumer(Protocol):
    """Whoever touches the page: a victim of ours, or any program."""

    @property
    def tid(self) -> int:
        """The thread."""


#: GHES source id that QEMU's `virt` gives to synchronous errors (QEMU include/hw/acpi/ghes.h).
SOURCE_SEA: Final = 0
_PAGE_BITS: Final = 12
#: EC 0x24, IL, DFSC 0x07 (Arm ARM DDI 0487, ESR_EL1, ISS of data aborts).
_TRANSLATION_FAULT_L3: Final = 0x92000007
_TRANSLATION_FAULT_L2: Final = 0x92000006
_WNR: Final = 1 << 6

ABORT_TAKEN: Final = Link(
    name="abort-taken",
    level="L2",
    witness="kprobe",
    kind="sea",
    promise="the guest takes it with the VMM's syndrome (Arm ARM DDI 0487, ESR_EL1)",
)
RECORD: Final = Link(
    name="guest-record",
    level="L2",
    witness="kernel-log",
    kind="ghes",
    promise="the abort is claimed by APEI with the VMM's record (QEMU hw/acpi/ghes.c)",
)
VICTIM_SIGNALLED: Final = Link(
    name="victim-signalled",
    level="L2",
    witness="trace",
    kind="sigbus",
    promise="the consumer, and nobody else, is signalled (Linux mm/memory-failure.c)",
)
UNMAPPED: Final = Link(
    name="guest-unmapped",
    level="L2",
    witness="trace",
    kind="memory_failure",
    promise="the guest gives the page up as well (Linux mm/memory-failure.c)",
)
VICTIM_INFORMED: Final = Link(
    name="victim-informed",
    level="L2",
    witness="victim",
    kind="siginfo",
    promise="siginfo names the access and how much is lost (Linux arch/arm64/mm/fault.c)",
)


READS: Final = Link(
    name="victim-reads",
    level="L2",
    witness="victim",
    kind="touch",
    promise="whoever lost nothing notices nothing (Linux Documentation/mm/hwpoison.rst)",
)


POISON_SIGNALLED: Final = Link(
    name="poison-signalled",
    level="L2",
    witness="trace",
    kind="sigbus",
    promise="a lost page stays lost: each access is signalled (Linux arch/arm64/mm/fault.c)",
)
POISON_INFORMED: Final = Link(
    name="poison-informed",
    level="L2",
    witness="victim",
    kind="siginfo",
    promise="a page table's poison mark is an ordinary fault, so address and syndrome are known"
    " (Linux arch/arm64/mm/fault.c)",
)


UNCLAIMED_SIGNALLED: Final = Link(
    name="unclaimed-signalled",
    level="L2",
    witness="trace",
    kind="sigbus",
    promise="an abort that no record explains is an error of the object"
    " (Linux arch/arm64/mm/fault.c do_sea())",
)
UNCLAIMED_INFORMED: Final = Link(
    name="unclaimed-informed",
    level="L2",
    witness="victim",
    kind="siginfo",
    promise="with FnV set there is no address, but the syndrome is told"
    " (Linux arch/arm64/mm/fault.c do_sea())",
)


GOES_THROUGH: Final = Link(
    name="victim-unharmed",
    level="L2",
    witness="victim",
    kind="touch",
    promise="what does not read the page does not consume its error",
)
FRAME: Final = Link(
    name="guest-frame",
    level="L2",
    witness="kpageflags",
    kind="frame",
    promise="a lost frame is marked, and stays marked (Linux Documentation/admin-guide/mm/pagemap.rst)",
)
PAGE_MOVED: Final = Link(
    name="guest-page-moved",
    level="L2",
    witness="pagemap",
    kind="moved",
    promise="what there is a copy of is mapped again from a good page (Linux mm/memory-failure.c)",
)


def unclaimed(victim: Victim, *, esr: int) -> list[Expectation]:
    """The victim is signalled for an abort that nobody could explain."""
    code = int(BusCode.BUS_OBJERR)
    return [
        UNCLAIMED_SIGNALLED(after=(ABORT_TAKEN,), code=code, tid=victim.tid, result=DELIVERED),
        UNCLAIMED_INFORMED(
            after=(UNCLAIMED_SIGNALLED,), code=code, address=0, fault_address=0, esr=esr, tid=victim.tid
        ),
    ]


def goes_through(victim: Victim, *, op: str, result: int = 0) -> Expectation:
    """The victim does something to the page that does not read it."""
    return GOES_THROUGH(op=op, result=result, errno=None, tid=victim.tid)


def meets_poison(
    page: Addresses,
    victim: Victim,
    *,
    op: str = "read",
    offset: int = 0,
    lsb: int = _PAGE_BITS,
    again: str = "",
) -> list[Expectation]:
    """The victim touches what it has lost already: a translation fault, and no abort.

    :param op: a write is told by WnR.
    :param offset: where in the page: an ordinary fault knows the byte.
    :param lsb: log2 of the bytes that are lost; the fault is at level 3, for what 2 MiB map at level 2.
    """
    address = int(page.guest_virtual) + offset
    esr = _TRANSLATION_FAULT_L3 if lsb == _PAGE_BITS else _TRANSLATION_FAULT_L2
    esr |= _WNR if op == "write" else 0
    return [
        POISON_SIGNALLED(
            again=again,
            after=(VICTIM_SIGNALLED,),
            code=int(BusCode.BUS_MCEERR_AR),
            address=address,
            tid=victim.tid,
            result=DELIVERED,
        ),
        POISON_INFORMED(
            again=again,
            after=(POISON_SIGNALLED,),
            code=int(BusCode.BUS_MCEERR_AR),
            address=address,
            fault_address=address,
            esr=esr,
            lsb=lsb,
            tid=victim.tid,
        ),
    ]


def reads_intact(victim: Victim, *, op: str = "read", again: str = "") -> Expectation:
    """The victim reads what it had written."""
    return READS(again=again, op=op, intact=True, tid=victim.tid)


def takes_abort(
    addresses: Addresses, victim: Consumer, *, esr: int, again: str = "", optional: bool = False
) -> list[Expectation]:
    """The guest's kernel takes the VMM's abort while the victim runs, and claims it by APEI.

    :param optional: of the record: the kernel logs two in five seconds and no more.
    """
    return [
        ABORT_TAKEN(again=again, after=(host.VCPU_STOPPED,), esr=esr, far=0, tid=victim.tid),
        RECORD(
            again=again,
            optional=optional,
            after=(ABORT_TAKEN,),
            source=SOURCE_SEA,
            severity="recoverable",
            physical_address=int(addresses.guest_physical),
        ),
    ]


def gives_up_page(
    addresses: Addresses,
    *,
    page_type: str | None = None,
    result: str = "Recovered",
    again: str = "",
) -> Expectation:
    """The guest's memory_failure() deals with the page of an abort, and the guest never uses it again.

    :param page_type: how its kernel calls the page; None: whatever it calls it.
    :param result: how it says that this went.
    """
    named: dict[str, Any] = {} if page_type is None else {"page_type": page_type}
    pfn = addresses.guest_physical.pfn
    return UNMAPPED(again=again, after=(RECORD,), pfn=pfn, result=result, **named)


def frame_is_lost(addresses: Addresses, *, mapped: int = 0) -> Expectation:
    """A second witness: what the guest's kernel says of the page frame afterwards."""
    return FRAME(pfn=addresses.guest_physical.pfn, poisoned=True, mapped=mapped)


def loses_page(
    addresses: Addresses,
    victim: Consumer,
    *,
    page_type: str | None = None,
    result: str = "Recovered",
    again: str = "",
) -> list[Expectation]:
    """The consumer is signalled, and the guest never uses the page again."""
    return [
        VICTIM_SIGNALLED(
            again=again,
            after=(RECORD,),
            code=int(BusCode.BUS_MCEERR_AR),
            address=int(addresses.guest_virtual.page()),
            tid=victim.tid,
            result=DELIVERED,
        ),
        gives_up_page(addresses, page_type=page_type, result=result, again=again),
    ]


def signals_victim(
    addresses: Addresses,
    victim: Victim,
    *,
    page_type: str | None = None,
    result: str = "Recovered",
    lsb: int = _PAGE_BITS,
    again: str = "",
) -> list[Expectation]:
    """The same, and the victim's handler learns which page is lost.

    :param lsb: log2 of the bytes that are lost; all of a page of hugetlbfs.
    """
    return [
        *loses_page(addresses, victim, page_type=page_type, result=result, again=again),
        VICTIM_INFORMED(
            again=again,
            after=(VICTIM_SIGNALLED,),
            code=int(BusCode.BUS_MCEERR_AR),
            address=int(addresses.guest_virtual),
            lsb=lsb,
            tid=victim.tid,
        ),
    ]
