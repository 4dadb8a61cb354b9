# SPDX-License-Identifier: Apache-2.0
"""Scenes: what caused what, what never came, and how far an error went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seabus.report.lanes import FIRMWARE, GUEST, HOST, PROCESS, VICTIM, VMM
from seabus.report.loaded import Run, load
from seabus.report.scene import Scene, Status, scene_of


def told(scene: Scene) -> list[tuple[str, list[str]]]:
    """Each row that was expected, and what caused it."""

    def name(number: int) -> str:
        row = scene.rows[number]
        return row.expected.name if row.expected else row.label

    return [(name(n), [name(one) for one in row.causes]) for n, row in enumerate(scene.rows) if row.expected]


CHAIN = [
    ("host-record", ["memory-record: recoverable, 0x57835000"]),
    ("vmm-told", ["host-record"]),
    ("host-unmapped", ["host-record"]),
    ("vcpu-stopped", ["host-unmapped", "the victim's read begins"]),
    ("abort-injected", ["vcpu-stopped"]),
    ("abort-taken", ["abort-injected"]),
    ("guest-record", ["abort-taken"]),
    ("victim-signalled", ["guest-record"]),
    ("guest-unmapped", ["guest-record"]),
    ("victim-informed", ["victim-signalled"]),
]


def test_the_main_job_is_one_tree_of_causes(sample: Callable[[str], Run]) -> None:
    scene = scene_of(sample("consumed"))
    assert told(scene) == CHAIN
    assert {row.status for row in scene.rows} == {Status.CONTEXT, Status.EXPECTED}
    lanes = {row.expected.name: row.lane for row in scene.rows if row.expected}
    assert [lanes[name] for name, _ in CHAIN] == [
        HOST, VMM, HOST, VMM, VMM, GUEST, GUEST, VICTIM, GUEST, VICTIM
    ]  # fmt: skip
    assert scene.rows[0].lane == FIRMWARE
    assert set(scene.reach().values()) == {Status.CONTEXT, Status.EXPECTED}


def test_what_never_came_is_the_same_tree(sample: Callable[[str], Run]) -> None:
    scene = scene_of(sample("negative"))
    missing = [row for row in scene.rows if row.status is Status.MISSING]
    assert told(scene)[1:] == CHAIN[1:]
    assert told(scene)[0] == ("host-record", [])  # nothing was injected
    assert scene.rows[-len(missing) :] == missing
    assert scene.reach() == {"L0": None, "L1": Status.MISSING, "L2": Status.MISSING}


def test_an_error_of_the_host_alone_stays_there(sample: Callable[[str], Run]) -> None:
    scene = scene_of(sample("file"))
    assert scene.reach() == {"L0": Status.CONTEXT, "L1": Status.EXPECTED, "L2": None}
    by_name = {row.expected.name: row for row in scene.rows if row.expected}
    assert by_name["host-process-told"].lane == PROCESS
    assert told(scene)[1] == ("host-process-told", ["host-record"])
    assert told(scene)[-1] == ("host-process-sync-fails", ["the victim's fsync begins"])


def test_what_is_missing_in_between_stands_there(
    sample: Callable[[str], Run], changed: Callable[..., Path]
) -> None:
    def lose(document: dict[str, Any]) -> None:
        gone = document["expectations"][2]["event"]  # host-unmapped
        del document["events"][gone]
        for expected in document["expectations"]:
            if expected["event"] == gone:
                expected["event"] = None
            elif expected["event"] > gone:
                expected["event"] -= 1

    scene = scene_of(load([changed("consumed", lose)]).runs[0])
    names = [row.expected.name if row.expected else "" for row in scene.rows]
    assert names.index("vmm-told") < names.index("host-unmapped") < names.index("vcpu-stopped")
    assert scene.rows[names.index("host-unmapped")].status is Status.MISSING
    assert scene.reach()["L1"] is Status.MISSING


def test_a_wrong_value_is_told(changed: Callable[..., Path]) -> None:
    def mistake(document: dict[str, Any]) -> None:
        expected = next(one for one in document["expectations"] if one["name"] == "abort-taken")
        document["events"][expected["event"]]["fields"]["esr"] = 0x96000010

    scene = scene_of(load([changed("consumed", mistake)]).runs[0])
    (wrong,) = [row for row in scene.rows if row.status is Status.WRONG]
    assert wrong.remark == "esr is 0x96000010, expected 0x92000410"
    assert scene.reach()["L2"] is Status.WRONG


def test_what_nobody_expected_is_told(sample: Callable[[str], Run]) -> None:
    scene = scene_of(sample("known"))
    labels = [row.label for row in scene.rows if row.status is Status.UNEXPECTED]
    assert labels == [
        "SIGBUS BUS_MCEERR_AR to qemu-system-aar (thread 119)",
        "the VMM died: without a word",
    ]


def test_what_nobody_expected_has_a_cause_where_that_is_certain(changed: Callable[..., Path]) -> None:
    """Without its expectations a whole chain is unexpected, and still a chain; QEMU's own signals are not."""

    def forget(document: dict[str, Any]) -> None:
        document["expectations"] = []

    scene = scene_of(load([changed("consumed", forget)]).runs[0])
    rows = [row for row in scene.rows if row.status is Status.UNEXPECTED and row.event]
    causes = {
        (row.lane, row.event.kind): [scene.rows[one].label for one in row.causes] for row in rows if row.event
    }
    begins = ["the victim's read begins"]
    assert causes[HOST, "ghes"] == ["memory-record: recoverable, 0x57835000"]
    assert causes[HOST, "memory_failure"] == ["GHES record, source 1, recoverable at 0x57835000"]
    assert causes[VMM, "sigbus"] == begins
    assert causes[VMM, "exception"] == ["SIGBUS BUS_MCEERR_AR to CPU 0/KVM (thread 122)"]
    assert causes[GUEST, "sea"][0].startswith("the VMM injects a Data Abort")
    assert causes[GUEST, "ghes"] == []
    assert causes[VICTIM, "sigbus"] == begins
    assert causes[VICTIM, "siginfo"] == ["SIGBUS BUS_MCEERR_AR to seabus-agent (thread 113)"]


def test_fields_of_another_make_are_shown_as_they_were_told(changed: Callable[..., Path]) -> None:
    def strip(document: dict[str, Any]) -> None:
        for event in document["events"]:
            event["fields"] = {"code": [], "esr": "much", "address": None}

    scene = scene_of(load([changed("consumed", strip)]).runs[0])
    assert all(isinstance(row.label, str) for row in scene.rows)
