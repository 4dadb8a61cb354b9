# SPDX-License-Identifier: Apache-2.0
"""Plays a script on a stage: its steps in their order, then the verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import Severity
from seabus.attach.requests import FAULTS
from seabus.errors import MachineError, SeabusError
from seabus.faults.fault import Fault
from seabus.guest.translate import Addresses
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation
from seabus.patience import STEP
from seabus.script import owed
from seabus.script.read import Script, does, name_of
from seabus.session.outcome import Outcome
from seabus.session.stage import Stage
from seabus.toml_file import Where
from seabus.world.world import World


async def run(script: Script, world: World, *, inject: bool = True, seed: int | None = None) -> Outcome:
    """Play it in a fresh world.

    :param seed: of what is left to chance.
    :param inject: False makes it the negative control: nothing is injected.
    :raises SeabusError: a step could not be taken; the message begins with file and line.
    """
    async with Stage.open(world, injecting=inject, seed=seed) as stage:
        player = _Player(script, stage)
        await player.gather()
        for number, step in enumerate(script.steps):
            with player.at(("steps", number)):
                await player.take(step)
        return await stage.finish(player.expectations())


class _Player:
    def __init__(self, script: Script, stage: Stage) -> None:
        self._script = script
        self._stage = stage
        self._victims: dict[str, Victim] = {}
        self._faults: dict[str, Fault] = {}
        self._pages: dict[tuple[str, int], Addresses] = {}

    @contextlib.contextmanager
    def at(self, where: Where) -> Iterator[None]:
        """Errors of the body begin with the place of the file that it plays."""
        try:
            yield
        except SeabusError as error:
            error.message = f"{self._script.file.place(where)}: {error.message}"
            raise

    async def gather(self) -> None:
        """Make the victims, and find the pages that are spoken of, before anything happens to them."""
        for name, options in self._script.victims.items():
            with self.at(("victims", name)):
                self._victims[name] = await self._stage.victim(**options)
        for kind, tables in (("steps", self._script.steps), ("expect", self._script.owed)):
            for number, table in enumerate(tables):
                whose = self._name(table)
                if whose is not None and self._stage.level_of(self._victims[whose]) == "L2":
                    with self.at((kind, number)):
                        await self._page(whose, table.get("offset", 0))

    async def take(self, step: Mapping[str, Any]) -> None:
        """One step."""
        stage = self._stage
        match does(step):
            case "inject":
                name = name_of(step, self._faults)
                address = await self._target(step)
                fault = FAULTS[step["inject"]](address, Severity[step.get("severity", "recoverable").upper()])
                self._faults[name] = fault
                await stage.inject(fault)
            case "until":
                fields = step.get("fields", {})
                await stage.until(step["level"], step["until"], within=step.get("within", STEP), **fields)
            case "touch":
                access = {key: step[key] for key in ("offset", "size", "value") if key in step}
                await stage.touch(self._victim(step), op=step["touch"], **access)
            case "settle":
                await stage.settle(float(step["settle"]))
            case "run":
                result = await stage.agent(step["level"]).run(*step["run"])
                if step.get("must-succeed", True) and result.exit != 0:
                    how = result.exit if result.signal is None else f"signal {result.signal}"
                    raise MachineError(
                        f"{step['level']}: {' '.join(step['run'])} ended with {how}",
                        details={"it said": result.stderr.decode(errors="backslashreplace")},
                    )

    def expectations(self) -> list[Expectation]:
        """All that is owed."""
        found: list[Expectation] = []
        for one in self._script.owed:
            name = self._name(one)
            found += owed.expectations(
                one,
                fault=self._fault(one),
                page=self._pages.get((name, one.get("offset", 0))) if name else None,
                victim=self._victims[name] if name else None,
                vmm_pid=self._stage.world.vmm_pid,
            )
        return found

    async def _target(self, step: Mapping[str, Any]) -> HostPhysical:
        if "address" in step:
            return HostPhysical(step["address"])
        name = self._name(step)
        assert name is not None
        offset = step.get("offset", 0)
        if self._stage.level_of(self._victims[name]) == "L1":
            return await self._stage.pages.of_host(self._victims[name], offset=offset)
        return (await self._page(name, offset)).host_physical

    async def _page(self, name: str, offset: int) -> Addresses:
        if (name, offset) not in self._pages:
            self._pages[name, offset] = await self._stage.pages.locate(self._victims[name], offset=offset)
        return self._pages[name, offset]

    def _victim(self, table: Mapping[str, Any]) -> Victim:
        name = self._name(table)
        assert name is not None
        return self._victims[name]

    def _name(self, table: Mapping[str, Any]) -> str | None:
        """The victim that a table means; the only one there is, if it names none."""
        if "victim" in table:
            return str(table["victim"])
        return next(iter(self._victims)) if len(self._victims) == 1 else None

    def _fault(self, one: Mapping[str, Any]) -> Fault | None:
        if "fault" in one:
            return self._faults[one["fault"]]
        return next(iter(self._faults.values()), None)
