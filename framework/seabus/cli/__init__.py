# SPDX-License-Identifier: Apache-2.0
"""The command line: ``seabus COMMAND``. Each command is a module with ``add_parser`` and ``main``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

import seabus
from seabus.errors import SeabusError, UsageError, of_system
from seabus.report.complaint import as_json, complain

_EPILOG = """\
exit codes: 0 pass, 1 fail (the system under test is wrong), 2 usage, 3 error (ours, the machine's or this
computer's), 4 unknown (no verdict could be reached), 128+N ended by signal N (130: Ctrl-C, 141: nobody reads
the output). A command with --json tells an error as an object, too: {"error": {"class": …, "message": …, …}}
"""


_JSON: Final = "--json"
#: As the file of an option that wants one.
_STDOUT: Final = "-"
#: In the order of the help. Each is imported when it is needed: all of them take the better part of a second.
_COMMANDS: Final = {
    "run": "run",
    "matrix": "matrix",
    "catalogue": "catalogue",
    "decode": "decode",
    "encode": "encode",
    "image": "image",
    "doctor": "doctor",
    "lab": "lab",
    "report": "report",
    "diff": "diff",
    "replay": "replay",
    "shell": "shell",
    "tui": "tui",
    "up": "up",
    "ps": "ps",
    "stop": "stop",
    "watch": "watch",
    "touch": "touch",
    "inject": "inject",
    "exec": "execute",
    "qmp": "qmp",
    "console": "console",
}


_ENDED_BY_SIGNAL: Final = 128


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option the way every other mistake of the caller is reported."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message, hint=f"{self.prog} --help")


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, also used to generate the reference.

    :param only: the one command that is meant, if that is known.
    """
    top = _Parser(
        prog="seabus",
        description="Fault injection for arm64 RAS: follow one memory error through host, VMM and guest.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"seabus {seabus.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        if only in (None, name):
            importlib.import_module(f"{__name__}.{module}").add_parser(commands)
    return top


class _Ending:
    """SIGTERM and SIGHUP, turned into SIGINT: asyncio unwinds that one in good order.

    A script's shell starts what ends with ``&`` with SIGINT ignored; nothing would end such a run.
    """

    def __init__(self) -> None:
        self.number = int(signal.SIGINT)
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.number = number
        signal.raise_signal(signal.SIGINT)


def script() -> NoReturn:
    """The program ``seabus``: :func:`main`, and its exit status.

    A KeyboardInterrupt that passes through an ``eval`` of the standard library, as one during our imports
    may, makes Python end by SIGINT in the end, whatever was made of it: so an interrupted run exits itself.
    """
    code = main()
    if code > _ENDED_BY_SIGNAL:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; every foreseeable problem becomes one line, a hint and an exit code."""
    _open_what_is_closed()
    try:
        code = _main(list(sys.argv[1:] if argv is None else argv))
        # What waits in a buffer is written here, where it can be told that nobody reads it.
        sys.stdout.flush()
    except BrokenPipeError:
        _write_nothing_more()
        return _ENDED_BY_SIGNAL + signal.SIGPIPE
    except OSError as error:  # what was to be said cannot be written; that is said where it can be
        told = of_system(error)
        with contextlib.suppress(OSError):
            complain(told, sys.stderr)
            sys.stderr.flush()
        _write_nothing_more()
        return told.exit_code
    return code


def _main(words: list[str]) -> int:
    ending = _Ending()
    arguments: argparse.Namespace | None = None
    try:
        arguments = parser(words[0] if words and words[0] in _COMMANDS else None).parse_args(words)
        code: int = arguments.main(arguments)
    except SeabusError as error:
        return _complain(error, as_object=_wants_object(words, arguments))
    except KeyboardInterrupt:
        print("seabus: interrupted; everything it had started is gone", file=sys.stderr)
        return _ENDED_BY_SIGNAL + ending.number
    except BrokenPipeError:
        raise
    except OSError as error:
        return _complain(of_system(error), as_object=_wants_object(words, arguments))
    except Exception as error:
        if advice := getattr(error, "advice", ""):  # of the public errors that are no SeabusError
            told = SeabusError(str(error), hint=str(advice))
            _complain(told, as_object=_wants_object(words, arguments))
            return int(getattr(error, "exit_code", told.exit_code))
        # Exit code 1 means `fail`: a mistake of ours must never look like one.
        traceback.print_exc()
        print(f"seabus: internal error, please report it: {error!r}", file=sys.stderr)
        return 3
    return code


def _wants_object(words: list[str], arguments: argparse.Namespace | None) -> bool:
    """Whether one is read from standard output, and a command has not written its own there.

    A wrong option is found before it is known what the others mean.
    """
    return _JSON in words if arguments is None else getattr(arguments, "json", None) in (True, _STDOUT)


def _complain(error: SeabusError, *, as_object: bool) -> int:
    """For people on standard error, and for who reads objects in place of the one that was asked for."""
    complain(error, sys.stderr)
    if as_object:
        print(json.dumps({"error": as_json(error)}, default=str))
    return error.exit_code


def _open_what_is_closed() -> None:
    """A standard stream that our caller closed (``>&-``) is nobody's, not the next file that is opened."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            stream = open(number, mode, closefd=False)  # noqa: SIM115 - as long as we live
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)  # libraries look there


def _write_nothing_more() -> None:
    """Nobody reads; neither do the last words in the buffers find anybody when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a test's has no descriptor
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
