# SPDX-License-Identifier: Apache-2.0
"""A template is kept only when a clone of it has lived."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from seabus.errors import CloneError
from seabus.images import emulator, guests
from seabus.images.store import Store
from seabus.machine.config import WorldConfig
from seabus.world import restore, template
from seabus.world.world import EmulatedWorld

pytestmark = pytest.mark.emulated


@pytest.mark.soak
def test_a_world_whose_first_clone_dies_is_frozen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refusal is planted; that the thawed world runs on, and the second clone lives, is real."""
    planted = [CloneError("planted")]
    prove = restore._prove_alive

    async def refuse_once(world: EmulatedWorld) -> None:
        if planted:
            raise planted.pop()
        await prove(world)

    monkeypatch.setattr(restore, "_prove_alive", refuse_once)
    said: list[str] = []
    store = Store()
    # A folder of our own: what pytest keeps of a test would be a gigabyte here.
    with tempfile.TemporaryDirectory() as folder:
        template.boot_once(
            WorldConfig(l1_mode="vhe"),
            emulator.get(store, say=said.append),
            guests.get(store, say=said.append),
            Path(folder),
            said.append,
        )
        assert (Path(folder) / "state").stat().st_size > 0
    assert [text for text in said if "freezing again" in text] == [
        "the first clone did not live (planted); freezing again"
    ]
