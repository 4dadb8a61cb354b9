# SPDX-License-Identifier: Apache-2.0
"""Where a session is typed: IPython if it is there, else the standard library's prompt, or a script."""

from __future__ import annotations

import ast
import code
import contextlib
import importlib.util
import readline
import rlcompleter
import sys
import traceback
from pathlib import Path
from typing import Any, Final, TextIO

from seabus import folders
from seabus.errors import SeabusError, UsageError, of_system
from seabus.interactive import saved_test
from seabus.interactive.playground import Playground
from seabus.interactive.scope import BANNER
from seabus.interactive.typed import Typed
from seabus.judge.verdict import NotAsExpectedError
from seabus.report.complaint import complain

_SAVE: Final = "%save_test"
_HISTORY: Final = "shell-history"


def has_ipython() -> bool:
    """Whether the extra ``shell`` is installed."""
    return importlib.util.find_spec("IPython") is not None


def prepare() -> None:
    """Import what :func:`ipython` needs: a third of a second."""
    importlib.import_module("IPython.terminal.embed")


def play(script: TextIO, names: dict[str, Any]) -> int:
    """Run a whole script; its exit status.

    :raises SeabusError: as the script does.
    """
    text, name = script.read(), getattr(script, "name", "script")
    names["__name__"] = "__main__"  # it is what is run, and may ask
    try:
        exec(compile(text, name, "exec"), names)
    except NotAsExpectedError as error:
        print(error, file=sys.stderr)
        return 1
    except (SeabusError, SystemExit, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception:
        traceback.print_exc()
        return 2
    return 0


def ipython(names: dict[str, Any], world: Playground) -> None:
    """IPython, until Ctrl-D."""
    from IPython.terminal.embed import InteractiveShellEmbed
    from prompt_toolkit.patch_stdout import patch_stdout
    from traitlets.config import Config

    config = Config()
    config.TerminalInteractiveShell.confirm_exit = False
    config.TerminalInteractiveShell.autoawait = False
    shell: Any = InteractiveShellEmbed(config=config, banner1=BANNER, user_ns=names)  # type: ignore[no-untyped-call]
    typed = _typed(world)

    def ran(result: Any) -> None:  # noqa: ANN401 - IPython's
        if result.success and result.info.raw_cell is not None:
            # As Python: what is not is written as calls of the prompt then.
            typed.ran(shell.transform_cell(result.info.raw_cell))
        else:
            typed.failed()

    def one_line(_shell: Any, _kind: Any, error: Any, _trace: Any, tb_offset: Any = None) -> None:  # noqa: ANN401
        del tb_offset
        _tell(error)

    shell.events.register("post_run_cell", ran)
    shell.set_custom_exc((SeabusError, NotAsExpectedError), one_line)
    shell.register_magic_function(lambda line: _save(line, typed, world), magic_name="save_test")
    with patch_stdout(raw=True):
        shell()


def plain(names: dict[str, Any], world: Playground) -> None:
    """The standard library's prompt, with completion and a history."""
    history = folders.artefacts().parent / _HISTORY
    readline.set_completer(PlainCompleter(names).complete)
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError):  # there is none yet
        readline.read_history_file(history)
    try:
        _Plain(names, world).interact(banner=BANNER, exitmsg="")
    finally:
        with contextlib.suppress(OSError):  # no room: then it is forgotten
            readline.write_history_file(history)


class PlainCompleter(rlcompleter.Completer):
    """Completes names without asking the world: ``v.page`` is a translation in the guest.

    IPython infers what a property gives from its annotation.
    """

    def attr_matches(self, text: str) -> list[str]:
        first, *attributes = text.split(".")
        found = self.namespace.get(first)  # type: ignore[attr-defined]
        for attribute in attributes[:-1]:
            if isinstance(getattr(type(found), attribute, None), property):
                return []
            found = getattr(found, attribute, None)
        return super().attr_matches(text)


class _Plain(code.InteractiveConsole):
    """Knows ``%save_test``, and tells our errors in a line."""

    def __init__(self, names: dict[str, Any], world: Playground) -> None:
        super().__init__(names)
        self._world = world
        self._typed = _typed(world)
        self._failed = False

    def runsource(self, source: str, filename: str = "<input>", symbol: str = "single") -> bool:
        if source.startswith(_SAVE):
            _save(source.removeprefix(_SAVE), self._typed, self._world)
            return False
        self._failed = False
        more = super().runsource(source, filename, symbol)
        if self._failed:
            self._typed.failed()
        elif not more and _is_python(source):
            self._typed.ran(source)
        return more

    def showtraceback(self) -> None:
        self._failed = True
        error = sys.exc_info()[1]
        if isinstance(error, SeabusError | NotAsExpectedError):
            _tell(error)
        else:
            super().showtraceback()


def _typed(world: Playground) -> Typed:
    """What will be typed, and when the world begins anew meanwhile."""
    typed = Typed()
    world.on_beginning.append(typed.begin_anew)
    return typed


def _save(line: str, typed: Typed, world: Playground) -> None:
    """%save_test FILE.py: what was done since the world began, as a pytest."""
    try:
        if not line.strip():
            raise UsageError("no file is named", hint=f"{_SAVE} test_mine.py")
        path = Path(line.strip()).expanduser()
        saved_test.save(path, typed, world)
    except SeabusError as error:
        _tell(error)
    except OSError as error:
        _tell(of_system(error))
    else:
        print(f"saved; run it by: pytest {path}")


def _tell(error: BaseException) -> None:
    if isinstance(error, SeabusError):
        complain(error, sys.stderr)
    else:
        print(error, file=sys.stderr)


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
