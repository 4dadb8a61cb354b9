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
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_type_hints

from seabus import durations
from seabus.arch.addresses import HostPhysical
from seabus.arch.cper import Severity
from seabus.attach.requests import FAULTS
from seabus.errors import UsageError
from seabus.faults.fault import Fault
from seabus.faults.record import MemoryRecord
from seabus.guest.touch import Op
from seabus.guest.victim import Victim
from seabus.machine.config import WorldConfig, value_of
from seabus.observe.events import Kind, Level
from seabus.script import owed
from seabus.script.fits import called, fits, words_of
from seabus.toml_file import TomlFile, Where, nearest

_ABOUT: Final = "docs/how-to/write-a-scenario.md"
#: Levels with an agent: where victims live and commands run.
_Lived = Literal["L1", "L2"]
#: What each kind of step may say beside its name, and of which type that is.
STEPS: Final[Mapping[str, Mapping[str, Any]]] = {
    "inject": {"name": str, "victim": str, "offset": int, "address": HostPhysical, "severity": str},
    "run": {"level": _Lived, "must-succeed": bool},
    "settle": {},
    "touch": {"victim": str, "offset": int, "size": int, "value": int},
    "until": {"level": _Lived, "within": float, "fields": dict},
}
#: What is said by a step's own key.
DONE: Final[Mapping[str, Any]] = {
    "inject": str,
    "run": tuple[str, ...],
    "settle": float,
    "touch": Op,
    "until": Kind,
}
#: An expected event, spelt out.
EVENT: Final[Mapping[str, Any]] = {
    "name": str,
    "level": Level,
    "witness": str,
    "kind": Kind,
    "fields": dict,
    "after": tuple[str, ...],
    "promise": str,
    "optional": bool,
    "victim": str,
}
#: Keys whose values cannot be less than nothing; and those that cannot be nothing either.
_NOT_NEGATIVE: Final = ("offset", "value", "settle")
_SECONDS: Final = ("settle", "within")
_POSITIVE: Final = ("size", "within", "pages", "page_size", "threads")


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
    faults: dict[str, Fault] = {}
    for number, step in enumerate(steps):
        _step(file, step, ("steps", number), victims, faults)
    for number, one in enumerate(expected):
        _owed(file, one, ("expect", number), victims, faults)
    _names(file, expected, faults)
    title = document.get("title", path.stem)
    if not isinstance(title, str):
        raise file.wrong(("title",), "is no string")
    return Script(file=file, title=title, world=_world(file), victims=victims, steps=steps, owed=expected)


def does(step: Mapping[str, Any]) -> str:
    """What a step does."""
    return next(name for name in STEPS if name in step)


@cache
def victim_types() -> Mapping[str, Any]:
    """What a victim may have, and of which type that is."""
    parameters = inspect.signature(Victim.make).parameters.keys() - {"agent"}
    types = get_type_hints(Victim.make)
    return {"level": _Lived, **{name: types[name] for name in types if name in parameters}}


def _world(file: TomlFile) -> WorldConfig:
    table = file.table(file.document, "world", ())
    file.known(table, [field.name for field in dataclasses.fields(WorldConfig)], ("world",))
    types = get_type_hints(WorldConfig)
    chosen: dict[str, Any] = {}
    for name, value in table.items():
        try:
            chosen[name] = value_of(name, value) if isinstance(value, str) else value
        except UsageError as error:
            raise file.wrong(("world", name), error.message) from error
        if not isinstance(chosen[name], Path):
            _typed(file, chosen, name, types[name], ("world",))
    try:
        return WorldConfig(**chosen)
    except UsageError as error:
        named = next((name for name in chosen if error.message.startswith(f"{name}=")), None)
        raise file.wrong(("world", named) if named else ("world",), error.message) from error


def _victims(file: TomlFile) -> dict[str, Mapping[str, Any]]:
    table = file.table(file.document, "victims", ())
    found = {}
    for name in table:
        options = file.table(table, name, ("victims",))
        _table(file, options, victim_types(), ("victims", name))
        found[name] = options
    return found


def _step(
    file: TomlFile,
    step: Mapping[str, Any],
    where: Where,
    victims: Mapping[str, Mapping[str, Any]],
    faults: dict[str, Fault],
) -> None:
    named = [name for name in STEPS if name in step]
    if len(named) != 1:
        raise file.wrong(where, f"must do one thing: {', '.join(STEPS)}")
    kind = named[0]
    _table(file, step, {kind: DONE[kind], **STEPS[kind]}, where)
    _victim_named(
        file, step, where, victims, needed=kind == "touch" or (kind == "inject" and "address" not in step)
    )
    if kind == "inject":
        _one_of(file, step, "inject", FAULTS, where)
        _one_of(file, step, "severity", [one.name.lower() for one in Severity], where)
        name = name_of(step, faults)
        if name in faults:
            raise file.wrong((*where, "name"), f"{name!r} is the name of a fault before it")
        severity = Severity[step.get("severity", "recoverable").upper()]
        faults[name] = FAULTS[step["inject"]](HostPhysical(step.get("address", 0)), severity)
    if kind in ("until", "run") and "level" not in step:
        raise file.wrong(where, "needs `level`: L1 or L2")
    if kind == "run" and not step["run"]:
        raise file.wrong((*where, "run"), 'is no command: ["uname", "-a"]')


def name_of(step: Mapping[str, Any], before: Collection[str]) -> str:
    """What a fault is called: as its step says, or by its number."""
    return str(step.get("name", f"fault-{len(before) + 1}"))


def _owed(
    file: TomlFile,
    one: Mapping[str, Any],
    where: Where,
    victims: Mapping[str, Mapping[str, Any]],
    faults: Mapping[str, Fault],
) -> None:
    if "chain" not in one:
        for name in ("name", "level", "witness", "kind"):
            if name not in one:
                raise file.wrong(where, f"needs `{name}`, or `chain`")
        _table(file, one, EVENT, where)
        _victim_named(file, one, where, victims, needed=False)
        return
    _one_of(file, one, "chain", owed.chains(), where)
    chain = one["chain"]
    parameters = inspect.signature(owed.chains()[chain]).parameters
    given = {"chain": str, "victim": str, "offset": int, "fault": str, **owed.types_of(chain)}
    _table(file, one, {name: given[name] for name in ("chain", *owed.keys_of(parameters))}, where)
    needed = owed.needs_victim(parameters)
    _victim_named(file, one, where, victims, needed=needed)
    whose = victims[one.get("victim", next(iter(victims)))] if needed else {}
    if owed.needs_page(parameters) and whose.get("level", "L2") == "L1":
        raise file.wrong(where, f"{chain} speaks of a page of the guest, and the victim is of L1")
    _fault_named(file, one, where, parameters, faults)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in (*owed.GIVEN, *one):
            raise file.wrong(where, f"{chain} needs `{name}`")


def _fault_named(
    file: TomlFile,
    one: Mapping[str, Any],
    where: Where,
    parameters: Collection[str],
    faults: Mapping[str, Fault],
) -> None:
    _one_of(file, one, "fault", faults, where)
    if not owed.needs_fault(parameters):
        return
    if not faults:
        raise file.wrong(where, "speaks of a fault, and there is none: inject = …")
    if "fault" not in one and len(faults) > 1:
        raise file.wrong(where, f"needs `fault`: {', '.join(faults)}")
    fault = _fault_of(one, faults)
    if owed.types_of(one["chain"]).get("record") is MemoryRecord and not isinstance(fault, MemoryRecord):
        raise file.wrong(where, f"{one['chain']} speaks of a firmware record, and the fault is none")


def _names(file: TomlFile, expected: Sequence[Mapping[str, Any]], faults: Mapping[str, Fault]) -> None:
    """That each event is expected once, and comes after others that are expected."""
    found: set[str] = set()
    needed = False
    for number, one in enumerate(expected):
        try:
            made = owed.rehearsed(one, _fault_of(one, faults))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise file.wrong(("expect", number), f"cannot be made of these values: {error}") from error
        needed = needed or not all(expectation.optional for expectation in made)
        for name in (expectation.name for expectation in made):
            if name in found:
                key = "chain" if "chain" in one else "name"
                hint = "; `again` tells them apart" if key == "chain" else ""
                raise file.wrong(("expect", number, key), f"{name!r} is expected already{hint}")
            found.add(name)
    if not needed:
        raise file.wrong(("expect", 0), "is optional, as all others are, so the scenario could not fail")
    for number, one in enumerate(expected):
        for name in one.get("after", ()):
            if name not in found:
                raise file.wrong(
                    ("expect", number, "after"), f"{name!r} is not expected{nearest(name, found)}"
                )


def _fault_of(one: Mapping[str, Any], faults: Mapping[str, Fault]) -> Fault | None:
    return faults.get(one.get("fault", next(iter(faults), "")))


def _victim_named(
    file: TomlFile, table: Mapping[str, Any], where: Where, victims: Collection[str], *, needed: bool
) -> None:
    if "victim" in table:
        _one_of(file, table, "victim", victims, where)
    elif needed and len(victims) != 1:
        raise file.wrong(where, f"needs `victim`: {', '.join(victims) or 'there is none, [victims.NAME]'}")


def _table(file: TomlFile, table: Mapping[str, Any], types: Mapping[str, Any], where: Where) -> None:
    """That a table has no other keys than these, and each a value of its type."""
    file.known(table, types, where)
    for name in table:
        _typed(file, table, name, types[name], where)
        if (name in _NOT_NEGATIVE and table[name] < 0) or (name in _POSITIVE and table[name] <= 0):
            raise file.wrong((*where, name), f"{table[name]} is too little")
        if name in _SECONDS and not table[name] <= durations.MOST:  # nan is neither more nor less
            raise file.wrong((*where, name), f"{table[name]} is no number of seconds to wait for")


def _typed(file: TomlFile, table: Mapping[str, Any], name: str, hint: Any, where: Where) -> None:  # noqa: ANN401
    """That a value is of its type: one of the words, where there are such."""
    value = table[name]
    if fits(value, hint):
        return
    if isinstance(value, str) and (words := words_of(hint)):
        raise file.wrong((*where, name), f"{value!r} is not known{nearest(value, words)}")
    raise file.wrong((*where, name), f"{_shown(value)} is not {called(hint)}")


def _one_of(
    file: TomlFile, table: Mapping[str, Any], key: str, allowed: Collection[str], where: Where
) -> None:
    if key not in table:
        return
    if not isinstance(table[key], str):
        raise file.wrong((*where, key), f"{_shown(table[key])} is not a string")
    if table[key] not in allowed:
        raise file.wrong((*where, key), f"{table[key]!r} is not known{nearest(table[key], allowed)}")


def _shown(value: object) -> str:
    """A value as TOML writes it, near enough."""
    return str(value).lower() if isinstance(value, bool) else repr(value)
