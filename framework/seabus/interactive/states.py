# SPDX-License-Identifier: Apache-2.0
"""States that a user froze by name: what has changed since the template, and who lives in it.

A clone's memory is its own where it was written to, so all of it goes into the state's file, and comes out of
it again over the template's: such a state takes some seconds to freeze, and a second or two to clone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from seabus.errors import UsageError
from seabus.guest.victim import Victim
from seabus.images.store import USERS_OWN, Say, Store
from seabus.machine.config import as_text, of_text
from seabus.world import freeze, restore, template
from seabus.world.freeze import Frozen
from seabus.world.world import EmulatedWorld

_KIND: Final = USERS_OWN
_NAME: Final = re.compile(r"[\w.-]{1,40}")
_SAVE_S: Final = 120.0
#: Requests of the life that was frozen have lower numbers, and those of the life after it higher ones.
_IDS: Final = restore.FIRST_ID


def check(name: str, world: EmulatedWorld, store: Store) -> None:
    """Whether a world can be frozen by this name; asked before anything of it is stopped.

    :raises UsageError: there is a state of this name, or the world is none that can be frozen twice.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a state's name", hint="letters, digits, dots and dashes")
    if world.config.l1_mode == "vhe":
        raise UsageError("a world in VHE mode is frozen once only", hint="docs/adr/0003-vhe-clones-leap.md")
    if store.find(_KIND, {"name": name}):
        raise UsageError(f"there is a state {name!r} already", hint="choose another name")


async def save(
    name: str, world: EmulatedWorld, frozen: Frozen, victims: Sequence[Victim], store: Store
) -> Frozen:
    """Freeze a world that :func:`check` has nothing against, and nobody follows any more; it stays stopped.

    :param frozen: what the world is a clone of.
    """
    scratch = world.artefacts / "frozen-state"
    await freeze.freeze(world, scratch, within=_SAVE_S)
    notes = {
        **frozen.notes,
        "first_id": frozen.notes.get("first_id", _IDS) + _IDS,
        "template_ram": str(frozen.ram),
        "config": as_text(world.config),
        "victims": [victim.as_json() for victim in victims],
    }

    kept = False

    def build(folder: Path) -> Mapping[str, Any]:
        nonlocal kept
        kept = True
        shutil.move(scratch, folder / "state")  # the cache may be on another disk
        return notes

    entry = store.get(_KIND, {"name": name}, build, say=lambda _: None)
    if not kept:
        raise UsageError(
            f"somebody else has frozen a state {name!r} meanwhile",
            hint=f"this world's is {scratch}, and it is stopped; rewind, and choose another name",
        )
    return Frozen(parts=frozen.parts, ram=frozen.ram, state=entry.file("state"), notes=notes)


def load(name: str, store: Store, *, artefacts: Path, say: Say) -> Frozen:
    """A state by its name.

    :raises UsageError: there is none, or the template it was made from is no more.
    """
    entry = store.find(_KIND, {"name": name})
    if entry is None:
        there = sorted(one.manifest["inputs"]["name"] for one in store.readable(_KIND))
        raise UsageError(
            f"there is no state {name!r}", hint=f"there is: {', '.join(there) or 'none'}; world.freeze(name)"
        )
    notes = entry.manifest["notes"]
    base = template.ensure(of_text(notes["config"]), store=store, artefacts=artefacts, say=say)
    if str(base.ram) != notes["template_ram"]:
        raise UsageError(f"the template that the state {name!r} lies upon is no more", hint="freeze it anew")
    return Frozen(parts=base.parts, ram=base.ram, state=entry.file("state"), notes=notes)


def is_kept(frozen: Frozen) -> bool:
    """Whether this is a state that was frozen by name."""
    return "template_ram" in frozen.notes


def victims(frozen: Frozen, world: EmulatedWorld) -> list[Victim]:
    """Those that lived in a state when it was frozen, and do again."""
    agents = {"L1": world.l1, "L2": world.l2}
    return [Victim.again(agents[told["level"]], told) for told in frozen.notes.get("victims", ())]
