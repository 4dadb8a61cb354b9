# SPDX-License-Identifier: Apache-2.0
"""The fixtures: a fresh world for each test, and what a test does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from seabus.errors import SeabusError
from seabus.plugin import circumstances, keep, lab
from seabus.plugin.evidence import CONFIGURATION, FAILED, MOVED, SESSION, VERSIONS, new_folder
from seabus.plugin.options import world_config
from seabus.report import artefacts as evidence_folder

if TYPE_CHECKING:
    from seabus.machine.config import WorldConfig
    from seabus.observe.story import Story
    from seabus.session.outcome import Outcome
    from seabus.session.session import Machine, Session, SessionVictim
    from seabus.world.freeze import Frozen
    from seabus.world.world import EmulatedWorld

_T = TypeVar("_T")


def frozen_world(config: WorldConfig, artefacts: Path) -> Frozen:
    """The template of a configuration, built if it is not there; one builder for all workers."""
    from seabus.images.store import Store
    from seabus.world import template

    return template.ensure(config, store=Store(), artefacts=artefacts, say=lambda _: None)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A nested world of the test's own, cloned in a fraction of a second, with all witnesses watching.

    What it is made of is chosen by ``@pytest.mark.seabus(l2_cpus=2)``, options and the ini file.
    """
    yield from _session(request, tmp_path_factory)


@pytest.fixture(scope="module")
def warm_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A world shared by the tests of a module, for looking only: an injection is a usage error."""
    for session in _session(request, tmp_path_factory):
        session.looking_only = True
        yield session


def _session(request: pytest.FixtureRequest, temporary: pytest.TempPathFactory) -> Iterator[Session]:
    from seabus.session.session import Session
    from seabus.world import needs

    folder = new_folder(request, temporary)
    injecting = not request.config.option.seabus_negative_control
    request.node.stash[CONFIGURATION] = world_config(request.node, request.config)
    circumstances.note(request.node)
    if request.config.option.seabus_lab is not None:
        yield from _lab_session(request, folder, injecting=injecting)
        return
    frozen = frozen_world(request.node.stash[CONFIGURATION], folder)
    # Before it is cloned: a clone that is refused is to be told as well.
    request.node.stash[VERSIONS] = dict(frozen.notes["versions"])
    circumstances.note(request.node)
    opened = Session.open(
        frozen,
        artefacts=folder,
        purpose="pytest",
        injecting=injecting,
        keepable=request.config.option.seabus_keep,
        seed=circumstances.seed_of(request.node),
    )
    with opened as session:
        request.node.stash[SESSION] = session
        wanted = [name for marker in request.node.iter_markers("seabus_needs") for name in marker.args]
        try:
            session.run(needs.require(session.world, wanted))
        except SeabusError:
            session.run(evidence_folder.keep_vmm_log(session.world))
            raise
        yield session
        _keep_vmm_log(request, session)
        keep.if_failed(request, session)


def _lab_session(request: pytest.FixtureRequest, folder: Path, *, injecting: bool) -> Iterator[Session]:
    """A guest of the test's own on this worker's lab host."""
    from seabus.world import needs

    wanted = [name for marker in request.node.iter_markers("seabus_needs") for name in marker.args]
    config = world_config(request.node, request.config)
    bench, movable = lab.bench(request.config), MOVED not in request.node.stash
    opened = bench.session(config, wanted, artefacts=folder, injecting=injecting, movable=movable)
    with opened as session:
        request.node.stash[SESSION] = session
        request.node.stash[VERSIONS] = dict(session.world.notes["versions"])
        request.node.stash[circumstances.SEED] = session.seed  # a lab's sessions choose it themselves
        lab.stand_on(request.node, session, bench.moved)
        circumstances.note(request.node)
        session.run(needs.require(session.world, [name for name in wanted if name in needs.NEEDS]))
        yield session
        _keep_vmm_log(request, session)


def _keep_vmm_log(request: pytest.FixtureRequest, session: Session) -> None:
    """Of a test that failed, and of a module: which of its tests did is not noted there."""
    wanted = request.node.stash.get(FAILED, False) or not isinstance(request.node, pytest.Item)
    if wanted and not session.stage.is_dead("L1"):
        session.run(evidence_folder.keep_vmm_log(session.world))


@pytest.fixture
def host(world: Session) -> Machine:
    """L1: commands and files."""
    return world.host


@pytest.fixture
def guest(world: Session) -> Machine:
    """L2: commands and files."""
    return world.guest


@pytest.fixture
def victim(world: Session) -> Callable[..., SessionVictim]:
    """Makes victims: ``victim(kind="anon", pages=2)``."""
    return world.victim


@pytest.fixture
def inject(world: Session) -> Callable[..., Any]:
    """Puts a fault in, and returns its receipt: ``inject(MemoryRecord(address=…))``."""
    return world.inject


@pytest.fixture
def expect(world: Session) -> Callable[..., Outcome]:
    """Judges: ``expect(host.reports(record), *host.loses_page(…))``."""
    return world.expect


@pytest.fixture
def story(world: Session) -> Callable[[], Story]:
    """What has happened so far."""
    return lambda: world.story


class Worlds:
    """Runs coroutines in fresh worlds, for those who need several, or other, worlds in one test.

    :param artefacts: the test's own folder.
    :param node: the test, to note what its latest world is made of.
    """

    def __init__(self, artefacts: Path, node: pytest.Item | None = None) -> None:
        self.artefacts = artefacts
        self._node = node

    def template(self, config: WorldConfig | None = None) -> Frozen:
        """The template of a configuration, built if it is not there."""
        from seabus.machine.config import WorldConfig as Config

        chosen = config or Config()
        if self._node is not None:
            self._node.stash[CONFIGURATION] = chosen
        frozen = frozen_world(chosen, self.artefacts)
        if self._node is not None:
            self._node.stash[VERSIONS] = dict(frozen.notes["versions"])
            circumstances.note(self._node)
        return frozen

    def run(self, play: Callable[[EmulatedWorld], Awaitable[_T]], config: WorldConfig | None = None) -> _T:
        """Clone a world, await ``play(world)`` in it, end the world; the coroutine's result."""
        from seabus.world import restore

        frozen = self.template(config)

        async def cloned() -> _T:
            async with restore.cloned(frozen, artefacts=self.artefacts, purpose="pytest") as world:
                try:
                    return await play(world)
                except Exception:
                    await evidence_folder.keep_vmm_log(world)
                    raise

        return asyncio.run(cloned())


@pytest.fixture
def seabus_worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Fresh worlds for one test, with an artefact folder of the test's own."""
    folder = new_folder(request, tmp_path_factory)
    circumstances.note(request.node)
    return Worlds(folder, request.node)
