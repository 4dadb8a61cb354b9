# SPDX-License-Identifier: Apache-2.0
"""What a script expects: the chains that tests use, by their names, with what they speak of filled in."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, cast, get_type_hints

from seabus import chains as rooms
from seabus.arch.addresses import GuestPhysical, GuestVirtual, HostPhysical, VmmVirtual
from seabus.channel.agent import Agent
from seabus.faults.fault import Fault
from seabus.guest.translate import Addresses
from seabus.guest.victim import Victim
from seabus.judge.expectation import Expectation
from seabus.script.fits import typed

Chain = Callable[..., Expectation | list[Expectation]]

_FAULT: Final = ("record", "fault")
_PAGE: Final = ("addresses", "page")
_VICTIM: Final = ("victim",)
#: Parameters that the script's own victims, faults and world fill in.
GIVEN: Final = (*_FAULT, *_PAGE, *_VICTIM, "vmm_pid")
_SOMEWHERE: Final = 1 << 30


@cache
def chains() -> dict[str, Chain]:
    """Every function that gives expectations, as ``host.reports``."""
    found: dict[str, Chain] = {}
    for room in pkgutil.iter_modules(rooms.__path__):
        module = importlib.import_module(f"{rooms.__name__}.{room.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and "Expectation" in str(
                inspect.signature(function).return_annotation
            ):
                found[f"{room.name}.{name}"] = function
    return found


def keys_of(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """The keys that an expectation of these parameters may have."""
    keys = [name for name in parameters if name not in GIVEN]
    if needs_victim(parameters):
        keys += ["victim", "offset"]
    if needs_fault(parameters):
        keys.append("fault")
    return keys


def needs_victim(parameters: Iterable[str]) -> bool:
    return any(name in parameters for name in (*_PAGE, *_VICTIM))


def needs_page(parameters: Iterable[str]) -> bool:
    return any(name in parameters for name in _PAGE)


def needs_fault(parameters: Iterable[str]) -> bool:
    return any(name in parameters for name in _FAULT)


def types_of(chain: str) -> dict[str, Any]:
    """The types of a chain's parameters."""
    return {name: kind for name, kind in get_type_hints(chains()[chain]).items() if name != "return"}


def rehearsed(one: Mapping[str, Any], fault: Fault | None) -> list[Expectation]:
    """What one ``[[expect]]`` will come to, with stand-ins for what only a world has.

    Their names are those of the run; a value that a chain cannot be made of raises here what it would there.
    """
    victim = Victim(
        agent=cast(Agent, None), handle=0, pid=1, tid=1, address=GuestVirtual(_SOMEWHERE), length=4096
    )
    page = Addresses(
        guest_virtual=GuestVirtual(_SOMEWHERE),
        guest_physical=GuestPhysical(_SOMEWHERE),
        vmm_virtual=VmmVirtual(_SOMEWHERE),
        host_physical=HostPhysical(_SOMEWHERE),
    )
    return expectations(one, fault=fault, page=page, victim=victim, vmm_pid=1)


def expectations(
    one: Mapping[str, Any],
    *,
    fault: Fault | None,
    page: Addresses | None,
    victim: Victim | None,
    vmm_pid: int,
) -> list[Expectation]:
    """Of one ``[[expect]]``."""
    if "chain" not in one:
        return [_event(one, victim)]
    function = chains()[one["chain"]]
    given: dict[str, Any] = {}
    types = types_of(one["chain"])
    for name in inspect.signature(function).parameters:
        if name in _FAULT:
            given[name] = fault
        elif name in _PAGE:
            given[name] = page
        elif name in _VICTIM:
            given[name] = victim
        elif name == "vmm_pid":
            given[name] = vmm_pid
        elif name in one:
            given[name] = typed(one[name], types[name])
    found = function(**given)
    return [found] if isinstance(found, Expectation) else found


def _event(one: Mapping[str, Any], victim: Victim | None) -> Expectation:
    fields = dict(one.get("fields", {}))
    if "victim" in one and victim is not None:
        fields.setdefault("tid", victim.tid)
    return Expectation(
        name=one["name"],
        level=one["level"],
        witness=one["witness"],
        kind=one["kind"],
        fields={name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()},
        after=tuple(one.get("after", ())),
        promise=one.get("promise", ""),
        optional=one.get("optional", False),
    )
