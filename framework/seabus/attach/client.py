# SPDX-License-Identifier: Apache-2.0
"""Asks a running world, from another process."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any, Final

from seabus import errors
from seabus.attach import PROTOCOL, SOCKET
from seabus.errors import ChannelError, DeadlineError, SeabusError, UsageError
from seabus.machine import run_folder
from seabus.machine.run_folder import Running
from seabus.patience import scale

#: Seconds. What a world does for others has its own deadlines, which are shorter.
_ANSWER_S: Final = 120.0
#: Asked of whoever is about to be listened to for as long as it takes.
_QUICK: Final = "victims"
#: A command of the user's may take hours.
_LASTING: Final = ("exec",)


def find(name: str | None, *, any_kind: bool = False) -> Running:
    """The world that is meant: the one of that name, or the only one that can be attached to.

    :param any_kind: if there is none that can, one that only has its console and monitor will do.
    :raises UsageError: there is none, or several.
    """
    running = run_folder.running()
    if name is not None:
        found = [run for run in running if run.name.startswith(name)]
        if not found:
            raise UsageError(f"no world {name!r} is running", hint="seabus ps")
    else:
        found = [run for run in running if can_be_joined(run)] or (running if any_kind else [])
        if not found:
            raise UsageError("no world is running that can be attached to", hint="seabus up, or seabus shell")
    if len(found) > 1:
        names = ", ".join(run.name for run in found)
        raise UsageError(f"several worlds are running: {names}", hint="say which: --world NAME")
    return found[0]


def can_be_joined(run: Running) -> bool:
    """Whether somebody answers for it."""
    return (run.folder / SOCKET).exists()


def ask(run: Running, do: str, **arguments: object) -> dict[str, Any]:
    """The answer to a request.

    :raises SeabusError: as it was raised there.
    :raises DeadlineError: nobody answers.
    """
    within = None if do in _LASTING else _ANSWER_S
    if within is None:
        ask(run, _QUICK)
    for message in _exchange(run, {"do": do, **arguments}, within):
        if "ok" in message:
            answer: dict[str, Any] = message["ok"]
            return answer
    raise ChannelError(f"{run.name} ended before it answered {do}", hint="seabus ps")


def stream(run: Running, do: str, **arguments: object) -> Iterator[dict[str, Any]]:
    """What a request brings, until the world ends.

    :raises DeadlineError: nobody answers.
    """
    ask(run, _QUICK)
    for message in _exchange(run, {"do": do, **arguments}, None):
        if "event" in message:
            yield message["event"]


def _exchange(run: Running, request: Mapping[str, object], within: float | None) -> Iterator[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(None if within is None else within * scale())
        try:
            connection.connect(str(run.folder / SOCKET))
        except TimeoutError as error:
            raise _silent(run, request, within) from error
        except OSError as error:
            raise UsageError(
                f"{run.name} cannot be attached to",
                hint="a test's own world has only its console and monitor",
            ) from error
        # A world that ends before it has let us in resets the connection.
        with contextlib.suppress(ConnectionError), connection.makefile("rb") as lines:
            try:
                connection.sendall(json.dumps({"version": PROTOCOL, **request}).encode() + b"\n")
                for line in lines:
                    if not line.endswith(b"\n"):
                        return  # it ended in the middle of a word
                    message = _message(run, line)
                    if "error" in message:
                        raise raised(message["error"])
                    yield message
            except TimeoutError as error:
                raise _silent(run, request, within) from error


def _message(run: Running, line: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise ChannelError(
            f"{run.name} answers what makes no sense: {line[:80]!r}", hint="the versions may differ"
        ) from error
    return found


def _silent(run: Running, request: Mapping[str, object], within: float | None) -> DeadlineError:
    waited = (within or 0) * scale()
    return DeadlineError(
        f"waited {waited:g} s for {run.name} to answer {request['do']}",
        hint=f"process {run.owner_pid} may stand still; seabus stop {run.name} ends it",
    )


def raised(told: Mapping[str, Any]) -> SeabusError:
    """An error as :func:`seabus.report.complaint.as_json` told of it."""
    kind = getattr(errors, str(told.get("class")), errors.MachineError)
    message, hint, details = told.get("message", ""), told.get("hint", ""), told.get("details")
    try:
        found: SeabusError = kind(message, hint=hint, details=details)
    except TypeError:  # some take less
        found = errors.MachineError(message, hint=hint, details=details)
    return found
