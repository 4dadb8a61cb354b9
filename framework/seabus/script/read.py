# SPDX-License-Identifier: Apache-2.0
"""A scenario file (``docs/how-to/write-a-scenario.md``).

::

    title = "The page beside a lost one is intact"

    [world]
    l2_cpus = 1

    [victims.v]
    pages = 2

    [[steps]]
    inject = "memory-record"
    victim = "v"
    offset = 4096

    [[steps]]
    touch = "read"
    victim = "v"

    [[expect]]
    chain = "host.reports"
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from seabus.arch.cper import Severity
from seabus.attach.requests import FAULTS
from seabus.errors import UsageError
from seabus.guest.victim import Victim
from seabus.machine.config import WorldConfig, value_of
from seabus.observe.events import Kind, Level
from seabus.script import owed
from seabus.toml_file import TomlFile, Where, nearest

_ABOUT: Final = "docs/how-to/write-a-scenario.md"
#: What each kind of step may say beside its name.
_STEPS: Final[dict[str, tuple[str, ...]]] = {
    "inject": ("name", "victim", "offset", "address", "severity"),
    "run": ("level", "must-succeed"),
    "settle": (),
    "touch": ("victim", "offset", "size", "value"),
    "until": ("level", "within", "fields"),
}
_EVENT: Final = ("name", "level", "witness", "kind", "fields", "after", "promise", "optional")


@dataclass(frozen=True, kw_only=True)
class Script:
    """A scenario file, read.

    :param steps: each a table with the one key that says what is done.
    :param owed: what must be seen, and nothing else.
    """

    file: TomlFile
    title: str
    world: WorldConfig
    victims: Mapping[str, Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    owed: Sequence[Mapping[str, Any]]


def read(path: Path) -> Script:
    """Read a scenario.

    :raises UsageError: something in it is wrong: file, line, and the nearest right word.
    """
    file = TomlFile.read(path, what="the scenario", about=_ABOUT)
    document = file.document
    file.known(document, ("title", "world", "victims", "steps", "expect"), ())
    victims = _victims(file)
    steps, expected = file.tables("steps"), file.tables("expect")
    if not steps:
        raise file.wrong((), "does nothing: [[steps]]")
    if not expected:
        raise file.wrong((), "expects nothing, so it could not fail: [[expect]]")
    faults: list[str] = []
    for number, step in enumerate(steps):
        _step(file, step, ("steps", number), victims, faults)
    for number, one in enumerate(expected):
        _owed(file, one, ("expect", number), victims, faults)
    title = document.get("title", path.stem)
    if not isinstance(title, str):
        raise file.wrong(("title",), "is no string")
    return Script(file=file, title=title, world=_world(file), victims=victims, steps=steps, owed=expected)


def does(step: Mapping[str, Any]) -> str:
    """What a step does."""
    return next(name for name in _STEPS if name in step)


def _world(file: TomlFile) -> WorldConfig:
    table = file.table(file.document, "world", ())
    file.known(table, [field.name for field in dataclasses.fields(WorldConfig)], ("world",))
    chosen: dict[str, Any] = {}
    for name, value in table.items():
        try:
            chosen[name] = value_of(name, value) if isinstance(value, str) else value
        except UsageError as error:
            raise file.wrong(("world", name), error.message) from error
    try:
        return WorldConfig(**chosen)
    except (UsageError, TypeError) as error:
        raise file.wrong(("world",), str(error)) from error


def _victims(file: TomlFile) -> dict[str, Mapping[str, Any]]:
    table = file.table(file.document, "victims", ())
    allowed = [*inspect.signature(Victim.make).parameters.keys() - {"agent"}, "level"]
    found = {}
    for name in table:
        options = file.table(table, name, ("victims",))
        file.known(options, allowed, ("victims", name))
        found[name] = options
    return found


def _step(
    file: TomlFile, step: Mapping[str, Any], where: Where, victims: Collection[str], faults: list[str]
) -> None:
    named = [name for name in _STEPS if name in step]
    if len(named) != 1:
        raise file.wrong(where, f"must do one thing: {', '.join(_STEPS)}")
    kind = named[0]
    file.known(step, (kind, *_STEPS[kind]), where)
    _victim_named(
        file, step, where, victims, needed=kind == "touch" or (kind == "inject" and "address" not in step)
    )
    if kind == "inject":
        _one_of(file, step, "inject", FAULTS, where)
        _one_of(file, step, "severity", [one.name.lower() for one in Severity], where)
        faults.append(str(step.get("name", f"fault-{len(faults) + 1}")))
    if kind in ("until", "run"):
        if "level" not in step:
            raise file.wrong(where, "needs `level`: L1 or L2")
        _one_of(file, step, "level", ("L1", "L2"), where)
    if kind == "until":
        _one_of(file, step, "until", get_args(Kind), where)
    if kind == "run" and not isinstance(step["run"], list):
        raise file.wrong((*where, "run"), 'is no list of words: ["uname", "-a"]')


def _owed(
    file: TomlFile, one: Mapping[str, Any], where: Where, victims: Collection[str], faults: Sequence[str]
) -> None:
    if "chain" not in one:
        file.known(one, (*_EVENT, "victim", "offset"), where)
        for name in ("name", "level", "witness", "kind"):
            if name not in one:
                raise file.wrong(where, f"needs `{name}`, or `chain`")
        _one_of(file, one, "level", get_args(Level), where)
        _one_of(file, one, "kind", get_args(Kind), where)
        return
    chains = owed.chains()
    _one_of(file, one, "chain", chains, where)
    parameters = inspect.signature(chains[one["chain"]]).parameters
    file.known(one, ("chain", *owed.keys_of(parameters)), where)
    _victim_named(file, one, where, victims, needed=owed.needs_victim(parameters))
    _one_of(file, one, "fault", faults, where)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in (*owed.GIVEN, *one):
            raise file.wrong(where, f"{one['chain']} needs `{name}`")
    if owed.needs_fault(parameters) and not faults:
        raise file.wrong(where, "speaks of a fault, and there is none: inject = …")


def _victim_named(
    file: TomlFile, table: Mapping[str, Any], where: Where, victims: Collection[str], *, needed: bool
) -> None:
    if "victim" in table:
        _one_of(file, table, "victim", victims, where)
    elif needed and len(victims) != 1:
        raise file.wrong(where, f"needs `victim`: {', '.join(victims) or 'there is none, [victims.NAME]'}")


def _one_of(
    file: TomlFile, table: Mapping[str, Any], key: str, allowed: Collection[str], where: Where
) -> None:
    if key in table and table[key] not in allowed:
        raise file.wrong((*where, key), f"{table[key]!r} is not known{nearest(str(table[key]), allowed)}")
