# SPDX-License-Identifier: Apache-2.0
"""What a prompt offers: signatures, docstrings, and completion that asks no world. None is needed."""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter

from seabus.guest.victim import Victim
from seabus.interactive import prompt, scope
from seabus.interactive.loop import LoopThread
from seabus.interactive.playground import Playground
from seabus.interactive.prompt import PlainCompleter
from seabus.session.session import SessionVictim
from seabus.world.freeze import Frozen


class Asked:
    """A session that must not be asked anything."""

    @property
    def stage(self) -> Any:  # noqa: ANN401 - it is none
        raise AssertionError("a completion asks the guest")


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    found = scope.names(Playground(cast(LoopThread, None), cast(Frozen, None), tmp_path))
    return {**found, "v": SessionVictim(cast(Any, Asked()), cast(Any, None))}


def test_a_victims_parameters_are_shown(names: dict[str, Any]) -> None:
    ours = dict(inspect.signature(names["victim"]).parameters)
    assert ours.pop("level").default == "L2"
    theirs = dict(inspect.signature(Victim.make).parameters)
    del theirs["agent"]
    assert {name: one.default for name, one in ours.items()} == {
        name: one.default for name, one in theirs.items()
    }
    for name in ours:
        assert f":param {name}:" in names["victim"].__doc__


@pytest.mark.parametrize("name", ["victim", "inject", "expect", "decode"])
def test_words_say_what_they_are(names: dict[str, Any], name: str) -> None:
    assert names[name].__name__ == name
    assert len(names[name].__doc__) > 20


def test_completion_asks_no_world(names: dict[str, Any]) -> None:
    magics = SimpleNamespace(lsmagic=lambda: {"line": {}, "cell": {}}, auto_magic=True)
    shell = SimpleNamespace(magics_manager=magics, alias_manager=None, user_ns=names)
    completer: Any = IPCompleter(namespace=names)  # type: ignore[no-untyped-call]
    completer.shell = shell
    with provisionalcompleter():
        found = [one.text for one in completer.completions("v.page.st", 9)]
    assert found == ["steps"]
    plain = PlainCompleter(names)
    assert plain.complete("v.page.", 0) is None
    assert plain.complete("v.tou", 0) == "v.touch("
    assert plain.complete("chains.ho", 0) == "chains.host"


def test_a_script_knows_that_it_is_run(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    text = "def main():\n    print('ran', decode.__name__)\n\nif __name__ == '__main__':\n    main()\n"
    assert prompt.play(io.StringIO(text), names) == 0
    assert capsys.readouterr().out == "ran decode\n"
