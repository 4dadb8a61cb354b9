# SPDX-License-Identifier: Apache-2.0
"""L2: what becomes of an error that the guest's kernel consumes itself, or that lies in its own pages.

On arm64 no fixup covers such an abort (docs/findings/0005), and nobody claims the VMM's record of it.
"""

from __future__ import annotations

from typing import Final

from seabus.chains import host
from seabus.chains.guest import ABORT_TAKEN, RECORD
from seabus.chains.host import ALREADY_PENDING, DELIVERED
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation, Link

_SIGSEGV: Final = 11
_SI_KERNEL: Final = 0x80
_EFAULT: Final = 14
_STOPS: Final = "Kernel panic - not syncing: synchronous external abort: Fatal exception"

OOPS: Final = Link(
    name="guest-oops",
    level="L2",
    witness="kernel-log",
    kind="trouble",
    promise="an abort in the guest's kernel that no fixup covers kills what it was doing"
    " (Linux arch/arm64/mm/fault.c do_sea(), arch/arm64/kernel/traps.c die())",
)
DIES: Final = Link(
    name="victim-dies",
    level="L2",
    witness="victim",
    kind="touch",
    promise="a process whose system call oopses is killed (Linux arch/arm64/kernel/traps.c die())",
)
COMMAND_DIES: Final = Link(
    name="command-dies",
    level="L2",
    witness="command",
    kind="touch",
    promise="a process whose system call oopses is killed (Linux arch/arm64/kernel/traps.c die())",
)
STUCK: Final = Link(
    name="victim-stuck",
    level="L2",
    witness="agent",
    kind="stuck",
    promise="what an oops has locked stays locked: a process that needs it to end never does"
    " (Linux kernel/exit.c make_task_dead())",
)
PANICS: Final = Link(
    name="guest-panics",
    level="L2",
    witness="console",
    kind="panic",
    promise="an oops stops a machine that was told so (Linux Documentation/admin-guide/sysctl/kernel.rst,"
    " panic_on_oops)",
)
REFUSED: Final = Link(
    name="call-refused",
    level="L2",
    witness="victim",
    kind="touch",
    promise="known poison is an ordinary fault, so the kernel's access to it is fixed up: EFAULT, and no"
    " signal (Linux arch/arm64/mm/fault.c)",
)
FORCED: Final = Link(
    name="consumer-forced",
    level="L2",
    witness="trace",
    kind="sigbus",
    promise="who consumed what memory_failure() could not take away must not go on"
    " (Linux drivers/acpi/apei/ghes.c memory_failure_cb())",
)
FORCED_INFORMED: Final = Link(
    name="consumer-forced-informed",
    level="L2",
    witness="victim",
    kind="siginfo",
    promise="a forced SIGBUS names no address (Linux kernel/signal.c force_sig())",
)


def aborts(*, esr: int, tid: int) -> Expectation:
    """The guest's kernel takes the abort, in the context of a thread."""
    return ABORT_TAKEN(after=(host.VCPU_STOPPED,), esr=esr, far=0, tid=tid)


def oopses() -> list[Expectation]:
    """The guest's kernel dies of the abort."""
    return [OOPS(after=(ABORT_TAKEN,), what="oops"), OOPS(again="-trace", what="call trace")]


def oopses_for(victim: Victim, *, op: str) -> list[Expectation]:
    """The guest's kernel dies of the abort on the victim's behalf, and takes the victim with it."""
    return [*oopses(), DIES(op=op, died=_SIGSEGV, tid=victim.tid)]


def oopses_for_command(program: str) -> list[Expectation]:
    """The same, on behalf of a command."""
    return [*oopses(), COMMAND_DIES(program=program, signal=_SIGSEGV, exit=None)]


def panics() -> list[Expectation]:
    """The guest's kernel stops at its oops, and its VMM ends with it (QEMU's option -no-reboot)."""
    return [PANICS(after=(host.ABORT_INJECTED,), who="guest", message=_STOPS)]


def forces(victim: Victim) -> list[Expectation]:
    """The consumer gets SIGBUS with no address: the kernel could not take the page away."""
    return [
        FORCED(after=(RECORD,), code=_SI_KERNEL, tid=victim.tid, result=DELIVERED),
        FORCED_INFORMED(
            after=(FORCED,), code=_SI_KERNEL, address=0, fault_address=0, esr=None, tid=victim.tid
        ),
    ]


def forces_again(victim: Victim) -> Expectation:
    """The consumer has been told already, and has not taken that SIGBUS yet: this one is dropped."""
    return FORCED(after=(RECORD,), code=_SI_KERNEL, tid=victim.tid, result=ALREADY_PENDING)


def refuses(victim: Victim, *, op: str, errno: int = _EFAULT, again: str = "") -> Expectation:
    """A system call fails and its caller lives on."""
    return REFUSED(again=again, op=op, errno=errno, result=None, died=None, tid=victim.tid)
