# SPDX-License-Identifier: Apache-2.0
"""The same tests on the same machine: their verdicts do not depend on the day."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Final

from seabus.errors import MachineError
from soaks.row import Row, Trial
from soaks.victims import PYTEST, ended, scene
from soaks.worlds import a_template

#: All of the catalogue.
SUITE = "testcases"
_RUNS: Final = 3
_WITHIN_S: Final = 3600.0


async def _thrice(trial: Trial) -> str:
    """The suite, by two workers, whose order is never the same."""
    first: dict[str, str] = {}
    for number in range(_RUNS):
        folder = trial.folder / str(number)
        folder.mkdir()
        verdicts = await _verdicts(folder)
        first = first or verdicts
        if other := [
            f"{name} was {first.get(name, 'not run')} and is {verdicts.get(name, 'not run')}"
            for name in sorted(first.keys() | verdicts.keys())
            if first.get(name) != verdicts.get(name)
        ]:
            return "; ".join(other)
    trial.notes["tests each time"] += len(first)
    bad = sorted(name for name, verdict in first.items() if verdict not in _GOOD)
    return ", ".join(f"{name} is {first[name]}" for name in bad)


async def _verdicts(folder: Path) -> dict[str, str]:
    junit = folder / "junit.xml"
    with scene(folder) as stage:
        words = ("-n", "2", "--dist", "worksteal", f"--junit-xml={junit}", SUITE)
        process = await stage.start(*PYTEST, *words)
        code = await ended(process, within=_WITHIN_S)
        if code not in (0, 1) or not junit.exists():
            raise MachineError(f"pytest: exit status {code}: {stage.said()[-800:]}")
        if left := await stage.left():
            raise MachineError(left)
    return {
        f"{case.get('classname')}::{case.get('name')}": _verdict(case)
        for case in xml.parse(junit).getroot().iter("testcase")
    }


def _verdict(case: xml.Element) -> str:
    """Seabus's own, and else pytest's: a test may have had nothing to be judged."""
    told = case.find("skipped")
    if told is not None and told.get("type") == _KNOWN:
        return _KNOWN
    wrong = [kind for kind in ("error", "failure") if case.find(kind) is not None]
    ours = [one.get("value") for one in case.iter("property") if one.get("name") == "seabus_verdict"]
    if ours and not (wrong and ours[-1] == "pass"):
        return str(ours[-1])
    if wrong:
        return " and ".join(wrong)  # as its world ended, perhaps
    return str(told.get("type")) if told is not None else "pass"


#: A strict xfail names a finding: what it met, it was meant to.
_KNOWN: Final = "pytest.xfail"
#: A skip names a capability that is missing.
_GOOD: Final = ("pass", "pytest.skip", _KNOWN)

ROWS: Final = (
    Row(
        name="suite",
        promise="the whole catalogue, run three times by two workers, ends in the same verdicts each time,"
        " and leaves nothing",
        each=1,
        trial=_thrice,
        shares=a_template,
    ),
)
