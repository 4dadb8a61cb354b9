# SPDX-License-Identifier: Apache-2.0
"""The names that an interactive session begins with: those that a test has, and a few to look with."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

from seabus.faults.fault import Fault, Receipt
from seabus.interactive import live
from seabus.interactive.playground import Playground
from seabus.judge.expectation import Expectation
from seabus.observe.story import Story
from seabus.report.console import Console
from seabus.session.outcome import Outcome
from seabus.session.session import Machine, Session

#: Where each name comes from that is not one of the test's fixtures; a saved test imports what it uses.
IMPORTS: Final = {
    "GuestPhysical": "seabus.arch.addresses",
    "HostPhysical": "seabus.arch.addresses",
    "MemoryRecord": "seabus.faults.record",
    "Severity": "seabus.arch.cper",
    "HardOffline": "seabus.faults.poison",
    "HwpoisonInject": "seabus.faults.poison",
    "SoftOffline": "seabus.faults.poison",
    "chains": "seabus",
    "decode": "seabus.interactive.decoding",
    "qemu_sea_esr": "seabus.arch.esr",
}
#: The names that tests get as fixtures.
FIXTURES: Final = ("world", "host", "guest", "victim", "inject", "expect", "story")

BANNER: Final = """\
A living world: L1 is a host with KVM, L2 its guest. Try:
    v = victim()                                    a process of the guest that owns a page
    inject(MemoryRecord(address=v.page.host_physical))      firmware reports the page behind it as bad
    v.touch("read")                                 the process reads it
    story()                                         what happened, at every level
    world.rewind()                                  as if nothing had
help(victim), world.<Tab>, decode(0x92000410), %save_test FILE.py; Ctrl-D ends the world."""


class LookedAt:
    """``story()`` as tests have it; by itself it shows what has happened."""

    def __init__(self, world: Playground) -> None:
        self._world = world

    def __call__(self) -> Story:
        """All events so far, in order of time."""
        return self._world.session.story

    def __repr__(self) -> str:
        story = self()
        told = io.StringIO()
        console = Console(file=told, width=160, highlight=False)
        for event in story.events:
            text = live.line(event)
            if text is not None:
                console.print(f"{story.time_s(event) * 1e3:9.1f} ms ", text)
        return told.getvalue().rstrip() or "nothing has happened"


class Level:
    """``host`` and ``guest``: those of the world that lives now."""

    def __init__(self, world: Playground, name: str) -> None:
        self._world = world
        self._name = name

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - Machine's
        machine: Machine = getattr(self._world.session, self._name)
        return getattr(machine, name)

    def __dir__(self) -> list[str]:
        return [name for name in dir(Machine) if not name.startswith("_")]

    def __repr__(self) -> str:
        return f'the {self._name}: {self._name}.run("uname", "-a"), .read(path), .write(path, data)'


def names(world: Playground) -> dict[str, Any]:
    """Everything in scope."""
    import importlib

    def inject(fault: Fault) -> Receipt | None:
        return world.session.inject(fault)

    def expect(*expectations: Expectation | Iterable[Expectation]) -> Outcome:
        return world.session.expect(*expectations)

    inject.__doc__, expect.__doc__ = Session.inject.__doc__, Session.expect.__doc__
    found: dict[str, Any] = {
        "world": world,
        "host": Level(world, "host"),
        "guest": Level(world, "guest"),
        "victim": world.victim,
        "inject": inject,
        "expect": expect,
        "story": LookedAt(world),
    }
    for name, module in IMPORTS.items():
        imported = importlib.import_module(module)
        if not hasattr(imported, name):
            importlib.import_module(f"{module}.{name}")
        found[name] = getattr(imported, name)
    for name in ("guest", "guest_kernel", "host", "vmm"):
        importlib.import_module(f"seabus.chains.{name}")
    return found
