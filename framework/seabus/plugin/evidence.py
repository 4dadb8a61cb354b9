# SPDX-License-Identifier: Apache-2.0
"""The folder that keeps a test's evidence, and the result file in it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from seabus.catalogue.scenario import MARKER
from seabus.errors import SeabusError, of_system
from seabus.judge.verdict import Verdict

if TYPE_CHECKING:
    from seabus.machine.config import WorldConfig
    from seabus.session.session import Session

_T = TypeVar("_T")
#: Properties of a test, in JUnit too: its verdict, and where its evidence lies.
VERDICT: Final = "seabus_verdict"
ARTEFACTS: Final = "seabus_artefacts"
#: Of a scenario: what it is about.
TITLE: Final = "seabus_title"
#: Where a test's session is found again when its outcome is reported, and what its world is made of.
SESSION: Final[pytest.StashKey[Session]] = pytest.StashKey()
VERSIONS: Final = pytest.StashKey[dict[str, str]]()
CONFIGURATION: Final[pytest.StashKey[WorldConfig]] = pytest.StashKey()
FOLDER: Final = pytest.StashKey[Path]()
STARTED: Final = pytest.StashKey[float]()
FAILED: Final = pytest.StashKey[bool]()
#: The lab host that a test, or the world of its module, was moved from, and why.
MOVED: Final = pytest.StashKey[tuple[str, str]]()
#: In each folder: whose it is.
_OWNER: Final = "test.txt"
RESULT: Final = "result.json"


def session_of(item: pytest.Item) -> Session | None:
    """The session of a test: its own, or the one that it shares with its module."""
    return found(item, SESSION)


def folder_of(item: pytest.Item) -> Path | None:
    """The folder with a test's evidence: its own, or its module's."""
    return found(item, FOLDER)


def moved(item: pytest.Item) -> tuple[str, str] | None:
    """The lab host that a test was moved from, and why."""
    return found(item, MOVED)


def found(node: pytest.Item | pytest.Collector, key: pytest.StashKey[_T]) -> _T | None:
    """What is noted of a test's own world, or of the one that it shares with its module."""
    noted = node.stash.get(key, None)
    module = node.getparent(pytest.Module)
    if noted is None and module is not None and "warm_world" in getattr(node, "fixturenames", ()):
        return module.stash.get(key, None)
    return noted


def new_folder(request: pytest.FixtureRequest, temporary: pytest.TempPathFactory) -> Path:
    """A folder of the test's own, or its module's."""
    name = _name(request.node)
    chosen: Path | None = request.config.option.seabus_artefacts
    if chosen is None:
        folder = temporary.mktemp(f"seabus-{name}", numbered=True)
    else:
        folder = _numbered(chosen.absolute(), name)
    if isinstance(request.node, pytest.Item):  # a module has no result
        (folder / _OWNER).write_text(f"{request.node.nodeid}\n")
    request.node.stash[FOLDER] = folder
    request.node.stash[STARTED] = time.time()
    return folder


def unfinished(config: pytest.Config, nodeid: str) -> Path | None:
    """The folder of a test whose process did not live to tell its result."""
    chosen: Path | None = config.option.seabus_artefacts
    if chosen is None:
        # The very folder that xdist puts those of its workers into.
        root, pattern = config._tmp_path_factory.getbasetemp(), f"*/seabus-*/{_OWNER}"  # type: ignore[attr-defined]
    else:
        root, pattern = chosen.absolute(), f"*/{_OWNER}"
    for owner in root.glob(pattern):
        folder: Path = owner.parent
        if folder.is_symlink() or (folder / RESULT).exists():  # pytest links to the newest of each name
            continue
        if owner.read_text().strip() == nodeid:
            return folder
    return None


def write_result(
    item: pytest.Item, verdict: Verdict, error: BaseException | None, report: pytest.TestReport
) -> None:
    """The result file, as `seabus run` writes it.

    Tests that share a world share a folder, too: each has one of its own in there, for its result.
    """
    from seabus.plugin import circumstances
    from seabus.report import loaded, result

    folder = folder_of(item)
    if folder is None:
        return
    session = session_of(item)
    about = circumstances.of(item, folder)
    if isinstance(error, OSError):
        error = of_system(error)
    judged: Mapping[str, Any]
    if session is not None and session.outcome is not None:
        judged = result.of_outcome(session.outcome, about)
    else:
        judged = result.of_error(error if isinstance(error, SeabusError) else None, about)
    told = {
        **judged,
        "verdict": str(verdict),
        "reason": judged["reason"] if judged["verdict"] == str(verdict) else _said(error, report),
        "seconds": {**judged["seconds"], "test": report.duration},
        "test": item.nodeid,
        "outcome": report.outcome,
        "known": getattr(report, "wasxfail", None),
        "worker": os.environ.get("PYTEST_XDIST_WORKER"),
    }
    if left := moved(item):
        told["moved"] = {"from": left[0], "why": left[1]}
    place = folder if FOLDER in item.stash else _numbered(folder / loaded.SHARING, _name(item))
    (place / RESULT).write_text(json.dumps(told, indent=1, default=str) + "\n")
    circumstances.finished(place)


def scenario_of(item: pytest.Item) -> dict[str, Any] | None:
    """What a scenario says of itself."""
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        return None
    about = marker.args[0]
    return {"title": about.title, "fault": about.fault, "sources": list(about.sources)}


def _said(error: BaseException | None, report: pytest.TestReport) -> str:
    """What a test ended with, one line."""
    if error is None:
        return str(report.longrepr) if report.failed else "ended without a verdict"
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _name(node: pytest.Item | pytest.Collector) -> str:
    """Of a folder."""
    return re.sub(r"[^\w.-]+", "-", node.name)[:80].strip("-")


def _numbered(root: Path, name: str) -> Path:
    """Workers choose at the same time: making the folder is what decides."""
    root.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        folder = root / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder
