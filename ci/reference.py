# SPDX-License-Identifier: Apache-2.0
"""Writes what the code knows of docs/reference: ``python ci/reference.py``. A test compares."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

from seabus import attach, chains, errors
from seabus.arch import MalformedRecord
from seabus.arch.cper import Severity
from seabus.arch.esr import BadEsrField
from seabus.attach import FAULT_KINDS, requests
from seabus.catalogue import KnownDefectError
from seabus.cli import parser
from seabus.errors import SeabusError
from seabus.faults.einj import Einj
from seabus.faults.poison import HardOffline, HwpoisonInject, SoftOffline
from seabus.faults.record import DamagedRecord, MemoryRecord, SectionRecord
from seabus.guest.victim import Victim
from seabus.interactive.playground import Playground
from seabus.judge.expectation import Link
from seabus.judge.verdict import NotAsExpectedError
from seabus.machine.config import WorldConfig
from seabus.patience import STEP
from seabus.script import owed
from seabus.script.fits import called
from seabus.script.read import DONE, EVENT, STEPS, victim_types
from seabus.session.session import Machine, Session, SessionVictim
from seabus.session.vmm import SessionVmm

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"


def commands() -> str:
    """Every command with its arguments."""
    lines = ["# The command line", "", "Written by `ci/reference.py` from the code.", ""]
    for name, one in _commands(parser()):
        lines += [f"## `seabus {name}`", "", *_wrapped(one.description or ""), ""]
        if one.epilog:
            lines += ["```", *one.epilog.strip("\n").splitlines(), "```", ""]
        rows = [row for action in one._actions if (row := _row(action))]
        if rows:
            lines += ["| argument | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def links() -> str:
    """Every link of the chains: what can be seen, by whom, and who promised it."""
    lines = ["# The links of the chains", "", "Written by `ci/reference.py` from `seabus.chains`.", ""]
    for room in sorted(module.name for module in pkgutil.iter_modules(chains.__path__)):
        module = importlib.import_module(f"{chains.__name__}.{room}")
        found = {name: value for name, value in vars(module).items() if isinstance(value, Link)}
        text = Path(module.__file__ or "").read_text()
        own = {name: link for name, link in found.items() if f"\n{name}: Final" in text}  # not imported ones
        lines += [f"## `chains.{room}`", "", *_wrapped((module.__doc__ or "").strip().splitlines()[0]), ""]
        lines += ["| link | event | promise |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {link.level} {link.witness}: {link.kind} | {link.promise} |"
            for name, link in own.items()
        ]
        lines.append("")
    return "\n".join(lines)


def faults_of_errors() -> str:
    """Every error class: who is at fault, the exit code, and what to do next."""
    lines = ["# Errors", "", "Written by `ci/reference.py` from the code.", ""]
    lines += ["| error | at fault | exit | meaning | what to do next |", "|---|---|---|---|---|"]
    ours = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SeabusError)
    ]
    for kind in (*ours, MalformedRecord, BadEsrField, NotAsExpectedError, KnownDefectError):
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{kind.__name__}` | {kind.blame} | {kind.exit_code} | {meaning} | {kind.advice} |")
    return "\n".join([*lines, ""])


def scenario() -> str:
    """Every key of a scenario file, of which type its value is, and what it is by itself."""
    lines = ["# The scenario file", "", "Written by `ci/reference.py` from `seabus.script`.", ""]
    lines += [
        "How to write one: `docs/how-to/write-a-scenario.md`. Whatever is not as it is here is told with file"
    ]
    lines += [
        "and line before anything is started.",
        "",
        "## `title`",
        "",
        "A string; by itself the file's name.",
        "",
    ]
    lines += ["## `[world]`", "", "Options of `seabus run` go before these.", ""]
    defaults = {field.name: field.default for field in dataclasses.fields(WorldConfig)}
    lines += _keys(get_type_hints(WorldConfig), defaults, _told(WorldConfig))
    lines += ["## `[victims.NAME]`", "", "What a kind does not take is ignored.", ""]
    made = {name: one.default for name, one in inspect.signature(Victim.make).parameters.items()}
    lines += _keys(victim_types(), {"level": "L2", **made}, _told(Victim.make))
    lines += ["## `[[steps]]`", "", "Each does one thing, by the key that it is headed with here.", ""]
    for name, types in STEPS.items():
        lines += [f"### `{name}`", ""]
        of = {**DONE, "inject": None}[name]
        lines += [f"{called(of)}." if of else f"One of {', '.join(FAULT_KINDS)}.", ""]
        lines += _keys(types, _BY_ITSELF, _STEP_KEYS) if types else []
    lines += ["## `[[expect]]`: an event, spelt out", "", *_keys(EVENT, {}, {})]
    lines += ["## `[[expect]]`: `chain`", ""]
    lines += [
        "Beside these keys `victim` and `offset` where a chain speaks of a victim or its page, and `fault`"
    ]
    lines += ["where it speaks of a fault; they are needed where there are several.", ""]
    lines += ["| chain | keys | what is owed |", "|---|---|---|"]
    for name, function in sorted(owed.chains().items()):
        own = [
            _key(name, one)
            for one in inspect.signature(function).parameters.values()
            if one.name not in owed.GIVEN
        ]
        lines.append(_cells(f"`{name}`", ", ".join(own) or "-", _first_line(function)))
    return "\n".join([*lines, ""])


_BY_ITSELF: Final = {"offset": 0, "severity": "recoverable", "must-succeed": True, "within": STEP}
_STEP_KEYS: Final = {
    "name": "what an expectation's `fault` calls it; by itself `fault-1`, `fault-2`, …",
    "victim": "needed where there are several",
    "offset": "bytes into the victim's memory",
    "address": "of L1's memory, in place of a victim's page",
    "severity": f"of a firmware record: {', '.join(one.name.lower() for one in Severity)}",
    "level": "needed",
    "must-succeed": "any other exit status than 0 ends the run with an error",
    "size": "bytes; by itself what the access usually has",
    "value": "what is written",
    "within": "seconds; that it does not come is the verdict's to tell",
    "fields": "values that the event must have",
}


def api() -> str:
    """Every public method of what tests and prompts use."""
    lines = [
        "# What a test and a prompt have in scope",
        "",
        "Written by `ci/reference.py` from the code.",
        "",
    ]
    for name, kind in _API.items():
        lines += [f"## `{kind.__name__}`: {name}", "", _first_line(kind), "", "| | |", "|---|---|"]
        lines += [
            _cells(f"`{member}{_signature(found)}`", _first_line(found))
            for member, found in vars(kind).items()
            if not member.startswith("_") and (callable(found) or isinstance(found, property | classmethod))
        ]
        lines.append("")
    lines += ["## What `world.inject()` takes", "", "| | |", "|---|---|"]
    lines += [
        _cells(f"`{kind.__module__}.{kind.__name__}({_fields(kind)})`", _first_line(kind)) for kind in _FAULTS
    ]
    lines += ["", "`world.fault_at(address)` is the usual one of the world.", ""]
    return "\n".join(lines)


def _fields(kind: type) -> str:
    """Of a dataclass, as its call is written."""

    def told(value: object) -> str:
        if value is dataclasses.MISSING:
            return ""
        return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)

    return ", ".join(
        f"{one.name}={told(one.default)}"
        for one in dataclasses.fields(kind)
        if one.init and one.name not in ("nonce", "level", "folder")
    )


_FAULTS: Final = (MemoryRecord, SectionRecord, DamagedRecord, HardOffline, SoftOffline, HwpoisonInject, Einj)
#: What each is to who writes a test.
_API: Final[dict[str, type]] = {
    "`world` of a test": Session,
    "`world` of `seabus shell`": Playground,
    "`world.host`, `world.guest`": Machine,
    "what `world.victim()` gives": SessionVictim,
    "`world.vmm`": SessionVmm,
}


def control_protocol() -> str:
    """What can be asked of a running world: requests, their keys, and those of the answers."""
    lines = [f"# The control protocol, version {attach.PROTOCOL}", ""]
    lines += ["Written by `ci/reference.py` from `seabus.attach`.", ""]
    *_, first, second = (attach.__doc__ or "").strip().splitlines()
    lines += [
        f"A world that can be joined has a socket, `{attach.SOCKET}`, in its run folder (`seabus ps`).",
        "",
    ]
    lines += [first.replace("``", "`"), second.replace("``", "`"), ""]
    lines += [
        f"A line has at most {attach.LINE_LIMIT >> 20} MiB. An `error` has `class`, `blame`, `message`,"
    ]
    lines += ["`hint` and `details` (`docs/reference/errors.md`). Keys beside `version` and `do`:", ""]
    lines += ["| `do` | keys | | answer |", "|---|---|---|---|"]
    for name, function in {**requests.ANSWERED, **requests.STREAMED}.items():
        answer = "`event`s: " if name in requests.STREAMED else ""
        keys = ", ".join(f"`{key}`" for key in _asked(function)) or "-"
        lines.append(_cells(f"`{name}`", keys, _first_line(function), answer + _answered(function)))
    return "\n".join([*lines, ""])


PAGES: Final = {
    "api.md": api,
    "commands.md": commands,
    "control-protocol.md": control_protocol,
    "errors.md": faults_of_errors,
    "links.md": links,
    "scenario.md": scenario,
}


def _keys(types: Mapping[str, Any], defaults: Mapping[str, Any], told: Mapping[str, str]) -> list[str]:
    """A table of keys, with what each is by itself."""
    lines = ["| key | value | by itself | |", "|---|---|---|---|"]
    for name, hint in types.items():
        default = defaults.get(name)
        shown = "" if default in (None, "", inspect.Parameter.empty) else f"`{_toml(default)}`"
        lines.append(_cells(f"`{name}`", called(hint), shown, told.get(name, "")))
    return [*lines, ""]


def _key(chain: str, parameter: inspect.Parameter) -> str:
    """A key of a chain: its type, and whether it must be there."""
    needed = ", needed" if parameter.default is parameter.empty else ""
    return f"`{parameter.name}` ({called(owed.types_of(chain)[parameter.name])}{needed})"


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def _told(documented: object) -> Mapping[str, str]:
    """What a docstring says of each parameter."""
    found = re.findall(
        r"^:param (\w+): (.*?)(?=\n:|\n\n|\Z)", inspect.getdoc(documented) or "", re.MULTILINE | re.DOTALL
    )
    return {name: " ".join(text.replace("``", "`").split()) for name, text in found}


def _first_line(documented: object) -> str:
    """The first sentence of a docstring, roles in it as code."""
    text = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", " ".join(text.replace("``", "`").split()))


def _signature(found: object) -> str:
    """As it is called: of a property its type alone."""
    if isinstance(found, property):
        return f": {inspect.get_annotations(found.fget)['return']}" if found.fget else ""
    function = found.__func__ if isinstance(found, classmethod) else found
    signature = inspect.signature(inspect.unwrap(function), follow_wrapped=False)  # type: ignore[arg-type]
    _, *own = signature.parameters.values()
    told = [one.replace(annotation=_bare(one.annotation)) for one in own]
    return str(signature.replace(parameters=told, return_annotation=_bare(signature.return_annotation)))


class _Bare(str):
    """An annotation, which is shown as it is written."""

    __slots__ = ()
    __repr__ = str.__str__


def _bare(annotation: object) -> object:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _asked(function: Callable[..., Any]) -> list[str]:
    """The keys that a request reads, itself or by who helps it."""
    found: dict[str, None] = {}
    for node in ast.walk(_tree(function)):
        match node:
            case ast.Subscript(value=ast.Name("asked"), slice=ast.Constant(str(name))):
                found[name] = None
            case ast.Call(ast.Attribute(ast.Name("asked"), "get"), [ast.Constant(str(name)), *_]):
                found[name] = None
            case ast.comprehension(ast.Name("name"), ast.Tuple(names)):
                found |= dict.fromkeys(one.value for one in names if isinstance(one, ast.Constant))  # type: ignore[misc]
            case ast.Call(ast.Name(helper), arguments) if any(
                isinstance(one, ast.Name) and one.id == "asked" for one in arguments
            ):
                found |= dict.fromkeys(_asked(getattr(requests, helper)))
    return list(found)


def _answered(function: Callable[..., Any]) -> str:
    """The keys of what it returns or yields: its own, or those of who describes that."""
    found: dict[str, None] = {}
    for node in ast.walk(_tree(function)):
        match node:
            case ast.Return(ast.Dict(keys)):
                found |= {f"`{key.value}`": None for key in keys if isinstance(key, ast.Constant)}
            case ast.Return(ast.Call(ast.Name(helper))) | ast.Yield(ast.Call(ast.Name(helper))):
                found[_answered(getattr(requests, helper))] = None
    return ", ".join(found)


def _tree(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _commands(
    top: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest for choice in action._choices_actions}  # the others are of our own processes
            for name, one in action.choices.items():
                if name not in told:
                    continue
                yield f"{prefix}{name}", one
                yield from _commands(one, f"{prefix}{name} ")


def _row(action: argparse.Action) -> str:
    if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
        return ""
    words = list(action.option_strings) or [str(action.metavar or action.dest)]
    if action.option_strings and action.nargs != 0:
        words[-1] += f" {action.metavar or '|'.join(map(str, action.choices or [action.dest.upper()]))}"
    text = (action.help or "") % {"default": action.default, "prog": "seabus"}
    if not action.option_strings and action.choices:
        text = f"{text} One of {', '.join(map(str, action.choices))}.".strip()
    return _cells(f"`{', '.join(words)}`", text)


def _wrapped(text: str) -> list[str]:
    return [" ".join(text.split())]


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    main()
