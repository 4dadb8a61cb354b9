# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a living world leaves either the world as it was, or a way to go on. It is faked."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seabus.errors import MachineError, SeabusError, UsageError
from seabus.images.store import Store
from seabus.interactive import states
from seabus.interactive.loop import LoopThread
from seabus.interactive.playground import Playground
from seabus.machine.config import WorldConfig
from seabus.world.freeze import Frozen
from seabus.world.world import EmulatedWorld, Parts


class Fake(Playground):
    """With a world that is none."""

    ended = False

    def live(self) -> None:
        async def rest() -> None:
            pass

        self._session = cast(Any, SimpleNamespace(stage=SimpleNamespace(rest=rest)))
        self._open.callback(self._end)

    def _end(self) -> None:
        self.ended, self._session = True, None

    @property
    def emulated(self) -> Any:  # noqa: ANN401 - nobody looks at it
        return None


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), MachineError("no", hint="look")])
def test_a_state_that_cannot_be_written(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The world stands still then: it is ended, and what to do is said."""

    async def fails(*_: object) -> Frozen:
        raise failure

    monkeypatch.setattr(states, "check", lambda *_: None)
    monkeypatch.setattr(states, "save", fails)
    with LoopThread() as loop:
        world = Fake(loop, cast(Frozen, None), tmp_path)
        world.live()
        with pytest.raises(SeabusError) as told:
            world.freeze("mine")
        assert "world.rewind()" in told.value.hint
        assert world.ended
        with pytest.raises(UsageError, match="there is no world"):
            world.session.settle(1)


def test_a_name_that_is_taken_leaves_the_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def taken(*_: object) -> None:
        raise UsageError("there is a state")

    monkeypatch.setattr(states, "check", taken)
    with LoopThread() as loop:
        world = Fake(loop, cast(Frozen, None), tmp_path)
        world.live()
        with pytest.raises(UsageError, match="there is a state"):
            world.freeze("mine")
        assert not world.ended


async def frozen_as(name: str, store: Store, folder: Path) -> Frozen:
    """A world that holds b"mine" is frozen by a name."""
    world = SimpleNamespace(artefacts=folder, config=WorldConfig())
    base = Frozen(parts=cast(Parts, None), ram=folder / "ram", state=folder / "state", notes={})
    return await states.save(name, cast(EmulatedWorld, world), base, [], store)


@pytest.fixture
def frozen_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def written(_: object, place: Path, *, within: float) -> None:
        del within
        place.write_bytes(b"mine")  # noqa: ASYNC240 - four bytes

    monkeypatch.setattr("seabus.world.freeze.freeze", written)


@pytest.mark.usefixtures("frozen_there")
def test_a_state_may_go_to_another_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rename = os.rename

    def within_a_disk(source: Path, target: Path) -> None:
        if Path(source).name == "frozen-state":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", within_a_disk)
    found = asyncio.run(frozen_as("mine", Store(tmp_path), tmp_path))
    assert found.state.read_bytes() == b"mine"
    assert not (tmp_path / "frozen-state").exists()


@pytest.mark.usefixtures("frozen_there")
def test_a_state_is_never_anothers_of_the_same_name(tmp_path: Path) -> None:
    def others(folder: Path) -> dict[str, object]:
        (folder / "state").write_bytes(b"others'")
        return {}

    Store(tmp_path).get("state", {"name": "mine"}, others, say=lambda _: None)
    with pytest.raises(UsageError, match="somebody else has frozen a state 'mine' meanwhile") as told:
        asyncio.run(frozen_as("mine", Store(tmp_path), tmp_path))
    assert str(tmp_path / "frozen-state") in told.value.hint
    assert (tmp_path / "frozen-state").read_bytes() == b"mine"
