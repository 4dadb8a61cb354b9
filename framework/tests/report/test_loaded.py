# SPDX-License-Identifier: Apache-2.0
"""Result files: those that are whole are read, whatever their age; those that are not are named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seabus.errors import UsageError
from seabus.judge.verdict import Verdict
from seabus.report.loaded import Kind, Run, Runs, load, load_file

Change = Callable[[dict[str, Any]], object]


def test_a_run_is_what_its_file_tells(sample: Callable[[str], Run]) -> None:
    run = sample("consumed")
    assert (run.verdict, run.kind, run.is_well) == (Verdict.PASS, Kind.PASS, True)
    assert run.name == "test_anonymous_page[read]"
    assert run.chapter == "test_consumed_page.py"
    assert run.title == "A load or store at EL0 consumes a page of anonymous memory"
    assert len(run.matched) == len(run.expectations) == 10
    assert run.matched["abort-taken"].fields["esr"] == 0x92000410
    assert run.matched["abort-taken"].cpu == 0
    assert run.configuration["l1_mode"] == "nvhe"
    stopped = next(one for one in run.expectations if one.name == "vcpu-stopped")
    assert stopped.fields["comm"] == ("CPU 0/KVM",)  # a list in a file is any one of these


def test_what_needs_a_look_is_told_apart(samples: Runs) -> None:
    kinds = {run.folder.name: run.kind for run in samples.runs}
    assert kinds["known"] is Kind.KNOWN
    assert kinds["error"] is Kind.ERROR
    assert {run.folder.name for run in samples.runs if not run.is_well} == {"negative", "lost", "error"}


def test_a_test_that_asked_for_no_verdict_passed(changed: Callable[..., Path]) -> None:
    folder = changed("error", lambda told: told.update(verdict="unknown", outcome="passed"))
    assert load([folder]).runs[0].kind is Kind.UNJUDGED
    folder = changed("error", lambda told: told.update(verdict="unknown", outcome="failed"), "other")
    assert load([folder]).runs[0].kind is Kind.UNKNOWN


def test_an_older_seabus_told_less(changed: Callable[..., Path], sample: Callable[[str], Run]) -> None:
    def age(told: dict[str, Any]) -> None:
        for name in (
            "faults",
            "receipts",
            "scenario",
            "configuration",
            "started",
            "worker",
            "known",
            "outcome",
        ):
            told.pop(name, None)
        for expected in told["expectations"]:
            del expected["event"]
        for event in told["events"]:
            del event["cpu"]

    old, new = load([changed("consumed", age)]).runs[0], sample("consumed")
    assert old.faults == [json.loads(json.dumps(new.faults[0]))]
    assert {name: event.text for name, event in old.matched.items()} == {
        name: event.text for name, event in new.matched.items()
    }


def test_a_tree_is_walked_and_its_links_are_not(tmp_path: Path, changed: Callable[..., Path]) -> None:
    folder = changed("consumed", lambda told: told, "a")
    (tmp_path / "acurrent").symlink_to(folder)  # as pytest does
    silent = tmp_path / "silent"
    silent.mkdir()
    (silent / "test.txt").write_text("testcases/test_x.py::test_killed\n")
    found = load([tmp_path, folder, folder / "result.json"])
    assert len(found.runs) == 1
    assert found.without == ["testcases/test_x.py::test_killed"]


def test_a_file_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    whole = (Path(__file__).parent / "samples/consumed/result.json").read_bytes().rstrip()
    path = tmp_path / "result.json"
    for length in [*range(200), *range(200, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError, match=r"result\.json is no result file") as caught:
            load_file(path)
        assert str(path) in caught.value.message
        assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.update(schema=2), "its schema is 2, and this Seabus reads 1"),
        (lambda told: told.update(schema=True), "'schema' is 'True'"),
        (lambda told: told.update(verdict="perhaps"), "'verdict' is 'perhaps'"),
        (lambda told: told.pop("events"), "'events' is missing"),
        (lambda told: told.update(events={}), "'events' is '{}'"),
        (lambda told: told["events"][3].pop("level"), r"events\[3\]: 'level' is missing"),
        (lambda told: told["events"][0].update(level="L9"), r"events\[0\]: 'level' is 'L9'"),
        (lambda told: told["events"][0].update(t="soon"), r"events\[0\]: 't' is 'soon'"),
        (lambda told: told["events"].append(7), "an object with 'level' was wanted, not '7'"),
        (lambda told: told["expectations"][0].update(event=99), "was event 99, and there is none"),
        (lambda told: told["expectations"][0].update(event="x"), "was event x, and there is none"),
        (lambda told: told["expectations"][2].update(after=None), r"expectations\[2\]: 'after' is missing"),
        (lambda told: told["clocks"].update(L1={}), "'error_s' is missing"),
        (lambda told: told["seconds"].update(test="long"), "'test' is 'long'"),
        (lambda told: told["faults"].append("x"), r"faults\[1\]: 'it' is 'x'"),
        (lambda told: told["events"][0].update(t=10**400), r"events\[0\]: 't' is more than anything"),
        (lambda told: told["events"][0].update(t=1e308), r"1e\+308 is more than anything"),
    ],
)
def test_a_damaged_file_is_named_with_its_place(
    change: Change, said: str, changed: Callable[..., Path]
) -> None:
    folder = changed("consumed", change)
    with pytest.raises(UsageError, match=said) as caught:
        load([folder])
    assert caught.value.message.startswith(f"{folder / 'result.json'} is no result file: ")


@pytest.mark.parametrize("text", ["[]", "7", "null", '"x"', "[" * 100_000, '{"schema": NaN}', "\xff\xfe"])
def test_what_is_no_object_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="is no result file"):
        load([tmp_path])


def test_endless_times_are_refused(changed: Callable[..., Path]) -> None:
    folder = changed("consumed", lambda told: told)
    path = folder / "result.json"
    path.write_text(path.read_text().replace('"t": 5e-06', '"t": 1e999', 1))
    with pytest.raises(UsageError, match="1e999 is more than anything is measured in"):
        load([folder])


def test_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no result"):
        load([tmp_path])
    with pytest.raises(UsageError, match=r"there is no .*nowhere"):
        load([tmp_path / "nowhere"])


def test_a_folder_may_be_called_as_that_of_tests_that_share_a_world(tmp_path: Path) -> None:
    own, shared = tmp_path / "tests" / "test_own", tmp_path / "module" / "tests" / "test_shares"
    for folder in (own, shared):
        folder.mkdir(parents=True)
        shutil.copy(Path(__file__).parent / "samples" / "consumed" / "result.json", folder)
    (own / "test.txt").write_text("testcases/test_x.py::test_own\n")
    assert load([own]).runs[0].evidence == own
    assert load([shared]).runs[0].evidence == tmp_path / "module"


def test_a_scenario_without_sources_has_none(changed: Callable[..., Path]) -> None:
    folder = changed("consumed", lambda told: told["scenario"].update(sources=None))
    assert load([folder]).runs[0].scenario["sources"] == []
    folder = changed("consumed", lambda told: told["scenario"].update(sources=5), "other")
    with pytest.raises(UsageError, match="'sources' is '5'"):
        load([folder])
