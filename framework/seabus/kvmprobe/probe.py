# SPDX-License-Identifier: Apache-2.0
"""The probe's client: pushes the program to a host, and asks it."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from seabus.channel.interface import Commands
from seabus.errors import CapabilityError, DeadlineError, MachineError, ProbeError, UsageError
from seabus.images.kvmprobe import ProbeImage
from seabus.kvmprobe.cell import Cell, Result

_FOLDER: Final = "/run/seabus/kvmprobe"
#: Seconds: making a VM.
_VM: Final = 30.0
#: Seconds: one cell, which takes milliseconds if its payload does not stick; the probe itself ends it then.
CELL_DEADLINE: Final = 2.0
#: Cells in one request: the agent keeps 1 MiB of an output, a cell that says nothing has 2 KiB of registers
#: in it, and the probe reads at most 16384 values.
BATCH: Final = 400


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The probe on one host.

    :param keep: receives the requests and replies of the last batch, for the artefacts.
    """

    commands: Commands
    keep: Path | None = None

    @classmethod
    async def push(cls, commands: Commands, image: ProbeImage, *, keep: Path | None = None) -> Self:
        """Bring the program and its payload to a host that can be commanded.

        :raises MachineError: the host has no room, or the channel broke.
        """
        (await commands.run("mkdir", "-p", _FOLDER)).must_succeed()
        await commands.write(f"{_FOLDER}/kvmprobe", image.program.read_bytes(), mode=0o755)
        await commands.write(cls.payload(), image.payload.read_bytes())
        return cls(commands=commands, keep=keep)

    @staticmethod
    def payload() -> str:
        """The payload's path on the host."""
        return f"{_FOLDER}/payload"

    async def ask(
        self, requests: Sequence[Mapping[str, Any]], *, within: float = _VM
    ) -> list[Mapping[str, Any]]:
        """Carry out requests in one process, in order; what each gave.

        :raises ProbeError: a request failed; the message is the probe's, ``errno`` KVM's.
        :raises CapabilityError: the host has no usable /dev/kvm.
        :raises UsageError: the probe does not understand a request: no such register, slot or vCPU.
        :raises DeadlineError: it did not end in time.
        """
        lines = [json.dumps({"id": n, **request}) for n, request in enumerate(requests, start=1)]
        said = "".join(f"{line}\n" for line in lines).encode()
        result = await self.commands.run(f"{_FOLDER}/kvmprobe", stdin=said, within=within)
        if self.keep:
            self.keep.write_bytes(said + result.stdout)
        replies = [json.loads(line) for line in result.stdout.splitlines() if line.endswith(b"}")]
        for reply in replies:
            if "error" in reply:
                raise _error(reply["error"])
        if result.truncated:
            raise MachineError(
                f"the probe's answers to {len(requests)} requests are longer than is kept of a command",
                hint="ask for fewer cells at once",
            )
        if len(replies) != len(requests) or result.exit != 0:
            how = f"status {result.exit}" if result.signal is None else f"signal {result.signal}"
            raise MachineError(
                f"the probe ended with {how} after {len(replies)} of {len(requests)} requests",
                details={"stderr": result.stderr.decode(errors="backslashreplace")},
            )
        return [reply["ok"] for reply in replies]

    async def cells(
        self,
        vm: Sequence[Mapping[str, Any]],
        cells: Sequence[Cell],
        *,
        mark: str | None = None,
        first: int = 0,
    ) -> list[Result]:
        """Run cells in a VM of their own.

        :param vm: the requests that make it, and what else has to come before the cells.
        :param mark: a file of the host to note each cell in, by its number.
        :param first: number of the first cell.
        :raises MachineError: as of :meth:`ask`.
        """
        asked = [cell.request(first + n) for n, cell in enumerate(cells)]
        request = {"do": "cells", "within_ms": int(CELL_DEADLINE * 1000), "cells": asked}
        if mark:
            request["mark"] = mark
        told = await self.ask([*vm, request], within=_VM + CELL_DEADLINE * len(cells))
        return [Result.of(result) for result in told[-1]["cells"]]

    async def capability(self, number: int) -> int:
        """What KVM_CHECK_EXTENSION says of a number; 0 if it does not know it.

        :raises CapabilityError: the host has no usable /dev/kvm.
        """
        return int((await self.ask([{"do": "capability", "number": number}]))[0]["value"])


def must_report(result: Result, what: str) -> Result:
    """The result.

    :raises DeadlineError: the payload did not report in time; the vCPU's registers are in the details.
    :raises ProbeError: KVM refused a step.
    """
    if result.failed:
        raise ProbeError(f"{what}: {result.failed}: errno {result.errno}", kind="os", errno=result.errno)
    if result.stuck or not result.taken:
        registers = "\n".join(f"{name:18} {value:#018x}" for name, value in result.state.items())
        why = f"waited {CELL_DEADLINE:g} s for the payload" if result.stuck else "the payload never reported"
        raise DeadlineError(f"{what}: {why}", details={"vCPU": registers})
    return result


def _error(error: Mapping[str, Any]) -> MachineError | CapabilityError | UsageError:
    message, number = str(error["message"]), error.get("errno")
    if message.startswith("/dev/kvm"):
        return CapabilityError(
            f"the host cannot run a VM: {message}",
            hint="a kernel with KVM, started at EL2, and access to /dev/kvm",
            capability="kvm",
        )
    if error["kind"] == "usage":
        return UsageError(f"the probe refuses: {message}", hint="docs/reference/kvmprobe-protocol.md")
    return ProbeError(
        f"the probe: {message}",
        kind=str(error["kind"]),
        errno=number,
        hint="the kernel lacks it" if number in (errno.EINVAL, errno.ENOENT, errno.ENXIO) else "",
    )
