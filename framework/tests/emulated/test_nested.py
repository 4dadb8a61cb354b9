# SPDX-License-Identifier: Apache-2.0
"""A guest hypervisor at virtual EL2: aborts reach their level, by the ways that do not kill the host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from seabus.errors import DeadlineError
from seabus.images import kvmprobe
from seabus.images.store import Store
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell
from seabus.kvmprobe.probe import Probe
from seabus.kvmprobe.vm import vm_request
from seabus.machine.config import WorldConfig
from seabus.matrix.judge import Status
from seabus.matrix.nested import ask_nested
from seabus.plugin import Worlds
from seabus.world.world import World

pytestmark = pytest.mark.emulated

NESTED = WorldConfig(l1_mode="vhe", l1_append="kvm-arm.mode=nested")
TEA = 1 << 37


def probing(worlds: Worlds, play: Callable[[World, Probe], Awaitable[None]], config: WorldConfig) -> None:
    image = kvmprobe.get(Store(), say=lambda _: None)

    async def pushed(world: World) -> None:
        await play(world, await Probe.push(world.l1, image))

    worlds.run(pushed, config)


def test_an_abort_reaches_its_level(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> None:
        answers = await ask_nested(probe)
        assert [str(answer.question) for answer in answers if answer.status is Status.UNEXPLAINED] == []
        assert sum(answer.status is Status.AGREED for answer in answers) > 100

    probing(seabus_worlds, play, NESTED)


def test_a_host_without_nested_virtualization_says_so(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> None:
        answers = await ask_nested(probe)
        assert {answer.status for answer in answers} == {Status.UNREACHABLE}
        assert all("KVM_CAP_ARM_EL2" in answer.reason for answer in answers)

    probing(seabus_worlds, play, WorldConfig())


@pytest.mark.xfail(reason="docs/findings/0043-nested-injection-oopses.md", strict=True, raises=AssertionError)
def test_a_vmm_may_tell_a_guest_hypervisor_of_an_abort(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> None:
        cell = Cell(access="ldr", address=int(layout.HOLE), pstate=0x3C5, path="events", hcr=TEA)
        asked = [vm_request(Probe.payload(), el2=True), {"do": "cells", "cells": [cell.request(0)]}]
        try:
            await probe.ask(asked, within=8)
        except DeadlineError:
            log = (await world.l1.run("dmesg")).text
            assert "kvm_vcpu_put_hw_mmu" not in log, "the host oopsed"
            raise

    probing(seabus_worlds, play, NESTED)
