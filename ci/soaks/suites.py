# SPDX-License-Identifier: Apache-2.0
"""The same tests on the same machine: their verdicts do not depend on the day."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as xml
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from soaks.row import Row, Trial
from soaks.victims import PYTEST, ended, scene
from soaks.worlds import a_template

#: All of the catalogue.
SUITE = "testcases"
_WITHIN_S: Final = 3600.0


@contextlib.asynccontextmanager
async def _first_verdicts(folder: Path) -> AsyncIterator[dict[str, str]]:
    """What the first trial that ended found, to which the others are held."""
    async with a_template(folder):
        yield {}


async def _again(trial: Trial) -> str:
    """The suite, by two workers."""
    junit = trial.folder / "junit.xml"
    with scene(trial.folder) as stage:
        words = ("-n", "2", "--dist", "worksteal", f"--junit-xml={junit}", SUITE)
        process = await stage.start(*PYTEST, *words)
        code = await ended(process, within=_WITHIN_S)
        if code not in (0, 1) or not junit.exists():
            return f"exit status {code}: {stage.said()[-800:]}"
        verdicts = _verdicts(junit)
        if not trial.shared:
            trial.shared.update(verdicts)
        first: dict[str, str] = trial.shared
        if other := [
            f"{name} was {first.get(name, 'not run')} and is {verdicts.get(name, 'not run')}"
            for name in sorted(first.keys() | verdicts.keys())
            if first.get(name) != verdicts.get(name)
        ]:
            return "; ".join(other)
        bad = sorted(name for name, verdict in verdicts.items() if verdict not in ("pass", "skipped"))
        return ", ".join(f"{name} is {verdicts[name]}" for name in bad) or await stage.left()


def _verdicts(junit: Path) -> dict[str, str]:
    """By test; a test that ran nothing to be judged is told as pytest tells it."""
    found = {}
    for case in xml.parse(junit).getroot().iter("testcase"):
        told = {one.get("name"): str(one.get("value")) for one in case.iter("property")}
        outcome = next((kind for kind in ("error", "failure", "skipped") if case.find(kind) is not None), "")
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome or told.get("seabus_verdict", "pass")
    return found


ROWS: Final = (
    Row(
        name="suite",
        promise="the whole catalogue, run three times by two workers, ends in the same verdicts, and leaves"
        " nothing",
        each=3,
        trial=_again,
        shares=_first_verdicts,
    ),
)
