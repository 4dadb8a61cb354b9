# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402 - what is imported lies in folders that are no packages
"""Writes docs/SPEC.md of the promises in the code, and of docs/measured.json: ``python ci/spec.py``.

A test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "ci"), str(ROOT / "framework" / "tests" / "fuzz")]

import measured
from benchmarks import BENCHMARKS, Benchmark
from soaks.__main__ import ROWS
from soaks.row import Row
from targets import TARGETS

from seabus.channel import agent
from seabus.cli import record_input
from seabus.machine import process, transcript
from seabus.report import artefacts
from seabus.world import world

FILE: Final = ROOT / "docs" / "SPEC.md"
INPUTS: Final = 1_000_000
#: libFuzzer drives the agent's own reader; it is no function of Python's.
_READERS: Final = {
    "requests": "a line of any bytes gets one answer, which is JSON, from the agent's reader (C)"
}
#: What ``--record`` of a program keeps, and what it is to show.
_LABS: Final = {
    "lab-kills": "100 times kill -9 of a run or of its host: no process is left here or there, no host stays"
    " held or dirty, and no verdict is wrong",
    "lab-demo": "three hosts leased from a labgrid coordinator, three workers; kill -9 of a worker, of the"
    " coordinator and of a host: nothing fails, and no more is lost than what was on them",
}
#: Zero in n trials: the rate is below this over n with a certainty of 95 %.
_RULE_OF_THREE: Final = 3
_NEVER: Final = "not run yet"

#: What is no figure: the rule, and the tests that would fail without it.
RULES: Final = (
    (
        "A `pass` is a receipt, every expected event once, with its values, in order, and nothing else",
        ("framework/tests/unit/test_judge.py",),
    ),
    (
        "What is expected is checked: with any one field wrong a scenario does not pass (`--seabus-mutate`)",
        ("framework/tests/plugin/test_control.py::test_mutation_finds_a_field_that_is_not_checked",),
    ),
    (
        "Without its injection no scenario passes (`ci/test` runs all of them so)",
        (
            "framework/tests/plugin/test_control.py::"
            "test_the_negative_control_finds_a_scenario_that_cannot_fail",
            "framework/tests/emulated/test_main_job.py::test_negative_control",
        ),
    ),
    (
        "Each verdict has an outcome and an exit code of its own",
        ("framework/tests/plugin/test_outcomes.py::test_each_verdict_is_told_apart",),
    ),
    (
        "Every error says who is at fault and what to do next, and is no traceback",
        ("framework/tests/unit/test_errors.py",),
    ),
    (
        "No test writes to the kernel it runs on: whatever would is refused, in every worker",
        ("framework/tests/unit/test_hands_off.py",),
    ),
    (
        "A real host is broken only by its lab file, by a lease that is ours, in the boot that was armed;"
        " never the one we sit at",
        (
            "framework/tests/lab/test_tenancy.py::test_only_what_the_lab_file_allows",
            "framework/tests/lab/test_tenancy.py::test_a_lease_that_was_taken_away_breaks_nothing",
            "framework/tests/lab/test_tenancy.py::test_no_host_is_the_one_we_sit_at",
        ),
    ),
    (
        "Two clones share no random bytes; one that rebooted, or has a dead timer, is refused",
        (
            "framework/tests/emulated/test_world.py::test_two_clones_share_nothing",
            "framework/tests/unit/test_liveness.py",
        ),
    ),
    (
        "A frozen world is refused by anything but what made it, by a sentence that names the difference",
        ("framework/tests/unit/test_made_by.py",),
    ),
    (
        "A run can be played again from its folder: `seabus replay` tells whether the story is the same",
        ("framework/tests/emulated/test_replay.py",),
    ),
    (
        "A page of 500 runs has at most 5 MB, and is there in 2 s",
        ("framework/tests/report/test_in_chromium.py::test_five_hundred_runs_are_there_at_once",),
    ),
)

_LIMITS_TESTS: Final = "framework/tests/unit/test_limits.py"
#: What has an end, where that is in the code, and the tests that would fail without it.
LIMITS: Final = (
    (
        "a recorded console, and what an emulator says of itself",
        f"{world.LOG_MIB} MiB",
        (f"{_LIMITS_TESTS}::test_an_emulator_is_limited",),
    ),
    (
        "the transcript of a monitor, and a trace that is kept",
        f"{transcript.MOST_BYTES >> 20} MiB",
        ("framework/tests/unit/test_transcript.py::test_a_flood_is_cut",),
    ),
    (
        "a line of an agent",
        f"{agent.LINE_LIMIT >> 20} MiB",
        (f"{_LIMITS_TESTS}::test_an_agent_that_never_ends_its_line_is_left",),
    ),
    (
        "address space of an emulator, beyond its machine's memory",
        f"{process.OWN_MIB} MiB",
        (f"{_LIMITS_TESTS}::test_an_emulator_is_limited",),
    ),
    (
        "descriptors of an emulator",
        f"{process.MOST_DESCRIPTORS}",
        (f"{_LIMITS_TESTS}::test_an_emulator_is_limited",),
    ),
    (
        "a record that is decoded",
        f"{record_input.MOST_BYTES >> 20} MiB",
        ("framework/tests/unit/test_decode_command.py",),
    ),
    (
        "folders of results, where nobody chose one",
        f"{artefacts.KEEP}",
        (f"{_LIMITS_TESTS}::test_the_newest_folders_are_kept",),
    ),
    (
        "templates",
        "half of the room that they and what is free make up",
        ("framework/tests/unit/test_store_room.py::test_a_small_disk_keeps_the_last_used",),
    ),
)


def page() -> str:
    """All of it."""
    known = measured.load()
    figures, fuzz = known.get("figures", {}), known.get("fuzz", {})
    # What was run under other terms than today's shows nothing of today's promise.
    rows = {name: run for name, run in known.get("rows", {}).items() if run.get("terms") == _terms(name)}
    below = [
        *_rows_below(rows),
        *(_figure_below(one, figures.get(one.name)) for one in BENCHMARKS),
        *(_lab_below(name, known.get("lab", {}).get(name)) for name in _LABS),
        *(_fuzz_below(name, fuzz.get(name)) for name in _targets()),
    ]
    return "\n".join(
        [
            *_HEAD,
            "## Below the promise",
            "",
            *([f"- {line}" for line in below if line] or ["Nothing."]),
            "",
            "## What must always hold, or never happen",
            "",
            "`ci/soak ROW` runs a row, `ci/soak --seed N --replay ROW:TRIAL` one trial of it again; a few",
            "trials of each run in `ci/test` (`framework/tests/emulated/test_promises.py`). *At most*: the",
            "share of broken trials that so many without one leave possible, with a certainty of 95 %.",
            "",
            "| row | promise | trials | run | broken | at most | when, where |",
            "|---|---|---|---|---|---|---|",
            *(_row(row, rows.get(row.name)) for row in ROWS.values()),
            "",
            "## How fast, and how small",
            "",
            "`ci/bench NAME` measures; never a test. The promise is of the median.",
            "",
            "| name | what | promise | median | p95 | n | when, where |",
            "|---|---|---|---|---|---|---|",
            *(_figure(one, figures.get(one.name)) for one in BENCHMARKS),
            "",
            "## A lab, while its parts are killed",
            "",
            "On emulated hosts, by real SSH; the same code meets servers in a rack, which were not at hand.",
            "",
            "| what | promise | came of it | when, where |",
            "|---|---|---|---|",
            *(_lab(name, promise, known.get("lab", {}).get(name)) for name, promise in _LABS.items()),
            "",
            "## Any bytes",
            "",
            f"`ci/fuzz TARGET`, by coverage, {INPUTS:,} inputs each: no crash, no hang of 20 s, not 64 MiB",
            "more than at the start. Every run of the tests reads what was kept (`framework/tests/fuzz`).",
            "",
            "| target | promise | inputs | seconds | broken | when, where |",
            "|---|---|---|---|---|---|",
            *(_fuzz(name, what, fuzz.get(name)) for name, what in _targets().items()),
            "",
            "## Limits",
            "",
            "What a machine may take of this computer, and what is kept of it, has an end.",
            "",
            "| what | at most | goes beyond without it |",
            "|---|---|---|",
            *(
                f"| {what} | {most} | {', '.join(f'`{test}`' for test in tests)} |"
                for what, most, tests in LIMITS
            ),
            "",
            "## Rules",
            "",
            "| rule | fails without it |",
            "|---|---|",
            *(f"| {rule} | {_tests(tests)} |" for rule, tests in RULES),
            "",
        ]
    )


_HEAD: Final = (
    "# What Seabus promises, and what was measured",
    "",
    "Written by `ci/spec.py` from the rows of `ci/soak`, the benchmarks of `ci/bench`, the targets of",
    "`ci/fuzz`, and `docs/measured.json`, which these three write with `--record`. Figures of shared",
    "machines are noisy.",
    "",
)


def _tests(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _targets() -> dict[str, str]:
    told = {name: " ".join((target.__doc__ or "").split()) for name, target in TARGETS.items()}
    return {**told, **_READERS}


def _terms(name: str) -> object:
    return ROWS[name].terms if name in ROWS else None


def _where(run: Mapping[str, Any]) -> str:
    seed = f", seed {run['seed']}" if "seed" in run else ""
    return f"{run['date']}, {run['machine']}{seed}"


def _rows_below(runs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for row in ROWS.values():
        run = runs.get(row.name)
        if run is None:
            yield f"`{row.name}`: {_NEVER}"
        elif run["broken"]:
            whys = "; ".join(map(_short, run["broken"]))
            yield f"`{row.name}`: {len(run['broken'])} of {run['n']} broken: {whys}"
        elif run["n"] < row.count:
            yield f"`{row.name}`: {run['n']} of {row.count} trials were run, 0 broken"


def _short(why: str) -> str:
    """Of what was broken, a line."""
    return " ".join(why.split())[:200].replace("|", "\\|")


def _row(row: Row, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"| `{row.name}` | {row.promise} | {row.times} | - | - | - | {_NEVER} |"
    broken = len(run["broken"])
    bound = "-" if broken else f"{100 * min(1, _RULE_OF_THREE / run['n']):.2g} %"
    where = "; ".join([_where(run), *(f"{times} {note}" for note, times in run.get("notes", {}).items())])
    return f"| `{row.name}` | {row.promise} | {row.times} | {run['n']} | {broken} | {bound} | {where} |"


def _promise(one: Benchmark) -> str:
    return f"{'at least' if one.least else 'at most'} {one.limit:g}"


def _figure_below(one: Benchmark, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"`{one.name}`: {_NEVER}"
    kept = run["median"] >= one.limit if one.least else run["median"] <= one.limit
    return "" if kept else f"`{one.name}`: the median is {run['median']:g}, promised is {_promise(one)}"


def _figure(one: Benchmark, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"| `{one.name}` | {one.what} | {_promise(one)} | - | - | - | {_NEVER} |"
    figures = f"{run['median']:g} | {run['p95']:g} | {run['n']}"
    return f"| `{one.name}` | {one.what} | {_promise(one)} | {figures} | {_where(run)} |"


def _lab(name: str, promise: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"| `ci/{name}` | {promise} | - | {_NEVER} |"
    return f"| `ci/{name}` | {promise} | {run['told']} | {_where(run)} |"


def _lab_below(name: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"`ci/{name}`: {_NEVER}"
    return "" if run["ok"] else f"`ci/{name}`: {run['told']}"


def _fuzz_below(name: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"`{name}`: {_NEVER}"
    if not run["ok"]:
        return f"`{name}`: an input breaks it"
    return (
        "" if run["runs"] >= INPUTS else f"`{name}`: {run['runs']:,} of {INPUTS:,} inputs were run, 0 broken"
    )


def _fuzz(name: str, what: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"| `{name}` | {what} | - | - | - | {_NEVER} |"
    broken = 0 if run["ok"] else max(1, len(run["found"]))
    return f"| `{name}` | {what} | {run['runs']:,} | {run['seconds']:g} | {broken} | {_where(run)} |"


if __name__ == "__main__":
    FILE.write_text(page())
