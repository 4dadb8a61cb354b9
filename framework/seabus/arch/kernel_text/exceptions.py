# SPDX-License-Identifier: Apache-2.0
"""The lines in which an arm64 kernel names an exception it died of, or let a process die of.

>>> died = parse_exception("Internal error: synchronous external abort: 0000000096000410 [#1] SMP")
>>> died.what, hex(died.esr), died.hardware
('synchronous external abort', '0x96000410', True)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = [
    "ExceptionLine",
    "InternalError",
    "KernelAccess",
    "KernelPanic",
    "SErrorInterrupt",
    "UnhandledException",
    "UserException",
    "parse_exception",
]

# Names of fault_info[] whose handler is do_sea(), arch/arm64/mm/fault.c.
_SEA = re.compile(
    r"synchronous external abort|synchronous parity or ECC error"
    r"|level -?\d (?:synchronous parity error )?\(translation table walk\)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalError:
    """``die()``: the kernel itself took an exception it cannot survive.

    ``what`` is the kernel's name of the fault, or ``Oops`` and its kind; ``esr`` what was printed as the
    error, ESR_EL1 for all faults; ``number`` counts the deaths since boot.
    """

    what: str
    esr: int
    number: int

    @property
    def hardware(self) -> bool:
        """Whether it is a synchronous external abort, on an access or on a table walk."""
        return _SEA.fullmatch(self.what) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SErrorInterrupt:
    """An SError that nobody claimed or could contain; a panic follows. ``esr`` is ESR_ELx."""

    cpu: int
    esr: int
    exception_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnhandledException:
    """A vector of the kernel that should never be taken, such as ``64-bit el1h sync``."""

    vector: str
    cpu: int
    esr: int
    exception_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelAccess:
    """The kernel touched what it may not. ``address`` is virtual, of the kernel that prints (FAR_EL1)."""

    what: str
    address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserException:
    """A process dies of an exception, with ``debug.exception-trace`` on.

    ``esr`` and ``exception_class`` are absent where the kernel recorded no fault; ``where`` is the mapping
    and offset of the PC, such as ``victim[a60,400000+81000]``. ``pid`` is a thread id.
    """

    comm: str
    pid: int
    what: str
    esr: int | None = None
    exception_class: str | None = None
    where: str | None = None

    @property
    def hardware(self) -> bool:
        """Whether it is a synchronous external abort, on an access or on a table walk."""
        return _SEA.fullmatch(self.what) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPanic:
    """``panic()`` and its reason."""

    reason: str

    @property
    def hardware(self) -> bool:
        """Whether the reason is a hardware error: one that a driver of RAS, or an exception, gives."""
        return _HARDWARE_PANIC.match(self.reason) is not None


ExceptionLine = (
    InternalError | SErrorInterrupt | UnhandledException | KernelAccess | UserException | KernelPanic
)

# Linux 6.1 to 7.3: drivers/acpi/apei/ghes.c (with "GHES: " in newer ones), mm/memory-failure.c,
# arch/arm64/kernel/traps.c, drivers/edac/edac_mc.c and edac_device.c.
_HARDWARE_PANIC = re.compile(
    r"(?:GHES: )?Fatal hardware error|Asynchronous SError Interrupt|Memory failure(?: on page |: )"
    rf"|(?:{_SEA.pattern}): Fatal exception|UE .* on |EDAC "
)
_INTERNAL = re.compile(
    r"Internal error: (?P<what>.{1,120}): (?P<esr>[0-9a-f]{8,16}) \[#(?P<number>\d{1,10})\].*"
)
_SERROR = re.compile(
    r"SError Interrupt on CPU(?P<cpu>\d{1,5}), code 0x(?P<esr>[0-9a-f]{1,16}) -- (?P<name>.*)"
)
_UNHANDLED = re.compile(
    r"Unhandled (?P<vector>.{1,60}) exception on CPU(?P<cpu>\d{1,5}),"
    r" ESR 0x(?P<esr>[0-9a-f]{1,16}) -- (?P<name>.*)"
)
_ACCESS = re.compile(
    r"Unable to handle kernel (?P<what>.{1,120}) at virtual address (?P<address>[0-9a-f]{1,16})"
)
# The command and what follows it: comm may hold anything, brackets included, but no more than 15 characters.
_USER = re.compile(r"(?P<comm>.{1,15})\[(?P<pid>\d{1,10})\]: unhandled exception: (?P<rest>.*)")
_USER_ESR = re.compile(r"(?P<name>.{1,40}), ESR 0x(?P<esr>[0-9a-f]{1,16}), (?P<rest>.*)")
_USER_WHERE = re.compile(r"(?P<what>.*?) in (?P<where>\S{1,255}\[[0-9a-f]+(?:,[0-9a-f]+)?\+[0-9a-f]+\])")
_PANIC = re.compile(r"Kernel panic - not syncing: (?P<reason>.*)")


def parse_exception(message: str) -> ExceptionLine | None:
    """Read a message, without what :func:`~seabus.arch.kernel_text.kernel_message` removes.

    Source: Linux arch/arm64/kernel/traps.c ``__die()``, ``arm64_show_signal()``, ``arm64_serror_panic()``;
    arch/arm64/kernel/entry-common.c ``__panic_unhandled()``; arch/arm64/mm/fault.c ``die_kernel_fault()``;
    kernel/panic.c.
    """
    for pattern, make in _READERS.items():
        if match := pattern.fullmatch(message):
            return make(match)
    return None


def _user(match: re.Match[str]) -> UserException:
    rest: str = match["rest"]
    esr = name = where = None
    if found := _USER_ESR.fullmatch(rest):
        name, esr, rest = found["name"], int(found["esr"], 16), found["rest"]
    if found := _USER_WHERE.fullmatch(rest):
        rest, where = found["what"], found["where"]
    return UserException(
        comm=match["comm"], pid=int(match["pid"]), what=rest, esr=esr, exception_class=name, where=where
    )


_READERS: Mapping[re.Pattern[str], Callable[[re.Match[str]], ExceptionLine]] = {
    _INTERNAL: lambda m: InternalError(what=m["what"], esr=int(m["esr"], 16), number=int(m["number"])),
    _SERROR: lambda m: SErrorInterrupt(cpu=int(m["cpu"]), esr=int(m["esr"], 16), exception_class=m["name"]),
    _UNHANDLED: lambda m: UnhandledException(
        vector=m["vector"], cpu=int(m["cpu"]), esr=int(m["esr"], 16), exception_class=m["name"]
    ),
    _ACCESS: lambda m: KernelAccess(what=m["what"], address=int(m["address"], 16)),
    _USER: _user,
    _PANIC: lambda m: KernelPanic(reason=m["reason"]),
}
