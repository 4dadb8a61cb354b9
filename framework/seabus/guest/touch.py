# SPDX-License-Identifier: Apache-2.0
"""What a victim can be told to do with its memory, and what comes of it.

The names are those of ``docs/reference/agent-protocol.md``, which says what each does on arm64.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from seabus.arch.addresses import GuestVirtual
from seabus.arch.sigbus import SigbusInfo

#: One instruction at EL0 that reads and gives a value; ``fetch`` calls the code that is there.
Load = Literal["read", "load-pair", "simd-load", "fetch"]
#: One instruction at EL0 that writes; the additions also give what was there before.
Store = Literal["write", "store-pair", "simd-store", "atomic-add", "exclusive-add", "zero"]
#: Instructions at EL0 that name an address and move no data.
Maintenance = Literal["prefetch", "clean", "clean-invalidate", "invalidate-code"]
#: System calls in which the kernel reads or writes the victim's memory.
Consumption = Literal[
    "sys-write",
    "sys-read",
    "sys-pread",
    "sys-direct-write",
    "sys-vmsplice",
    "sys-vm-read",
    "sys-ptrace-peek",
    "sys-futex-wait",
    "sys-futex-wake-op",
    "sys-futex-requeue",
    "sys-fork",
    "sys-mincore",
]
#: System calls about the victim's pages.
Management = Literal[
    "madvise",
    "mlock",
    "munlock",
    "munmap",
    "mremap",
    "msync",
    "fsync",
    "renew",
    "huge",
    "mce-kill",
]
Op = Load | Store | Maintenance | Consumption | Management

#: ``hwpoison`` and ``soft-offline`` break memory for good: an agent refuses them outside a guest of ours.
Advice = Literal[
    "dontneed",
    "remove",
    "cold",
    "pageout",
    "hugepage",
    "nohugepage",
    "collapse",
    "populate-read",
    "populate-write",
    "dontfork",
    "dofork",
    "hwpoison",
    "soft-offline",
]
#: PR_MCE_KILL: when a thread is told of poison in its memory - as it is found, or as it is touched.
MceKill = Literal["early", "late", "default"]

#: Ops that leave something in memory, with the bytes each writes if nothing else is asked for.
STORED_BYTES: Final[Mapping[str, int]] = {
    "write": 8,
    "store-pair": 16,
    "simd-store": 16,
    "sys-read": 8,
}


@dataclass(frozen=True, kw_only=True)
class Touch:
    """What came of one op.

    An access at EL0 gives a value, a signal, or the victim's death - exactly one of them. A system call gives
    ``result`` or ``errno``, a value if it copied one, and the signal that came while it ran, if one did.

    :param value: what was read or written; of an addition what was there before; of ``fetch`` what the code
        returned; of a system call the first 8 bytes that the kernel copied.
    :param intact: whether that is what should have been there; None if nothing can be said about it.
    :param result: what the system call returned; of ``zero`` the bytes zeroed.
    :param errno: why the system call failed, or why this processor has no such access.
    :param accesses: of a loop, how many went through.
    :param wrong: of a loop, how many of them gave another value than the first should have given.
    :param address: of ``mremap``, where the memory is now, guest virtual.
    :param clock_ns: when, on the guest's CLOCK_MONOTONIC.
    """

    value: int | None = None
    intact: bool | None = None
    signal: SigbusInfo | None = None
    died: Mapping[str, Any] | None = None
    result: int | None = None
    errno: int | None = None
    accesses: int | None = None
    wrong: int | None = None
    address: GuestVirtual | None = None
    clock_ns: int = 0

    @property
    def outcome(self) -> str:
        """One phrase for people."""
        told = [] if self.signal is None else [str(self.signal)]
        if self.died is not None:
            told.append(f"the victim died: {dict(self.died)}")
        if self.errno is not None:
            told.append(f"failed with {errno.errorcode.get(self.errno, self.errno)}")
        elif self.result is not None:
            told.append(f"returned {self.result}")
        if self.intact is False:
            told.append("went through with a WRONG value")
        return ", ".join(told) or "went through"

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Self:
        """Read the agent's reply to ``touch``.

        :raises MalformedRecord: its signal is not one.
        """
        value, expected = _hex(reply.get("value")), _hex(reply.get("expected"))
        signal, address = reply.get("signal"), _hex(reply.get("address"))
        return cls(
            value=value,
            intact=None if value is None or expected is None else value == expected,
            signal=None if signal is None else SigbusInfo.from_mapping(signal),
            died=reply.get("died"),
            result=reply.get("result"),
            errno=reply.get("errno"),
            accesses=reply.get("accesses"),
            wrong=reply.get("wrong"),
            address=None if address is None else GuestVirtual(address),
            clock_ns=int(reply.get("mono_ns", 0)),
        )


def _hex(text: str | None) -> int | None:
    return None if text is None else int(text, 16)
