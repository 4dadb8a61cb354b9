# SPDX-License-Identifier: Apache-2.0
"""The lines with which a kernel begins to report on itself."""

import re

from seabus.arch.kernel_text.line import kernel_message

__all__ = ["TROUBLE_KINDS", "find_trouble"]

# What opens a report of the kernel about itself, matched at the start of the message; the first
# that matches names it. Wordings of Linux 6.1 to 7.3, arm64 and generic code.
_TROUBLE = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"Kernel panic - not syncing"),
        # Both as "BUG: soft lockup - CPU#1 stuck" and "watchdog: BUG: soft lockup - CPU#1 stuck".
        ("soft lockup", r"(?:watchdog: )?BUG: soft lockup\b"),
        ("hard lockup", r"(?:(?:NMI )?watchdog: .*)?Watchdog detected hard LOCKUP\b"),
        ("hung task", r"INFO: task .+ blocked (?:in I/O wait )?for more than "),
        ("hung task", r"INFO: task .+ blocked on an? "),
        ("RCU stall", r"(?:rcu: )?(?:INFO: )?rcu\w* (?:self-)?detected (?:expedited )?stall"),
        ("RCU stall", r"rcu: .*kthread (?:starved|timer wakeup didn't happen)"),
        ("oops", r"Internal error: "),
        ("oops", r"(?:Oops\b|Unable to handle kernel |Unhandled fault\b|Unhandled .+ exception\b)"),
        ("oops", r"Insufficient stack space to handle exception!"),
        (
            "oops",
            r"kvm \[\d{1,10}\]: (?:nVHE hyp (?:BUG|panic|CFI failure) at|Invalid host exception to nVHE hyp)",
        ),
        ("SError", r"SError Interrupt on CPU"),
        # SLUB has no colon: "BUG kmalloc-64 (Not tainted): ...".
        ("BUG", r"(?:kernel BUG at |BUG: |[\w/.-]+: BUG: |BUG [\w-]{1,64} \()"),
        # "WARNING: CPU: 0 PID: 1 at f.c:2 g+0x0", since 6.19 "WARNING: f.c:2 at g+0x0, CPU#0: x/1".
        ("WARNING", r"WARNING: "),
        ("lockdep", r"INFO: (?:possible (?:recursive|circular)|trying to register non-static key)"),
        ("list corruption", r"list_(?:add|del) corruption"),
        ("UBSAN", r"UBSAN: "),
        (
            "OOM kill",
            r"(?:Out of memory|Memory cgroup out of memory)(?: \([^)]{1,64}\))?: Killed process \d",
        ),
        ("cut here", r"-+\[ cut here \]-+"),
        ("call trace", r"Call [Tt]race:"),
    )
)
# Nearly all lines are none: one pattern says so.
_ANY = re.compile("|".join(f"(?:{pattern.pattern})" for _kind, pattern in _TROUBLE))

#: What :func:`find_trouble` may return.
TROUBLE_KINDS = tuple(dict.fromkeys(kind for kind, _pattern in _TROUBLE))


def find_trouble(line: str) -> str | None:
    """Return what kind of report about itself the kernel begins with this line, or ``None``.

    One of: panic, soft lockup, hard lockup, hung task, RCU stall, oops, SError, BUG, WARNING,
    lockdep, list corruption, UBSAN, OOM kill, cut here, call trace. Lines of a hardware error record are none
    of these.

    Source: Linux kernel/panic.c, kernel/watchdog.c, kernel/hung_task.c, kernel/rcu/tree_stall.h,
    lib/bug.c, mm/slub.c, mm/oom_kill.c, arch/arm64/kernel/traps.c, arch/arm64/mm/fault.c,
    arch/arm64/kvm/handle_exit.c.
    """
    return trouble_of(kernel_message(line))


def trouble_of(message: str) -> str | None:
    """The same for a message that was already taken out of its line."""
    if not _ANY.match(message):
        return None
    return next((kind for kind, pattern in _TROUBLE if pattern.match(message)), None)
