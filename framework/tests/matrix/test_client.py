# SPDX-License-Identifier: Apache-2.0
"""The probe's client: what is sent, what is understood, and the error of each refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from seabus.channel.interface import CommandResult
from seabus.errors import CapabilityError, DeadlineError, MachineError, ProbeError, SeabusError, UsageError
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell, Result
from seabus.kvmprobe.probe import Probe, must_report


class Host:
    """A host whose probe prints what it is told to print."""

    def __init__(self, stdout: bytes, *, status: int = 0) -> None:
        self.stdout, self.status = stdout, status

    async def run(self, *argv: str, stdin: bytes | None = None, within: float = 1) -> CommandResult:
        return CommandResult(argv=argv, exit=self.status, signal=None, stdout=self.stdout, stderr=b"")

    async def spawn(self, *argv: str, output: str) -> int:
        raise NotImplementedError

    async def read(self, path: str, *, offset: int = 0) -> bytes:
        raise NotImplementedError

    async def write(self, path: str, data: bytes, *, mode: int = 0o644, append: bool = False) -> None:
        raise NotImplementedError


def ask(stdout: bytes, *, status: int = 0) -> list[Mapping[str, Any]]:
    return asyncio.run(Probe(commands=Host(stdout, status=status)).ask([{"do": "hello"}]))


def test_a_cell_says_only_what_is_unusual() -> None:
    assert Cell(access="ldr", address=0x10).request(3) == {
        "n": 3,
        "access": "ldr",
        "address": "0x10",
        "pstate": "0x3c5",
        "path": "nothing",
    }
    full = Cell(access="ldr", regime=0, esr=0, far=0, sctlr=4, vcpu=1, before=True, set_={"x9": 1}).request(0)
    assert (full["regime"], full["esr"], full["far"], full["sctlr"]) == (0, "0x0", "0x0", "0x4")
    assert (full["vcpu"], full["before"], full["set"]) == (1, True, {"x9": "0x1"})


def test_accesses_are_in_the_order_of_the_payload() -> None:
    from seabus.images import recipe

    text = (recipe.folder() / "kvmprobe" / "payload" / "accesses.h").read_text()
    names = [line.split("(")[1].split(",")[0] for line in text.splitlines() if line.startswith("ACCESS(")]
    assert tuple(names) == layout.ACCESSES


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"kind": "os", "message": "/dev/kvm: No such file or directory", "errno": 2}, CapabilityError),
        ({"kind": "usage", "message": "there is no register esr_el9"}, UsageError),
        ({"kind": "os", "message": "KVM_ENABLE_CAP 245: Invalid argument", "errno": 22}, ProbeError),
    ],
)
def test_each_refusal_has_its_error(error: Mapping[str, Any], kind: type[SeabusError]) -> None:
    with pytest.raises(kind) as raised:
        ask(json.dumps({"id": 1, "error": error}).encode() + b"\n")
    assert error["message"] in raised.value.message


@pytest.mark.parametrize("stdout", [b"", b'{"id": 1, "o', b'{"id": 1, "ok": {'])
def test_a_probe_that_died_is_named(stdout: bytes) -> None:
    with pytest.raises(MachineError, match="ended with status 70 after 0 of 1"):
        ask(stdout, status=70)


def test_a_payload_that_does_not_report_leaves_its_registers() -> None:
    told: Mapping[str, Any] = {"n": 0, "taken": 0, "exits": [], "records": []}
    stuck = Result.of({**told, "stuck": True, "state": {"pc": "0x40"}})
    with pytest.raises(DeadlineError, match="EL0: waited 2 s") as raised:
        must_report(stuck, "EL0")
    assert "0x0000000000000040" in raised.value.details["vCPU"]
    silent = Result.of(told)
    with pytest.raises(DeadlineError, match="never reported"):
        must_report(silent, "EL0")
    refused = {**told, "failed": "KVM_SET_ONE_REG", "errno": 2}
    with pytest.raises(ProbeError, match="KVM_SET_ONE_REG: errno 2"):
        must_report(Result.of(refused), "EL0")
