# SPDX-License-Identifier: Apache-2.0
"""Every error Seabus raises, sorted by who is to blame.

::

    SeabusError
     +-- UsageError            the caller's mistake             exit code 2
     +-- MachineError          the machine under test or its    exit code 3
     |    |                    emulator misbehaved
     |    +-- BootError        a milestone was not reached
     |    +-- ChannelError     a monitor, agent or console broke
     |    |    +-- AgentError  the agent answered with an error
     |    +-- ProbeError       KVM, or the probe that asks it, refused a step
     |    +-- DeadlineError    something awaited did not happen
     |    +-- CloneError       a restored world is not alive
     +-- HostError             this computer or the lab cannot  exit code 3
     |    +-- CapabilityError  a named capability is missing
     |    +-- ImageError       an image could not be built or is damaged
     |    +-- DiskError        no room
     |    +-- HeldError        somebody else has the lab host
     |    +-- LeaseLostError   a lease of a lab host is over
     |    +-- QuarantinedError a lab host was put aside
     +-- NoVerdictError        no verdict could be reached      exit code 4

Four public errors are none of these, because of where they belong. :class:`seabus.arch.MalformedRecord` (the
input is at fault) and :class:`seabus.arch.esr.BadEsrField` (the caller is) are each a ``ValueError`` of a
package that is importable alone; :class:`seabus.judge.verdict.NotAsExpectedError` (the system under test is)
is a failed assertion, and so is :class:`seabus.catalogue.KnownDefectError` (it is, as is known). They tell
``blame``, ``advice`` and ``exit_code`` all the same.

Each error is one line that says what happened, and a second (:attr:`SeabusError.hint`) that says what
to do next: what who raised it knows, or else its class. ``details`` holds longer evidence (the last
console lines, an argv) that the command line prints indented below. Nothing in the library prints or exits.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping


class SeabusError(Exception):
    """Root of all errors of Seabus.

    :param message: what happened, one line.
    :param hint: what to do next, one line; without it, what helps with errors of the class.
    :param details: titled blocks of evidence, such as the last lines of each console.
    """

    exit_code = 3
    #: Who is at fault, in words a report can print.
    blame = "seabus"
    #: What to do next, where nobody knows better.
    advice = "report it, with the folder of artefacts"

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.advice
        self.details: dict[str, str] = dict(details or {})

    def __str__(self) -> str:
        return self.message


class UsageError(SeabusError):
    """The caller asked for something impossible or misspelt."""

    exit_code = 2
    blame = "caller"
    advice = "seabus COMMAND --help"


class MachineError(SeabusError):
    """The emulator or a machine inside it did something it should not."""

    blame = "machine"
    advice = "look at the last lines of the consoles and of emulator.log in the folder of artefacts"


class BootError(MachineError):
    """A boot milestone was not reached before its deadline."""

    advice = "seabus doctor; then look at the console's last lines"


class ChannelError(MachineError):
    """A monitor, agent or console channel closed, or carried something that is not its protocol."""

    advice = "see in the consoles and in emulator.log whether the machine died"


class AgentError(ChannelError):
    """An agent carried out a request and reports failure.

    :param kind: the protocol's error kind (``docs/reference/agent-protocol.md``).
    :param errno: the system call's error number, where there is one.
    """

    advice = "docs/reference/agent-protocol.md tells what the error's kind means"

    def __init__(self, message: str, *, kind: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.errno = errno


class ProbeError(MachineError):
    """KVM, or the probe that asks it, refused a step.

    :param kind: the protocol's error kind (``docs/reference/kvmprobe-protocol.md``).
    :param errno: the system call's error number, where there is one.
    """

    advice = "docs/reference/kvmprobe-protocol.md tells what the error's kind means"

    def __init__(self, message: str, *, kind: str, errno: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.errno = errno


class DeadlineError(MachineError):
    """Something awaited did not happen in time; the message names it."""

    advice = "SEABUS_PATIENCE=3 stretches all deadlines on a loaded computer; else look at the consoles"


class CloneError(MachineError):
    """A restored world is not alive in every part; it must not be used."""

    advice = "seabus image clean --templates"


class HostError(SeabusError):
    """This computer or the lab cannot do what is needed."""

    blame = "host"
    advice = "seabus doctor"


class CapabilityError(HostError):
    """A named capability is missing; the message names the probe that failed.

    :param capability: its name, where it has one (:mod:`seabus.world.needs`).
    """

    advice = "seabus doctor tells what this computer has"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        details: Mapping[str, str] | None = None,
        capability: str = "",
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.capability = capability


class ImageError(HostError):
    """An image could not be built, or what is in the cache is not what was built."""

    advice = "seabus image clean; then seabus image build"


class DiskError(HostError):
    """There is no room left where Seabus has to write."""

    advice = "free some room, or set SEABUS_CACHE and SEABUS_ARTEFACTS"


class HeldError(HostError):
    """Somebody else has the lab host; the message says who."""

    advice = "seabus lab who; seabus lab wait HOST"


class LeaseLostError(HostError):
    """A lease of a lab host is not ours any more: nothing may be broken in its name."""

    advice = "seabus lab who; then acquire the host again"


class QuarantinedError(HostError):
    """The lab host was put aside after failing its checks."""

    advice = "seabus lab show HOST; once it is mended, seabus lab repaired HOST"


class NoVerdictError(SeabusError):
    """The run ended without anything that could be judged."""

    exit_code = 4
    blame = "unknown"
    advice = "look at the timeline in the folder of artefacts; pytest --seabus-keep keeps the world"


def of_system(error: OSError) -> HostError:
    """What this computer's kernel refused, as an error of Seabus."""
    what = f"{error.strerror or error}: {error.filename or 'no file named'}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskError(what)
    return HostError(what, hint="see what `seabus doctor` says of folders and rights")
