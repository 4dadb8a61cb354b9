# SPDX-License-Identifier: Apache-2.0
"""A fault session for tests and for people: the stage without ``await``.

::

    victim = session.victim()
    record = MemoryRecord(address=victim.page.host_physical)
    session.inject(record)
    victim.touch("read")
    session.expect(host.reports(record), …)

Nothing runs between two calls but the emulator: what it says meanwhile waits in its channels.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from seabus.arch.addresses import GuestPhysical, GuestVirtual, HostPhysical
from seabus.channel.agent import Agent
from seabus.channel.interface import CommandResult
from seabus.errors import DeadlineError, MachineError, NoVerdictError, UsageError
from seabus.faults import draws
from seabus.faults.deed import Deed
from seabus.faults.fault import Fault, Receipt
from seabus.guest.blocks import Block, own_blocks
from seabus.guest.page_flags import page_flags
from seabus.guest.translate import Addresses, translate
from seabus.guest.victim import Touch, Victim
from seabus.judge.expectation import Expectation
from seabus.judge.verdict import NotAsExpectedError, Verdict
from seabus.machine.config import WorldConfig
from seabus.observe.events import Event, Kind, Level
from seabus.observe.story import Story
from seabus.patience import ANSWER, STEP
from seabus.session import bystanding, commands, life, settled, stuck
from seabus.session.bystanding import Program
from seabus.session.outcome import Outcome
from seabus.session.stage import Stage
from seabus.session.vmm import SessionVmm
from seabus.world import restore, standstill
from seabus.world.freeze import Frozen
from seabus.world.world import World

_T = TypeVar("_T")


class Runner(Protocol):
    """Who awaits for who cannot: such as :class:`asyncio.Runner`."""

    def run(self, coroutine: Coroutine[Any, Any, _T], /) -> _T:
        """The coroutine's result, or its error."""


class Session:
    """A living world with its witnesses. Made by :meth:`open`."""

    def __init__(self, runner: Runner, stage: Stage) -> None:
        self._runner = runner
        self.stage = stage
        self.host = Machine(self, stage.world.l1)
        self.guest = Machine(self, stage.world.l2)
        #: Others look at this world as well: nothing may be injected.
        self.looking_only = False
        self.vmm = SessionVmm(self)
        #: What the last :meth:`expect` came to.
        self.outcome: Outcome | None = None

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        frozen: Frozen,
        *,
        artefacts: Path,
        purpose: str,
        injecting: bool = True,
        keepable: bool = False,
        seed: int | None = None,
    ) -> Iterator[Session]:
        """Clone a world and watch it while the body runs.

        To be called in a thread that lives as long as the body: the emulator ends with it.

        :param injecting: False makes it a negative control: injections are not made.
        :param keepable: its world may be kept (:meth:`EmulatedWorld.keep`).
        :param seed: of what is left to chance; with that of an earlier session the same is drawn.
        """
        opening = restore.cloned(frozen, artefacts=artefacts, purpose=purpose, keepable=keepable)
        with cls.over(opening, injecting=injecting, seed=seed) as session:
            yield session

    @classmethod
    @contextlib.contextmanager
    def over(
        cls,
        opening: contextlib.AbstractAsyncContextManager[World],
        *,
        injecting: bool = True,
        runner: Runner | None = None,
        seed: int | None = None,
    ) -> Iterator[Session]:
        """Watch a world of any kind while the body runs.

        :param opening: gives the world, and ends it.
        :param seed: as in :meth:`open`.
        :param runner: whose loop it all runs in; by itself one that runs only while something is awaited.
        """
        with contextlib.ExitStack() as outer:
            runner = runner or outer.enter_context(asyncio.Runner())
            stack = contextlib.AsyncExitStack()
            try:
                world = runner.run(stack.enter_async_context(opening))
                staging = Stage.open(world, injecting=injecting, seed=seed)
                stage = runner.run(stack.enter_async_context(staging))
                draws.follow(stage.chance)  # the loop has a context of its own
                yield cls(runner, stage)
            finally:
                runner.run(stack.aclose())

    @property
    def world(self) -> World:
        return self.stage.world

    @property
    def config(self) -> WorldConfig:
        """What the world is made of."""
        return self.world.config

    @property
    def story(self) -> Story:
        """What has happened so far."""
        return self.stage.story()

    @property
    def seed(self) -> int:
        """From which all follows that is left to chance."""
        return self.stage.seed

    @property
    def vmm_pid(self) -> int:
        """The VMM's process in L1."""
        return self.world.vmm_pid

    def victim(self, *, level: Level = "L2", **options: Any) -> SessionVictim:  # noqa: ANN401 - Victim.make's
        """A process that owns memory, in the guest or (L1) beside the VMM."""
        return SessionVictim(self, self.run(self.stage.victim(level=level, **options)))

    def page_of(self, pid: int, address: int) -> Addresses:
        """A page of any process of the guest, in all address spaces."""
        world = self.world
        return self.run(
            translate(
                GuestVirtual(address),
                pid,
                l2=world.l2,
                l2_qmp=world.l2_qmp,
                l1=world.l1,
                vmm_pid=world.vmm_pid,
            )
        )

    def program(self, script: str) -> Program:
        """A shell script in the guest, run by QEMU's guest agent: with ``exec`` it becomes a program."""
        return self.run(Program.start(self.stage, script))

    def read_guest_log(self) -> None:
        """Let QEMU's guest agent read the guest's kernel log; the records in it are judged."""
        self.run(bystanding.read_log(self.stage))

    def inject(self, fault: Fault) -> Receipt | None:
        """Put a fault in, and return when it has landed; None in a negative control, or if its target died.

        :raises MachineError: the fault was lost: nobody reported it.
        :raises UsageError: the world is shared.
        """
        if self.looking_only:
            raise UsageError("this world is shared, and for looking only", hint="inject into a `world`")
        receipt = self.run(self.stage.inject(fault))
        dead = self.stage.is_dead("L1") or self.stage.is_dead(fault.level)
        if receipt is None and self.stage.injecting and not dead:
            self._judge(())
        return receipt

    def fault_at(self, address: HostPhysical) -> Fault:
        """The usual way to break a page of the host: a firmware record where it is emulated."""
        return self.world.fault_at(address)

    def until(
        self,
        level: Level,
        kind: Kind,
        *,
        within: float = STEP,
        **fields: Any,  # noqa: ANN401 - any field's value
    ) -> Event | None:
        """Wait for an event with these fields.

        None if it does not come (that is for the judge), or if nothing was injected.
        """
        return self.run(self.stage.until(level, kind, within=within, **fields))

    @contextlib.contextmanager
    def looping(self, *victims: SessionVictim, op: str = "read") -> Iterator[None]:
        """While the body runs all of these touch without a pause; what ends each is in the story then."""
        stack = contextlib.AsyncExitStack()
        whose = [one.victim for one in victims]
        self.run(stack.enter_async_context(self.stage.looping(whose, op=op)))
        try:
            yield
        except BaseException as error:  # what ends the body ends the loops: nobody waits for their signals
            self.run(stack.__aexit__(type(error), error, error.__traceback__))
            raise
        self.run(stack.aclose())

    def command(self, *argv: str, level: Level = "L2") -> CommandResult | None:
        """Run a command; how it ended is an event, where :meth:`Machine.run` leaves no trace."""
        return self.run(commands.run(self.stage, level, *argv))

    def command_ended(self, pid: int, *, program: str, level: Level = "L2") -> None:
        """Wait for the end of a command that goes on by itself; how it ended is an event, if it does."""
        self.run(commands.ended(self.stage, level, pid, program=program))

    def ask_vmm(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - the command's schema
        """Ask the VMM's monitor: its answer, None if it refuses or dies of it; all of that is judged."""
        return self.run(life.ask(self.stage, command, arguments))

    def migrate(self, uri: str) -> None:
        """Migrate the guest away, and let it run on here; whether it went is judged."""
        self._after_a_fault(life.migrate(self.stage, uri))

    def reset_guest(self) -> None:
        """Press the guest's reset button, and wait for its next life. Victims end with this one."""
        self._after_a_fault(life.reset(self.stage))

    def restart_vmm(self) -> None:
        """End the VMM, start another one, and wait for its guest."""
        self._after_a_fault(life.restart(self.stage))

    def look_at_frame(self, page: HostPhysical | GuestPhysical) -> None:
        """What its kernel says of a page frame; it is judged."""
        self._after_a_fault(life.look_at_frame(self.stage, page))

    def look_behind(self, page: Addresses) -> None:
        """Whether a page of the guest lies in another page frame now; it is judged."""
        self._after_a_fault(life.look_behind(self.stage, page))

    def _after_a_fault(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Not in a negative control: there would be nothing to survive, and to wait for."""
        if self.stage.injecting:
            self.run(coroutine)
        else:
            coroutine.close()

    def settle(self, seconds: float) -> None:
        """Leave the world alone for a while: what comes late is seen, and judged, as well."""
        self.run(self.stage.settle(seconds))

    def happened(self, *, like: Mapping[Level, Sequence[Kind]] | None = None) -> dict[Level, list[Kind]]:
        """The kinds of what happened at each level, in its order, once every witness has caught up.

        :param like: waits until there is as much of it; by itself until a second brings nothing new.
        """
        return self.run(settled.kinds(self.stage, like))

    def expect(self, *expectations: Expectation | Iterable[Expectation]) -> Outcome:
        """Judge: all of these events were seen once, with these values, in order, and nothing else.

        :raises NotAsExpectedError: the system under test is wrong; the outcome names each deviation.
        :raises MachineError: no fault landed.
        :raises NoVerdictError: it cannot be told.
        """
        __tracebackhide__ = True
        flat: list[Expectation] = []
        for one in expectations:
            flat.extend([one] if isinstance(one, Expectation) else one)
        return self._judge(flat)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Await something in the session's loop, for what has no method here."""
        try:
            return self._runner.run(coroutine)
        except DeadlineError as error:
            self._runner.run(standstill.blame(self.world, error))
            raise

    def _judge(self, expectations: Iterable[Expectation]) -> Outcome:
        __tracebackhide__ = True
        outcome = self.outcome = self.run(self.stage.finish(list(expectations)))
        reason = outcome.judgement.reason
        match outcome.judgement.verdict:
            case Verdict.PASS:
                return outcome
            case Verdict.FAIL:
                raise NotAsExpectedError(outcome.judgement)
            case Verdict.ERROR:
                raise MachineError(reason)
            case _:
                raise NoVerdictError(reason)


@dataclass(frozen=True)
class Machine:
    """L1 or L2, through its agent."""

    _session: Session
    agent: Agent

    def run(self, *argv: str, stdin: bytes | None = None, within: float = ANSWER) -> CommandResult:
        """Run a command to its end."""
        return self._session.run(self.agent.run(*argv, stdin=stdin, within=within))

    def read(self, path: str) -> bytes:
        """A file's content."""
        return self._session.run(self.agent.read(path))

    def write(self, path: str, data: bytes, *, append: bool = False) -> None:
        """Make or replace a file, or append to it."""
        self._session.run(self.agent.write(path, data, append=append))

    def page_flags(self, address: GuestPhysical | HostPhysical) -> frozenset[str]:
        """What its kernel says a page frame of its own is; no event."""
        return self._session.run(page_flags(self.agent, address))

    def hush(self) -> None:
        """Keep its kernel's reports off its console, where an oops takes seconds: the trace has them."""
        self.write("/proc/sys/kernel/printk", b"0")


class SessionVictim:
    """A victim of a session."""

    def __init__(self, session: Session, victim: Victim) -> None:
        self._session = session
        self.victim = victim
        self._pages: dict[int, Addresses] = {}

    @property
    def tid(self) -> int:
        return self.victim.tid

    @property
    def pid(self) -> int:
        return self.victim.pid

    @property
    def address(self) -> GuestVirtual:
        return self.victim.address

    @property
    def page(self) -> Addresses:
        """Its first page in all address spaces, as it was when first asked."""
        return self.page_at(0)

    def page_at(self, offset: int) -> Addresses:
        """The page at an offset, in all address spaces, as it was when first asked."""
        return self._pages.get(offset) or self.locate(offset)

    def host_page(self, offset: int = 0) -> HostPhysical:
        """The page of L1 at an offset of a victim of L1."""
        return self._session.run(self._session.stage.pages.of_host(self.victim, offset=offset))

    def moves(self, offset: int = 0) -> None:
        """Wait until the page lies elsewhere, if somebody moves it; that it did is an event."""
        self._session.run(self._session.stage.pages.moves(self.victim, offset=offset))

    def locate(self, offset: int = 0) -> Addresses:
        """The page at an offset as it is now; that it has moved is an event."""
        self._pages[offset] = self._session.run(self._session.stage.pages.locate(self.victim, offset=offset))
        return self._pages[offset]

    def blocks(self, size: int) -> list[Block]:
        """The aligned blocks of so many bytes of its machine's memory that are all its own."""
        return self._session.run(own_blocks(self.victim, size))

    def partner(self, **options: Any) -> SessionVictim:  # noqa: ANN401 - Victim.partner's
        """Another process that has the same memory."""
        return SessionVictim(self._session, self._session.run(self.victim.partner(**options)))

    def hear(self, count: int = 1) -> None:
        """Note the signals that it gets while it touches nothing, once there have been so many in all."""
        self._session.run(self._session.stage.hear(self.victim, count=count))

    def strike(self, op: str, **access: Any) -> Receipt | None:  # noqa: ANN401 - Victim.touch's
        """Let it do what is itself the fault; nothing in a negative control."""
        stage = self._session.stage
        return self._session.inject(
            Deed(
                level=stage.level_of(self.victim),
                op=access.get("advice", op),
                address=str(self.address + access.get("offset", 0)),
                perform=lambda: stage.perform(self.victim, op=op, **access),
            )
        )

    def gets_stuck(self, op: str, **access: Any) -> None:  # noqa: ANN401 - Victim.touch's
        """Let it touch its memory in a way from which it may never come back."""
        self._session.run(stuck.gets_stuck(self._session.stage, self.victim, op=op, **access))

    def touch(self, op: str = "read", **access: Any) -> Touch | None:  # noqa: ANN401 - Victim.touch's
        """Let it touch its memory; None if nobody is left to answer, which is in the story then."""
        return self._session.run(self._session.stage.touch(self.victim, op=op, **access))
