# SPDX-License-Identifier: Apache-2.0
"""Runs read back from their result files (``docs/reference/result.md``), for reports and comparisons."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from seabus.errors import UsageError
from seabus.judge.verdict import Verdict
from seabus.observe.events import Event
from seabus.report.result import SCHEMA

_RESULT: Final = "result.json"
#: From best to worst: of several runs, the worst verdict is the one to look at.
ORDER: Final = (Verdict.PASS, Verdict.SKIP, Verdict.UNKNOWN, Verdict.ERROR, Verdict.FAIL)


@dataclass(frozen=True)
class Seen:
    """An event of a run.

    :param t: seconds since just before the injection.
    :param expectation: the name of what it is held for.
    """

    event: Event
    t: float
    expectation: str | None


@dataclass(frozen=True)
class Recorded:
    """A run, as its result file tells it.

    :param folder: with the file, and the evidence beside it.
    """

    folder: Path
    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The test's node id; of a run by hand, the folder's name."""
        return str(self.told.get("test") or self.folder.name)

    @property
    def test(self) -> str:
        """The test without its parameters, module and name: what has a row of its own in an overview."""
        return re.sub(r"\[.*", "", self.name).rpartition("/")[2]

    @property
    def title(self) -> str:
        """What the scenario says of itself in one line; empty if it is none."""
        return str((self.told.get("scenario") or {}).get("title", ""))

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.told["verdict"])

    @property
    def reason(self) -> str:
        return str(self.told["reason"])

    @property
    def configuration(self) -> str:
        """What the world is made of, where that is not the default."""
        chosen = self.told.get("configuration") or {}
        return ", ".join(f"{name}={_short(value)}" for name, value in sorted(chosen.items())) or "default"

    @property
    def seconds(self) -> float | None:
        """From fault to verdict."""
        found = self.told["seconds"].get("fault_to_verdict")
        return None if found is None else float(found)

    @cached_property
    def events(self) -> Sequence[Seen]:
        """In order of time."""
        return [
            Seen(
                event=Event(
                    level=one["level"],
                    witness=one["witness"],
                    kind=one["kind"],
                    clock_ns=round(one["t"] * 1e9),
                    fields=one["fields"],
                    text=one["text"],
                ),
                t=one["t"],
                expectation=one.get("expectation"),
            )
            for one in self.told["events"]
        ]

    @property
    def expectations(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.told["expectations"]
        return found

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.told["findings"]
        return found

    def file(self, name: str, *, most: int) -> str | None:
        """The end of a file of the evidence, at most so many bytes; None if there is none."""
        try:
            with (self.folder / name).open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(max(0, size - most))
                return stream.read().decode(errors="backslashreplace")
        except OSError:
            return None


def load(places: Iterable[Path]) -> list[Recorded]:
    """The runs below folders (or of result files), each once, in order of name.

    :raises UsageError: there is none, or a file is no result of this schema; it names the file.
    """
    found: dict[Path, Recorded] = {}
    for place in places:
        files = list(_results(place))
        if not files:
            raise UsageError(
                f"{place} holds no {_RESULT}",
                hint="name a run's folder, or what pytest got as --seabus-artefacts",
            )
        for file in files:
            found.setdefault(file.resolve(), _read(file))
    return sorted(found.values(), key=lambda run: (run.name, str(run.folder)))


def _results(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    # pytest links to the newest folder of each name: those would come twice.
    yield from (path for path in place.rglob(_RESULT) if not path.parent.is_symlink())


def _read(file: Path) -> Recorded:
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}", hint="it may have been cut off") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise UsageError(
            f"{file} is no result of schema {SCHEMA}", hint="written by another version of Seabus?"
        )
    run = Recorded(folder=file.parent, told=told)
    try:
        _ = (run.verdict, run.reason, run.seconds, run.events, run.expectations, run.findings)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{file} is damaged: {error!r}", hint="run it again") from error
    return run


def _short(value: Any) -> str:  # noqa: ANN401 - of a configuration
    return Path(value).name if isinstance(value, str) and "/" in value else str(value)
