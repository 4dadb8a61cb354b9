# SPDX-License-Identifier: Apache-2.0
"""``seabus exec LEVEL -- COMMAND``: run a command in the host or the guest of a running world."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from typing import Any, Final

from seabus.attach import client
from seabus.cli import attached
from seabus.errors import UsageError

_OPTIONS: Final = {"--json": "json", "-i": "stdin", "--stdin": "stdin"}


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's sub-parser action is private
    parser = attached.add_parser(
        commands,
        "exec",
        help="run a command in a running world",
        description="Run a command in L1 or L2 of a running world; the exit status is the command's. Its"
        " standard input is empty, unless -i says otherwise. Ctrl-C ends it there, too.",
    )
    parser.add_argument(
        "-i",
        "--stdin",
        action="store_true",
        help="read standard input to its end, and give it to the command",
    )
    parser.add_argument("--json", action="store_true", help="exit, signal, stdout and stderr as one object")
    parser.add_argument("level", choices=("l1", "l2"), type=str.lower)
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND", help="and its arguments")
    parser.set_defaults(main=main)


def main(arguments: argparse.Namespace) -> int:
    argv = _command(arguments)
    if not argv:
        raise UsageError("no command is named", hint="seabus exec l1 -- uname -a")
    stdin = base64.b64encode(sys.stdin.buffer.read()).decode() if arguments.stdin else None
    found = client.ask(attached.world(arguments), "exec", level=arguments.level, argv=argv, stdin=stdin)
    out, err = (base64.b64decode(found.pop(name)) for name in ("stdout", "stderr"))
    if arguments.json:
        text = {
            "stdout": out.decode(errors="backslashreplace"),
            "stderr": err.decode(errors="backslashreplace"),
        }
        print(json.dumps({**found, **text}, indent=1))
    else:
        sys.stdout.buffer.write(out)
        sys.stdout.buffer.flush()
        sys.stderr.buffer.write(err)
    return int(found["exit"]) if found["signal"] is None else 128 + int(found["signal"])


def _command(arguments: argparse.Namespace) -> list[str]:
    """What is to be run; our own options may stand between the level and it, as people write them."""
    words: list[str] = list(arguments.argv)
    while words and words[0] in _OPTIONS:
        setattr(arguments, _OPTIONS[words.pop(0)], True)
    if words[:1] == ["--"]:
        return words[1:]
    if words and words[0].startswith("-"):
        raise UsageError(
            f"there is no option {words[0]}", hint="a command follows --: seabus exec l1 -- uname -a"
        )
    return words
