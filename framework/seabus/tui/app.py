# SPDX-License-Identifier: Apache-2.0
"""The screen: a column for each level, the victim's page through the address spaces, and what was done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Footer, RichLog, Static

from seabus.errors import SeabusError
from seabus.interactive import live
from seabus.interactive.playground import Playground
from seabus.machine.console import printable
from seabus.observe.events import Event
from seabus.tui.deeds import Deeds

_TITLES: Final = {"L0": "L0  emulator, firmware", "L1": "L1  host, VMM", "L2": "L2  guest, victim"}
#: For anything that another thread may be asked to do at once.
_ONE_AT_A_TIME: Final = "deed"


@dataclass
class Happened(Message):
    """Something to be told in a level's column."""

    level: str
    text: Text


@dataclass
class Done(Message):
    """A deed is done, or went wrong."""

    said: str
    wrong: bool


class Column(RichLog):
    """What happened at a level; its lines are broken anew whenever the column gets another width."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's
        super().__init__(id=id, wrap=True, markup=False, min_width=0)
        self._told: list[Text] = []
        self._broken_at = 0

    def tell(self, text: Text) -> None:
        """One thing more."""
        self._told.append(text)
        self.write(text)

    def forget(self) -> None:
        """A new world begins."""
        self._told.clear()
        self.clear()

    def on_resize(self, event: Resize) -> None:
        """Besides what the log itself does then."""
        if event.size.width != self._broken_at:
            self._broken_at = event.size.width
            self.clear()
            for text in self._told:
                self.write(text)


class Screen(App[None]):
    """Shows a session, and lets it go on by keys."""

    TITLE = "seabus"
    CSS = """
    #levels { height: 1fr; }
    RichLog { border: round $primary; width: 1fr; padding: 0 1; }
    #L0 { width: 22%; border: round magenta; }
    #L1 { border: round cyan; }
    #L2 { border: round green; }
    DataTable { height: 8; border: round $primary; }
    #said { height: auto; min-height: 1; max-height: 6; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("v", "victim", "new victim"),
        ("i", "inject", "inject"),
        ("t", "touch('read')", "read"),
        ("w", "touch('write')", "write"),
        ("r", "rewind", "rewind"),
        ("q", "quit", "quit"),
    ]

    def __init__(self, deeds: Deeds) -> None:
        super().__init__()
        self._deeds = deeds
        #: Whether a deed is under way; its keys wait until it is done.
        self.busy = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="levels"):
            for level, title in _TITLES.items():
                log = Column(id=level)
                log.border_title = title
                yield log
        table: DataTable[str] = DataTable(id="map", cursor_type="none")
        table.border_title = "one page, four names"
        yield table
        yield Static("v makes a process of the guest that owns a page; i breaks it; t reads it", id="said")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(DataTable).add_columns("address space", "address", "found by")
        self._deeds.watch(self._happened)

    def action_victim(self) -> None:
        self._do(self._deeds.new_victim)

    def action_inject(self) -> None:
        self._do(self._deeds.inject)

    def action_touch(self, op: str) -> None:
        self._do(lambda: self._deeds.touch(op))

    def action_rewind(self) -> None:
        if self._do(self._deeds.rewind):
            for log in self.query(Column):
                log.forget()

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Tell the person something, in place of what was told before."""
        self.query_one("#said", Static).update(Text(printable(text), style="bold red" if wrong else ""))

    def _do(self, deed: Callable[[], str]) -> bool:
        """Whether it is begun."""
        if self.busy:
            self.say("not yet: what was asked for before is under way", wrong=True)
            return False
        self.busy = True
        self.say("…")
        self._work(deed)
        return True

    @work(thread=True, group=_ONE_AT_A_TIME)
    def _work(self, deed: Callable[[], str]) -> None:
        try:
            said, wrong = deed(), False
        except SeabusError as error:
            said, wrong = f"{error.message}\ntry: {error.hint}" if error.hint else error.message, True
        except Exception as error:  # a mistake of ours must not take a world away that somebody looks at
            said, wrong = f"internal error, please report it: {error!r}", True
        self._send(Done(said, wrong))

    @on(Done)
    def _done(self, done: Done) -> None:
        self.busy = False
        self.say(done.said, wrong=done.wrong)
        table = self.query_one(DataTable)
        table.clear()
        for step in self._deeds.memory_map():
            table.add_row(*step)

    def _happened(self, _: Playground | None, event: Event) -> None:
        """In the thread of the world's loop, which waits for nobody here."""
        text = live.line(event)
        if text is not None:
            self._send(Happened(event.level, text))

    @on(Happened)
    def _show(self, happened: Happened) -> None:
        self.query_one(f"#{happened.level}", Column).tell(happened.text)

    def _send(self, message: Message) -> None:
        """From any thread; once the screen is closed nobody is told any more."""
        with contextlib.suppress(RuntimeError):
            if self.is_running:
                self.post_message(message)
