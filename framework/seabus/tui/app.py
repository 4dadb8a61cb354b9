# SPDX-License-Identifier: Apache-2.0
"""The screen: a column for each level, the victim's page through the address spaces, and what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
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
                log = RichLog(id=level, wrap=True, markup=False)
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
        for log in self.query(RichLog):
            log.clear()
        self._do(self._deeds.rewind)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Tell the person something, in place of what was told before."""
        self.query_one("#said", Static).update(Text(printable(text), style="bold red" if wrong else ""))

    def _do(self, deed: Callable[[], str]) -> None:
        if not self.busy:
            self.busy = True
            self.say("…")
            self._work(deed)

    @work(thread=True, group=_ONE_AT_A_TIME)
    def _work(self, deed: Callable[[], str]) -> None:
        try:
            said, wrong = deed(), False
        except SeabusError as error:
            said, wrong = f"{error.message}\ntry: {error.hint}" if error.hint else error.message, True
        self.call_from_thread(self._done, said, wrong)

    def _done(self, said: str, wrong: bool) -> None:
        self.busy = False
        self.say(said, wrong=wrong)
        table = self.query_one(DataTable)
        table.clear()
        for step in self._deeds.memory_map():
            table.add_row(*step)

    def _happened(self, _: Playground | None, event: Event) -> None:
        """In the thread of the world's loop."""
        text = live.line(event)
        if text is not None and self.is_running:
            self.call_from_thread(self.query_one(f"#{event.level}", RichLog).write, text)
