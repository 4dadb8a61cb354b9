# SPDX-License-Identifier: Apache-2.0
"""The matrix and its probe on a real KVM: what must be explained, lies that must be found, bad input."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from seabus.arch.exception_entry import DAIF
from seabus.errors import CapabilityError, DeadlineError, ProbeError, UsageError
from seabus.images import kvmprobe
from seabus.images.store import Store
from seabus.kvmprobe import layout
from seabus.kvmprobe.cell import Cell
from seabus.kvmprobe.probe import Probe, must_report
from seabus.kvmprobe.vm import Slot, Vm, vm_request
from seabus.matrix import run as matrix
from seabus.matrix.judge import Status, judge
from seabus.matrix.question import FIELDS, Expected, Question
from seabus.matrix.witnesses import hear
from seabus.patience import scale
from seabus.plugin import Worlds
from seabus.world.world import World

pytestmark = pytest.mark.emulated

_T = TypeVar("_T")
_BAD_VALUES = {"exits": ("nothing",), "changed": frozenset({"x30"}), "outcome": "silent", "pending": True}


def probing(worlds: Worlds, play: Callable[[World, Probe], Awaitable[_T]]) -> _T:
    image = kvmprobe.get(Store(), say=lambda _: None)

    async def pushed(world: World) -> _T:
        keep = world.artefacts / "probe.jsonl"
        return await play(world, await Probe.push(world.l1, image, keep=keep))

    return worlds.run(pushed)


def kernel(world: World) -> str:
    return str(world.notes["versions"]["l1_kernel"])


def in_slice(question: Question) -> bool:
    """Every regime's place once, from EL0 and EL1h; every SError; a tenth of what a VMM may write."""
    if question.group == "syndrome":
        return question.spec.esr is not None and question.spec.esr % 10 == 0
    return question.group != "pstate" or question.at["origin"] == "EL0"


def test_a_slice_of_the_matrix_is_explained(seabus_worlds: Worlds) -> None:
    """And wrong expectations are not: every answer that agreed is judged again by a lie in each field."""

    async def play(world: World, probe: Probe) -> matrix.MatrixRun:
        return await matrix.ask(probe, mode="nvhe", kernel=kernel(world), choose=in_slice)

    run = probing(seabus_worlds, play)
    assert [f"{answer.question}: {answer.reason}" for answer in run.of(Status.UNEXPLAINED)] == []
    assert len(run.of(Status.AGREED)) > 800
    assert all(answer.reason for answer in run.answers if answer.status is not Status.AGREED)
    assert run.asked / run.seconds * scale() > 50
    assert_lies_are_found(run)


def assert_lies_are_found(run: matrix.MatrixRun) -> None:
    told = 0
    for number, result in run.results.items():
        question = run.answers[number].question
        if run.answers[number].status is not Status.AGREED:
            continue
        for name in FIELDS:
            if getattr(question.spec, name) is None:
                continue
            lied = replace(question, spec=lie(question.spec, name), known=None, rules={}, illegal="")
            assert judge(lied, result).status is Status.UNEXPLAINED, f"{question}: {name}"
            told += 1
    assert told > 10000


def lie(expected: Expected, name: str) -> Expected:
    value = getattr(expected, name)
    if name == "pending":
        wrong: Any = not value
    elif name == "outcome":
        wrong = "silent" if value == "reported" else "reported"
    else:
        wrong = value ^ 1 << 30 if type(value) is int else _BAD_VALUES[name]
    # Bits that are not known may be anything: then the lie would be none.
    return replace(expected, **{name: wrong}, esr_unknown=expected.esr_unknown & ~(1 << 30))


def test_three_witnesses_agree_on_the_core_cells(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> None:
        testimony = await hear(
            world, probe, mode="nvhe", kernel=kernel(world), artefacts=seabus_worlds.artefacts
        )
        assert testimony.cells > 150
        assert [f"{question}: {words}" for question, words in testimony.complaints] == []

    probing(seabus_worlds, play)


def test_bad_input_has_its_error(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> None:
        vm = vm_request(Probe.payload())

        async def one(cell: Cell) -> None:
            must_report((await probe.cells([vm], [cell]))[0], "the cell")

        await one(Cell(access="nop"))
        with pytest.raises(UsageError, match="there is no register esr_el9"):
            await one(Cell(access="nop", set_={"esr_el9": 0}))
        with pytest.raises(ProbeError, match="KVM_SET_ONE_REG") as refused:
            await one(Cell(access="nop", set_={"0x6030000000ffffff": 0}))
        assert refused.value.errno == errno.ENOENT
        with pytest.raises(ProbeError, match="KVM_SET_ONE_REG") as mode:
            await one(Cell(access="nop", pstate=0x3CD))  # EL3h
        assert mode.value.errno == errno.EINVAL
        with pytest.raises(DeadlineError, match="waited 2 s for the payload") as stuck:
            await one(Cell(access="spin"))
        assert f"pc                 {layout.address_of('spin'):#018x}" in stuck.value.details["vCPU"]
        with pytest.raises(UsageError, match="there is no vcpu 1"):
            await one(Cell(access="nop", vcpu=1))
        slot = Slot(address=0x5000_0000, size=4096, backing="gold")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="there is no backing gold"):
            await probe.ask([vm_request(Probe.payload(), slots=[slot])])
        with pytest.raises(ProbeError, match="/nonexistent"):
            await probe.ask([vm_request("/nonexistent")])
        with pytest.raises(UsageError, match="1 to 4 vcpus"):
            await probe.ask([vm_request(Probe.payload(), vcpus=5)])
        with pytest.raises(UsageError, match="no verb dance"):
            await probe.ask([{"do": "dance"}])
        with pytest.raises(UsageError, match="make a vm first"):
            await probe.ask([{"do": "cells", "cells": []}])
        assert await probe.capability(31999) == 0
        (await world.l1.run("mv", "/dev/kvm", "/dev/kvm-hidden")).must_succeed()
        with pytest.raises(CapabilityError, match="cannot run a VM"):
            await probe.ask([vm])

    probing(seabus_worlds, play)


def test_every_vcpu_runs_in_a_machine_with_an_interrupt_controller(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> None:
        vm = vm_request(Probe.payload(), vcpus=4, gic=True)
        cells = [
            Cell(access="ldr", address=int(layout.HOLE), path="events", vcpu=vcpu, serial=True)
            for vcpu in range(4)
        ]
        for result in await probe.cells([vm], cells):
            assert must_report(result, "the vCPU").records[0].far == int(layout.HOLE)
            assert result.serial == result.records[0].serial()

    probing(seabus_worlds, play)


def test_an_access_without_a_syndrome_fails_unless_the_vmm_wants_it(seabus_worlds: Worlds) -> None:
    """Linux Documentation/virt/kvm/api.rst, KVM_CAP_ARM_NISV_TO_USER: KVM_RUN returns ENOSYS."""

    async def play(world: World, probe: Probe) -> None:
        pair = Cell(access="ldp", address=int(layout.HOLE))
        [result] = await probe.cells([vm_request(Probe.payload(), nisv=False)], [pair])
        assert [left.reason for left in result.exits] == [-errno.ENOSYS]
        assert result.taken == 0

    probing(seabus_worlds, play)


def test_sea_to_user_checks_its_arguments(seabus_worlds: Worlds) -> None:
    """The exit itself needs a processor that routes External aborts to EL2: see the matrix."""

    async def play(world: World, probe: Probe) -> None:
        number = 245
        if not await probe.capability(number):
            pytest.skip("the host's KVM has no KVM_CAP_ARM_SEA_TO_USER")
        vm = vm_request(Probe.payload())
        await probe.ask([vm, {"do": "enable", "number": number}])
        wrong: Mapping[str, Any]
        for wrong in ({"flags": 1}, {"number": 31999}):
            with pytest.raises(ProbeError) as refused:
                await probe.ask([vm, {"do": "enable", "number": number, **wrong}])
            assert refused.value.errno == errno.EINVAL

    probing(seabus_worlds, play)


def test_a_walk_in_device_memory_never_ends(seabus_worlds: Worlds) -> None:
    """docs/findings/0040-walk-in-device-memory.md: held as it is, so that it is noticed when it changes."""

    async def play(world: World, probe: Probe) -> None:
        machine = matrix.machine(poisoned=False)
        regimes = Vm.of((await probe.ask(machine))[0]).regimes
        index, regime = next((n, r) for n, r in enumerate(regimes) if r.bad == int(layout.NOBODY))
        cell = Cell(access="ldr", address=regime.walk[3], regime=index)
        [walk, leaf] = await probe.cells(machine, [cell, replace(cell, address=regime.leaf_el1)])
        assert (walk.stuck, walk.taken) == (True, 0)
        assert leaf.records[0].esr == 0x9600_0010

    probing(seabus_worlds, play)


@pytest.mark.xfail(reason="docs/findings/0041-reset-keeps-serror.md", strict=True, raises=AssertionError)
def test_a_reset_takes_a_pending_serror_away(seabus_worlds: Worlds) -> None:
    async def play(world: World, probe: Probe) -> bool:
        masked = Cell(access="nop", pstate=DAIF | 5, path="serror", esr=0x11, before=True, keep=True)
        told = await probe.ask(
            [
                vm_request(Probe.payload()),
                {"do": "cells", "cells": [masked.request(0)]},
                {"do": "reset"},
                {"do": "cells", "cells": [Cell(access="unmask").request(1)]},
            ]
        )
        if not told[1]["cells"][0]["pending"]:
            pytest.fail("the SError was never pending")
        # Neither KVM nor the guest in its new life may know of it.
        esr = int(told[3]["cells"][0]["records"][0]["esr"], 16)
        return not told[2]["serror_pending"] and esr >> 26 != 0x2F

    assert probing(seabus_worlds, play)
