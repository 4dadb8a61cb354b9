# SPDX-License-Identifier: Apache-2.0
"""Every public error says who is at fault and what to do next, and none is a traceback."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Final

import pytest

import seabus
from seabus import cli, errors
from seabus.arch import MalformedRecord
from seabus.arch.esr import BadEsrField
from seabus.catalogue import KnownDefectError
from seabus.errors import AgentError, ProbeError, SeabusError
from seabus.judge.verdict import Judgement, NotAsExpectedError, Verdict
from seabus.report.complaint import as_json

# Who is at fault, and the command line's exit code (`seabus --help`).
TABLE: Final = {
    "SeabusError": ("seabus", 3),
    "UsageError": ("caller", 2),
    "MachineError": ("machine", 3),
    "BootError": ("machine", 3),
    "ChannelError": ("machine", 3),
    "AgentError": ("machine", 3),
    "ProbeError": ("machine", 3),
    "DeadlineError": ("machine", 3),
    "CloneError": ("machine", 3),
    "HostError": ("host", 3),
    "CapabilityError": ("host", 3),
    "ImageError": ("host", 3),
    "DiskError": ("host", 3),
    "HeldError": ("host", 3),
    "LeaseLostError": ("host", 3),
    "QuarantinedError": ("host", 3),
    "NoVerdictError": ("unknown", 4),
}
#: Public as well, but of packages that know no SeabusError, or failed assertions: made, blame, exit code.
OTHERS: Final[dict[type[Exception], tuple[Exception, str, int]]] = {
    MalformedRecord: (MalformedRecord(4, "Length", "it ends early"), "input", 2),
    BadEsrField: (BadEsrField("Fnv", "no field Fnv"), "caller", 2),
    NotAsExpectedError: (
        NotAsExpectedError(Judgement(verdict=Verdict.FAIL, reason="missing")),
        "system under test",
        1,
    ),
    KnownDefectError: (KnownDefectError("docs/findings/0021: L0 refused it"), "system under test", 1),
}
#: Needs what only some installations have; none defines an error.
_EXTRAS: Final = (
    "seabus.tui",
    "seabus.interactive",
    "seabus.lab.labgrid_places",
    "seabus.lab.labgrid_client",
)


def _all(kind: type[SeabusError] = SeabusError) -> Iterator[type[SeabusError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all(below)


def _made(name: str, hint: str = "") -> SeabusError:
    kind = getattr(errors, name)
    if kind is AgentError:
        return AgentError("it broke", kind="io")
    if kind is ProbeError:
        return ProbeError("it broke", kind="io", hint=hint)
    made: SeabusError = kind("it broke", hint=hint, details={"console": "its last \x1b[31mline"})
    return made


def test_table_is_of_all_there_are() -> None:
    for module in pkgutil.walk_packages(seabus.__path__, "seabus."):
        if not module.name.startswith(_EXTRAS):
            importlib.import_module(module.name)
    assert {kind.__name__ for kind in _all()} == set(TABLE)
    assert {kind.__module__ for kind in _all()} == {"seabus.errors"}


@pytest.mark.parametrize("name", TABLE)
def test_error(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    kind = getattr(errors, name)
    assert (kind.blame, kind.exit_code) == TABLE[name]
    assert kind.__doc__
    assert name in (errors.__doc__ or "")
    assert kind.advice
    assert "\n" not in kind.advice

    def breaks(_: argparse.Namespace) -> int:
        raise _made(name)

    monkeypatch.setattr("seabus.cli.doctor.main", breaks)
    assert cli.main(["doctor"]) == kind.exit_code
    told = capsys.readouterr()
    assert not told.out
    assert told.err.startswith(f"seabus: it broke\n  try: {kind.advice}\n")
    assert "Traceback" not in told.err
    assert "\x1b" not in told.err
    assert as_json(_made(name)) | {"details": {}} == {
        "class": name,
        "blame": kind.blame,
        "message": "it broke",
        "hint": kind.advice,
        "details": {},
    }


@pytest.mark.parametrize("name", [name for name in TABLE if name != "AgentError"])
def test_who_raises_knows_better(name: str) -> None:
    assert _made(name, hint="turn it on").hint == "turn it on"


def _public() -> Iterator[type[Exception]]:
    """Every error that a module of ours defines for others."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith("seabus."):
            for kind in vars(module).values():
                if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == name:
                    yield kind


def test_there_are_no_others() -> None:
    for module in pkgutil.walk_packages(seabus.__path__, "seabus."):
        if not module.name.startswith(_EXTRAS):
            importlib.import_module(module.name)
    public = (kind for kind in _public() if not kind.__name__.startswith("_"))
    found = {kind for kind in public if not issubclass(kind, SeabusError)}
    assert found == set(OTHERS)


@pytest.mark.parametrize("kind", OTHERS)
def test_other_error(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, blame, code = OTHERS[kind]
    told_of = vars(kind)
    assert (told_of["blame"], told_of["exit_code"]) == (blame, code)
    assert kind.__name__ in (errors.__doc__ or "")

    def breaks(_: argparse.Namespace) -> int:
        raise made

    monkeypatch.setattr("seabus.cli.doctor.main", breaks)
    assert cli.main(["doctor"]) == code
    told = capsys.readouterr()
    assert told.err == f"seabus: {made}\n  try: {told_of['advice']}\n"


def test_a_mistake_of_ours_is_still_told_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(_: argparse.Namespace) -> int:
        raise ValueError("ours")

    monkeypatch.setattr("seabus.cli.doctor.main", breaks)
    assert cli.main(["doctor"]) == 3
    assert "internal error, please report it" in capsys.readouterr().err


def test_advice_is_not_repeated() -> None:
    """Every class has its own: what is said of all of them would help with none."""
    advice = [kind.advice for kind in _all()] + [vars(kind)["advice"] for kind in OTHERS]
    assert len(set(advice)) == len(advice)
