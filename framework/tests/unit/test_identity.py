# SPDX-License-Identifier: Apache-2.0
"""Before the verdict each machine is asked who it is; its agent is a stand-in that answers hello."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from seabus.channel.agent import Agent
from seabus.errors import CloneError
from seabus.world import identity, restore

BOOTED = {"boot_id": "first life", "nonce": None, "pid": 100, "cpus": 2}


class Machine:
    """Its kernel and its agent, which keeps a nonce until it ends."""

    level = "L2"

    def __init__(self) -> None:
        self.now: dict[str, Any] = dict(BOOTED)

    async def request(
        self, verb: str, *, within: float = 0, nonce: str | None = None, seed: str | None = None
    ) -> Mapping[str, Any]:
        assert verb == "hello"
        self.now["nonce"] = nonce or self.now["nonce"]
        return {**self.now, "reseeded": seed is not None}

    def respawn(self) -> None:
        self.now |= {"nonce": None, "pid": self.now["pid"] + 1}

    def reboot(self) -> None:
        self.now = {**BOOTED, "boot_id": "second life"}


def adopted(machine: Machine) -> dict[str, Any]:
    return asyncio.run(restore.adopt(cast(Agent, machine), BOOTED))


def check(machine: Machine, known: Mapping[str, Any]) -> None:
    asyncio.run(identity.check(cast(Agent, machine), known))


def test_a_clone_is_known_by_what_it_was_given() -> None:
    machine = Machine()
    known = adopted(machine)
    assert known == {**machine.now}
    assert BOOTED["nonce"] is None  # the template's notes are every clone's
    check(machine, known)


def test_a_clone_that_rebooted_is_refused() -> None:
    machine = Machine()
    known = adopted(machine)
    machine.reboot()
    with pytest.raises(CloneError, match="L2 rebooted before the verdict"):
        check(machine, known)


def test_a_clone_with_another_nonce_is_refused() -> None:
    machine = Machine()
    known = adopted(machine)
    adopted(machine)
    with pytest.raises(CloneError, match="L2 is another clone"):
        check(machine, known)


def test_a_clone_that_nobody_adopted_is_refused() -> None:
    """It has the agent of the template, as it was frozen: no nonce, and the same process."""
    with pytest.raises(CloneError, match="L2 is another clone"):
        check(Machine(), adopted(Machine()))


def test_an_agent_that_was_started_again_is_no_other_machine() -> None:
    machine = Machine()
    known = adopted(machine)
    machine.respawn()
    check(machine, known)


def test_a_lab_host_has_no_nonce() -> None:
    """Only its boot_id is compared, whatever its agent was given by others."""
    machine = Machine()
    check(machine, BOOTED)
    adopted(machine)
    check(machine, BOOTED)
    machine.reboot()
    with pytest.raises(CloneError, match="rebooted"):
        check(machine, BOOTED)
