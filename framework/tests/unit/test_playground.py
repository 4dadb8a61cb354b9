# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a living world leaves either the world as it was, or a way to go on. It is faked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seabus.errors import MachineError, SeabusError, UsageError
from seabus.interactive import states
from seabus.interactive.loop import LoopThread
from seabus.interactive.playground import Playground
from seabus.world.freeze import Frozen


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
