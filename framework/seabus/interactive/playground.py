# SPDX-License-Identifier: Apache-2.0
"""The world of an interactive session: it can be rewound, and every victim made in it has a number."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seabus.errors import HostError, SeabusError, UsageError
from seabus.images.store import Store
from seabus.interactive import states
from seabus.interactive.head_start import HeadStart
from seabus.interactive.loop import LoopThread
from seabus.world import restore
from seabus.world.freeze import Frozen
from seabus.world.world import EmulatedWorld

if TYPE_CHECKING:
    from seabus.arch.addresses import GuestPhysical, HostPhysical
    from seabus.guest.touch import MceKill
    from seabus.guest.victim import Disposition
    from seabus.guest.victim import Kind as VictimKind
    from seabus.observe.events import Event, Level
    from seabus.session.session import Session, SessionVictim

_GONE: Final = "this world is gone, world.rewind() makes another"

OnEvent = Callable[["Playground | None", "Event"], None]


class Playground:
    """A session that begins anew whenever it is told to. Whatever a :class:`Session` has, it has.

    :param frozen: the state that it begins in.
    :param artefacts: gets a folder for each beginning.
    """

    def __init__(self, loop: LoopThread, frozen: Frozen, artefacts: Path) -> None:
        self.loop = loop
        self._frozen = frozen
        self._artefacts = artefacts
        self._beginnings = 0
        self._open = contextlib.ExitStack()
        self._coming: HeadStart[EmulatedWorld] | None = None
        self._session: Session | None = None
        #: Called whenever the world begins anew.
        self.on_beginning: list[Callable[[], None]] = []
        #: Called in the loop's thread with each event, as it happens.
        self.on_event: list[OnEvent] = []
        #: Opens what belongs to one world, such as the socket that others attach to.
        self.beside: list[Callable[[Playground], contextlib.AbstractContextManager[None]]] = []
        self.victims: list[SessionVictim] = []

    @contextlib.contextmanager
    def coming(self) -> Iterator[Playground]:
        """A world is made while the body runs, which :meth:`arrives` waits for; it ends with the body."""
        self._start()
        try:
            yield self
        finally:
            self._open.close()
            if self._coming is not None:
                self.loop.run(self._coming.abandon())

    @contextlib.contextmanager
    def living(self) -> Iterator[Playground]:
        """There is a world while the body runs."""
        with self.coming():
            self.arrives()
            yield self

    @property
    def session(self) -> Session:
        """Of the world that lives now."""
        if self._session is None:
            raise UsageError("there is no world", hint="world.rewind()")
        return self._session

    @property
    def emulated(self) -> EmulatedWorld:
        """The world itself, with its channels."""
        world = self.session.world
        assert isinstance(world, EmulatedWorld)
        return world

    @property
    def run_folder(self) -> Path:
        """Of the world that lives now."""
        return self.emulated.run_folder

    @property
    def is_from_kept_state(self) -> bool:
        """Whether the world began in a state that was frozen by name, and not in its template's."""
        return states.is_kept(self._frozen)

    def rewind(self) -> None:
        """Go back to the ready state: this world ends, and another clone of the same state begins.

        Victims, files and poison of the world before are gone.
        """
        self._open.close()
        self._start()
        self.arrives()

    def freeze(self, name: str) -> None:
        """Keep this state by a name, and go on from it; so can others: ``seabus shell --from NAME``.

        Victims live on, as ``world.victims``; the story begins anew. It takes some seconds.

        :raises UsageError: not by this name, or not this world; it goes on as it was.
        :raises SeabusError: it could not be written, and this world is gone: :meth:`rewind`.
        """
        world, lived, store = self.emulated, [one.victim for one in self.victims], Store()
        states.check(name, world, store)
        with self._gone_if_it_fails():
            self.loop.run(self.session.stage.rest())
            self._frozen = self.loop.run(states.save(name, world, self._frozen, lived, store))
        self.rewind()

    @contextlib.contextmanager
    def _gone_if_it_fails(self) -> Iterator[None]:
        """A world that stands still, or that nobody watches, is none to go on with."""
        try:
            yield
        except BaseException as error:
            self._open.close()
            if isinstance(error, OSError):
                raise HostError(f"the state cannot be written: {error}", hint=_GONE) from error
            if isinstance(error, SeabusError):
                error.hint = f"{error.hint}; {_GONE}"
            raise

    def victim(
        self,
        *,
        kind: VictimKind = "anon",
        pages: int = 1,
        level: Level = "L2",
        page_size: int | None = None,
        shared: bool | None = None,
        writable: bool | None = None,
        locked: bool = False,
        dirty: bool = False,
        path: str | None = None,
        physical: GuestPhysical | HostPhysical | None = None,
        threads: int = 1,
        cpu: int | None = None,
        disposition: Disposition = "handle",
        mce_kill: MceKill | None = None,
    ) -> SessionVictim:
        """A process that owns memory: ``victim()``, ``victim(kind="memfd", pages=2, level="L1")``.

        What a kind does not take is ignored.

        :param kind: what its memory is: anon, shmem, memfd, file, thp, hugetlb, …
        :param pages: pages of the kind's size.
        :param level: L2, the guest, or L1, beside the VMM.
        :param page_size: of ``hugetlb`` and ``memfd``, in bytes; they must have been reserved.
        :param shared: MAP_SHARED rather than MAP_PRIVATE, where there is a choice.
        :param writable: whether it may be written to, where there is a choice.
        :param locked: mlock(2) it.
        :param dirty: of ``file``: written through the mapping, rather than read back.
        :param path: of ``file`` and ``code-file``: made or overwritten, and kept. Without, one in /tmp.
        :param physical: of ``physical``, the address in its own machine.
        :param threads: how many it has.
        :param cpu: the only CPU its threads may run on.
        :param disposition: of SIGBUS.
        :param mce_kill: PR_MCE_KILL of all its threads.
        :raises AgentError: its machine cannot have it; ``errno`` says why.
        """
        made = self.session.victim(
            level=level,
            kind=kind,
            pages=pages,
            page_size=page_size,
            shared=shared,
            writable=writable,
            locked=locked,
            dirty=dirty,
            path=path,
            physical=physical,
            threads=threads,
            cpu=cpu,
            disposition=disposition,
            mce_kill=mce_kill,
        )
        self.victims.append(made)
        return made

    def _start(self) -> None:
        """Have a clone made."""
        self._session = None
        for listener in self.on_beginning:
            listener()
        self.victims.clear()
        self._beginnings += 1
        folder = self._artefacts / f"{self._beginnings:03}"
        folder.mkdir()
        opening = restore.cloned(self._frozen, artefacts=folder, purpose="shell", freezable=True)
        self._coming = HeadStart(self.loop, opening)

    def arrives(self) -> None:
        """Wait for the world that is coming, and watch it."""
        # A fifth of a second of imports, in which the emulator starts.
        from seabus.session.session import Session, SessionVictim

        assert self._coming is not None, "one world at a time"
        opening, self._coming = self._coming, None
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(Session.over(opening, runner=self.loop))
            session.stage.recorder.listeners.append(self._tell)
            self._session = session
            lived = states.victims(self._frozen, self.emulated)
            self.victims += [SessionVictim(session, one) for one in lived]
            stack.callback(setattr, self, "_session", None)
            for beside in self.beside:
                stack.enter_context(beside(self))
            self._open = stack.pop_all()

    def _tell(self, event: Event) -> None:
        for listener in self.on_event:
            listener(self, event)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the session has
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.session, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(dir(self._session) if self._session else ())})

    def __repr__(self) -> str:
        if self._session is None:
            return "no world"
        config = self.session.config
        return (
            f"a world with {len(self.victims)} victims, {len(self.session.story.events)} events;"
            f" L1: {config.l1_cpus} CPUs, {config.l1_mode}; L2: {config.l2_cpus} CPUs, {config.l2_backing};"
            f" artefacts in {self.session.world.artefacts}"
        )
