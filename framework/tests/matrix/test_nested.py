# SPDX-License-Identifier: Apache-2.0
"""A virtual EL2 is not there if KVM says so, and in no other case."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from seabus.errors import ProbeError
from seabus.kvmprobe.cell import Result
from seabus.kvmprobe.probe import Probe
from seabus.matrix.judge import Status
from seabus.matrix.nested import ask_nested


class Refusing:
    """A host whose KVM makes no VM with virtual EL2, whatever it says that it has."""

    def __init__(self, capability: int) -> None:
        self._capability = capability

    async def capability(self, _: int) -> int:
        return self._capability

    async def ask(self, _: Sequence[Any]) -> list[Any]:
        raise ProbeError("the probe: KVM_CREATE_VCPU", kind="os", errno=22)

    async def cells(self, *_: object) -> list[Result]:
        raise AssertionError("there is no VM to run cells in")


def test_without_it_all_is_out_of_reach() -> None:
    answers = asyncio.run(ask_nested(cast(Probe, Refusing(0))))
    assert {answer.status for answer in answers} == {Status.UNREACHABLE}


def test_a_vm_that_is_refused_all_the_same_is_no_want() -> None:
    with pytest.raises(ProbeError, match="KVM_CREATE_VCPU"):
        asyncio.run(ask_nested(cast(Probe, Refusing(1))))
