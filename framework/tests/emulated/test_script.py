# SPDX-License-Identifier: Apache-2.0
"""The example scenarios do what they say, and fail without their faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from seabus.plugin.fixtures import Worlds
from seabus.script import play
from seabus.script.read import read

pytestmark = pytest.mark.emulated

EXAMPLES = sorted(Path(__file__).parents[3].glob("docs/examples/*.toml"))


@pytest.mark.parametrize("inject", [True, False], ids=["injected", "control"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(seabus_worlds: Worlds, path: Path, inject: bool) -> None:
    script = read(path)
    outcome = seabus_worlds.run(lambda world: play.run(script, world, inject=inject), script.world)
    assert outcome.judgement.verdict == ("pass" if inject else "fail"), outcome.judgement
