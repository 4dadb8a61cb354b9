# SPDX-License-Identifier: Apache-2.0
"""Under what circumstances a test runs: kept in its result, and on the disk before anything can go wrong.

A worker that is killed tells nothing any more. So the result that the test has then is written as soon as it
is known what the test's world is made of, beside where its result will be; the next process makes it the
test's result, or the test itself removes it when it has one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from seabus.errors import HostError
from seabus.plugin import evidence

if TYPE_CHECKING:
    from seabus.report.result import Circumstances

#: From which all follows that a test's session leaves to chance.
SEED: Final = pytest.StashKey[int]()
UNFINISHED: Final = "unfinished.json"
#: Seeds that a person can read out to another one.
_SEEDS: Final = 1 << 32


def add_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--seabus-seed",
        type=int,
        metavar="N",
        help="of what sessions leave to chance; that of each test is in its result [another one each time]",
    )


def seed_of(node: pytest.Item | pytest.Collector) -> int:
    """The seed of a test's world: the one that was chosen, or one that is chosen now."""
    seed = evidence.found(node, SEED)
    if seed is None:
        chosen: int | None = node.config.option.seabus_seed
        seed = node.stash[SEED] = secrets.randbelow(_SEEDS) if chosen is None else chosen
    return seed


def of(node: pytest.Item | pytest.Collector, folder: Path) -> Circumstances:
    """As far as they are known by now."""
    from seabus.report.result import Circumstances

    option = node.config.option
    versions: dict[str, str] | None = evidence.found(node, evidence.VERSIONS)
    return Circumstances(
        versions=versions or {},
        artefacts=folder,
        configuration=evidence.found(node, evidence.CONFIGURATION),
        scenario=evidence.scenario_of(node) if isinstance(node, pytest.Item) else None,
        started=evidence.found(node, evidence.STARTED) or time.time(),
        seed=seed_of(node),
        rootdir=node.config.rootpath,
        negative_control=option.seabus_negative_control,
        mutate=option.seabus_mutate,
        lab=option.seabus_lab,
    )


def note(node: pytest.Item | pytest.Collector) -> None:
    """What the test's result is if its process does not live to tell another one."""
    from seabus.report import result

    folder = node.stash.get(evidence.FOLDER, None)
    if folder is None or not isinstance(node, pytest.Item):
        return
    told = {**result.of_error(_killed(_worker()), of(node, folder)), **of_test(node.nodeid)}
    (folder / UNFINISHED).write_text(json.dumps(told, default=str))


def of_test(nodeid: str) -> dict[str, Any]:
    """The fields that only a test's result has, of one that did not end."""
    return {"test": nodeid, "outcome": "failed", "known": None, "worker": _worker()}


def finished(folder: Path) -> None:
    """The test has told its result itself."""
    (folder / UNFINISHED).unlink(missing_ok=True)


def crashed(folder: Path, nodeid: str, worker: str) -> int | None:
    """Write the result of a test whose worker was killed.

    :return: its seed, as far as that is known.
    """
    from seabus.report import result

    bare = {
        **result.of_error(_killed(worker), result.Circumstances(versions={}, artefacts=folder)),
        **of_test(nodeid),
        "worker": worker,
    }
    noted: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):  # it may have been killed as it wrote
        noted = json.loads((folder / UNFINISHED).read_text())
    (folder / evidence.RESULT).write_text(json.dumps({**bare, **noted}, indent=1, default=str) + "\n")
    finished(folder)
    seed: int | None = noted.get("seed")
    return seed


def _worker() -> str | None:
    return os.environ.get("PYTEST_XDIST_WORKER")


def _killed(worker: str | None) -> HostError:
    process = f"worker {worker}" if worker else "its process"
    return HostError(
        f"{process} was killed while it ran the test",
        hint="dmesg tells whether memory ran out; the consoles are in the folder of artefacts",
    )
