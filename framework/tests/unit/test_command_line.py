# SPDX-License-Identifier: Apache-2.0
"""What holds for every command: objects for programs, errors in them too, and an end when nobody reads."""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import seabus
from seabus import cli
from seabus.attach import client
from seabus.cli import execute, parser, up
from seabus.errors import HostError
from seabus.world.freeze import Frozen

SAMPLES = Path(__file__).parents[1] / "report" / "samples"
SEABUS = [sys.executable, "-m", "seabus"]
#: Commands that tell nothing in objects, and why.
WITHOUT_JSON = {
    "image show": "a manifest is an object already",
    "report": "its files have formats of their own, JSON lines among them",
    "shell": "for people, or a script that prints what it likes",
    "tui": "a screen",
    "console": "a person's way in",
}
#: The commands of a lab are listed with it.
LAB = "lab "


def leaves(one: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [action for action in one._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, one
    for action in below:
        for word, choice in action.choices.items():
            yield from leaves(choice, f"{name} {word}".strip())


def test_every_command_tells_objects_or_is_known_not_to() -> None:
    found = {name for name, one in leaves(parser()) if "--json" not in one.format_help()}
    assert {name for name in found if not name.startswith(LAB)} == WITHOUT_JSON.keys()


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (["stop", "--json", "no-such"], "UsageError", 2),
        (["encode", "esr", "--json", "0x40"], "UsageError", 2),
        (["decode", "cper", "--json", "/no/such"], "HostError", 3),
        (["ps", "--json", "--no-such-option"], "UsageError", 2),
    ],
)
@pytest.mark.usefixtures("runtime")
def test_an_error_is_an_object_too(
    words: list[str], error: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == code
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["class"] == error
    assert json.loads(told.out)["error"]["message"] in told.err
    assert cli.main([word for word in words if word != "--json"]) == code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [["--l2-cpus", "0"], ["--seed", "x"], ["no-such.toml"]])
@pytest.mark.usefixtures("runtime")
def test_a_run_that_cannot_begin_is_an_object_too(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--json", "-", *words]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["message"] in told.err


@pytest.mark.parametrize(
    ("words", "argv", "json_", "stdin"),
    [
        (["l1", "--", "uname", "-a"], ["uname", "-a"], False, False),
        (["l1", "uname", "--json"], ["uname", "--json"], False, False),
        (["l1", "--json", "--", "uname"], ["uname"], True, False),
        (["--json", "l1", "-i", "cat"], ["cat"], True, True),
    ],
)
def test_options_of_exec_may_follow_the_level(
    words: list[str],
    argv: list[str],
    json_: bool,
    stdin: bool,
) -> None:
    arguments = parser("exec").parse_args(["exec", *words])
    assert execute._command(arguments) == argv
    assert (arguments.json, arguments.stdin) == (json_, stdin)


@pytest.mark.usefixtures("runtime")
def test_an_option_that_exec_has_not_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["exec", "l1", "--jsn", "uname"]) == 2
    assert "there is no option --jsn" in capsys.readouterr().err


@pytest.mark.usefixtures("runtime")
def test_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> object:
        assert cli.main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert told("stop", "--all") == []
    assert told("encode", "esr", "0x24", "DFSC=0x10") == {"esr": "0x92000010"}
    cper = told("encode", "cper", "--address", "0x1000")
    assert isinstance(cper, dict)
    assert len(bytes.fromhex(cper["record"])) == cper["bytes"]
    assert told("encode", "cper", "--address", "0x1000", "-o", str(tmp_path / "r")) == {
        "file": str(tmp_path / "r"),
        "format": "binary",
        "bytes": cper["bytes"],
    }


def unread(*words: str, stderr: bool = False) -> tuple[int, str]:
    """How a command ends whose output nobody reads, and what it says of it."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*SEABUS, *words],
        stdout=write,
        stderr=write if stderr else subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    os.close(write)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.parametrize(
    "words",
    [
        ["diff", str(SAMPLES / "consumed"), str(SAMPLES / "consumed")],
        ["diff", "--json", str(SAMPLES / "consumed"), str(SAMPLES / "fatal")],
        ["catalogue"],
        ["decode", "esr", "0x92000410"],
        ["ps", "--json"],
    ],
)
def test_nobody_reads(words: list[str]) -> None:
    """As `cat`: neither the same (0) nor different (1), and no words."""
    assert unread(*words) == (141, "")


def test_nobody_reads_what_went_wrong() -> None:
    assert unread("stop", "no-such", stderr=True)[0] == 141


def test_everything_is_shown_on_our_console() -> None:
    """Rich's own ends a process with status 1, which means `fail`, where nobody reads."""
    wrong = []
    for path in Path(seabus.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = any(
            isinstance(node, ast.ImportFrom)
            and node.module == "rich.console"
            and any(name.name == "Console" for name in node.names)
            for node in ast.walk(tree)
        )
        calls = any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"
            for node in ast.walk(tree)
        )
        if imported and calls:
            wrong.append(str(path))
    assert not wrong


@pytest.mark.parametrize("folder", ["none-such", "a-file"])
def test_a_world_that_cannot_be_held_says_so(folder: str, tmp_path: Path) -> None:
    """In the background there is no terminal, and only who started it to be told."""
    (tmp_path / "a-file").touch()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(up._hold(cast(Frozen, None), tmp_path / folder, 1, os.fdopen(write, "w")))
    os.close(write)
    with os.fdopen(read) as pipe:
        error = client.raised(json.loads(pipe.read())["error"])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == error.exit_code == 3
    assert isinstance(error, HostError)
    assert "up.log" in error.message
