# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: a fresh nested world for each test that asks for one.

Nothing happens, and nothing heavy is imported, unless a test uses one of the fixtures. Switched off by
``-p no:seabus``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from seabus.machine.config import WorldConfig
    from seabus.world.freeze import Frozen
    from seabus.world.world import World

_T = TypeVar("_T")


class Worlds:
    """Runs coroutines in fresh worlds; what the ``seabus_worlds`` fixture gives.

    :param artefacts: the test's own folder.
    """

    def __init__(self, artefacts: Path) -> None:
        self.artefacts = artefacts

    def template(self, config: WorldConfig | None = None) -> Frozen:
        """The template of a configuration, built if it is not there; one builder for all workers."""
        from seabus.images.store import Store
        from seabus.machine.config import WorldConfig as Config
        from seabus.world import template

        return template.ensure(
            config or Config(), store=Store(), artefacts=self.artefacts, say=lambda _: None
        )

    def run(self, play: Callable[[World], Awaitable[_T]], config: WorldConfig | None = None) -> _T:
        """Clone a world, await ``play(world)`` in it, end the world; the coroutine's result."""
        from seabus.world import restore

        frozen = self.template(config)

        async def cloned() -> _T:
            async with restore.cloned(frozen, artefacts=self.artefacts, purpose="pytest") as world:
                return await play(world)

        return asyncio.run(cloned())


@pytest.fixture
def seabus_worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Fresh worlds for one test, with an artefact folder of the test's own."""
    name = re.sub(r"[^\w.-]+", "-", request.node.name)
    folder = tmp_path_factory.mktemp(f"seabus-{name}"[:80], numbered=True)
    request.node.user_properties.append(("seabus_artefacts", str(folder)))
    return Worlds(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:  # noqa: ANN401 - pytest's wrapper protocol
    """Say where the evidence of a failed test lies."""
    report = yield
    folder = dict(item.user_properties).get("seabus_artefacts")
    if folder and report.failed:
        report.sections.append(("seabus artefacts", str(folder)))
    return report
