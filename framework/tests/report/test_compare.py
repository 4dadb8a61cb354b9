# SPDX-License-Identifier: Apache-2.0
"""Comparisons: runs that used other addresses are the same; what a kernel does otherwise is found."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seabus.report.compare import Comparison, compare
from seabus.report.compare.tell import show
from seabus.report.loaded import Run, load

Change = Callable[[dict[str, Any]], object]


def differences(found: Comparison) -> list[tuple[str, str, str]]:
    return [(one.kind, one.subject, one.what) for one in found.differences]


def event_of(told: dict[str, Any], name: str) -> dict[str, Any]:
    expected = next(one for one in told["expectations"] if one["name"] == name)
    found: dict[str, Any] = told["events"][expected["event"]]
    return found


def test_a_run_is_as_it_is(sample: Callable[[str], Run]) -> None:
    for name in ("consumed", "negative", "known", "fatal", "error"):
        (found,) = compare([sample(name)], [sample(name)])
        assert not found.differences


def test_other_addresses_threads_and_times_are_no_difference(sample: Callable[[str], Run]) -> None:
    (found,) = compare([sample("consumed")], [sample("vhe")])
    assert sample("consumed").faults[0]["address"] != sample("vhe").faults[0]["address"]
    assert not found.differences
    assert found.made_of == {"L1 mode": ("nvhe", "vhe")}


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["versions"].update(qemu="\ud800"),
        lambda told: told["events"][0]["fields"].update(address=1, address_space=""),
        lambda told: [
            event["fields"].update(nonce=[], fru_id={}, tid=[1], op=[]) for event in told["events"]
        ],
    ],
    ids=["half a character", "no space", "lists"],
)
def test_values_that_nobody_writes_do_no_harm(
    change: Change, changed: Callable[..., Path], sample: Callable[[str], Run]
) -> None:
    (run,) = load([changed("consumed", change)]).runs
    found = compare([run], [sample("consumed")])
    show(found, console=Console(file=io.TextIOWrapper(io.BytesIO(), "utf-8")))


def test_what_was_never_heard_is_found(sample: Callable[[str], Run]) -> None:
    (found,) = compare([sample("file")], [sample("lost")])
    assert differences(found) == [
        ("verdict", "", ""),
        ("only in A", "L1 victim siginfo [host-process-hears]", ""),
    ]


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("abort-taken", lambda event: event["fields"].update(esr=0x96000010), "esr"),
        ("host-unmapped", lambda event: event["fields"].update(result="Failed"), "result"),
        ("host-unmapped", lambda event: event["fields"].update(pfn=0x12345), "pfn"),
        ("victim-informed", lambda event: event["fields"].update(lsb=21), "lsb"),
        ("victim-informed", lambda event: event["fields"].update(address=0xFFFF9F28D010), "address"),
        ("victim-signalled", lambda event: event["fields"].update(tid=999), "tid"),
    ],
)
def test_a_changed_value_is_found_and_no_other(
    name: str,
    change: Change,
    found: str,
    changed: Callable[..., Path],
    sample: Callable[[str], Run],
) -> None:
    """Each of them breaks a promise, too, so the status of its event differs."""
    other = load([changed("consumed", lambda told: change(event_of(told, name)))]).runs[0]
    (told,) = compare([sample("consumed")], [other])
    fields = {(one.subject, one.what) for one in told.differences if one.kind == "field"}
    assert {what for _, what in fields} == {found}
    assert any(f"[{name}]" in subject for subject, _ in fields)


def test_all_addresses_may_change_together(
    changed: Callable[..., Path], sample: Callable[[str], Run]
) -> None:
    """What is the same page in one run is the same page in the other."""

    def move(told: dict[str, Any]) -> None:
        def shift(found: Any) -> Any:  # noqa: ANN401
            if isinstance(found, dict):
                return {name: shift_of(name, one) for name, one in found.items()}
            return [shift(one) for one in found] if isinstance(found, list) else found

        def shift_of(name: str, found: Any) -> Any:  # noqa: ANN401
            if name == "pfn" and isinstance(found, int):
                return found + 0x100
            if name in ("address", "physical_address") and found:
                return found + 0x100000 if isinstance(found, int) else hex(int(found, 16) + 0x100000)
            return found + 7 if name == "tid" else shift(found)

        told |= shift(dict(told))

    (found,) = compare([sample("consumed")], [load([changed("consumed", move)]).runs[0]])
    assert differences(found) == []


def test_an_order_that_is_turned_is_found(changed: Callable[..., Path], sample: Callable[[str], Run]) -> None:
    def turn(told: dict[str, Any]) -> None:
        one, other = event_of(told, "guest-record"), event_of(told, "guest-unmapped")
        one["t"], other["t"] = other["t"], one["t"]

    (found,) = compare([sample("consumed")], [load([changed("consumed", turn)]).runs[0]])
    assert ("order", "guest-unmapped", "") in differences(found)


def test_events_are_joined_whatever_lies_between(
    changed: Callable[..., Path], sample: Callable[[str], Run]
) -> None:
    def add(told: dict[str, Any]) -> None:
        more = {
            "level": "L1",
            "witness": "kernel-log",
            "kind": "trouble",
            "t": 0.05,
            "text": "WARNING: a.c:1",
        }
        told["events"].append({**more, "fields": {"what": "warning"}})

    (found,) = compare([sample("consumed")], [load([changed("consumed", add)]).runs[0]])
    assert differences(found) == [("only in B", "L1 kernel-log trouble", "")]


def signalled_twice(first: bool) -> Change:
    """The victim touches two pages; the second touch is signalled, and the first one may be, too."""

    def touch(at: float, address: int, *, heard: bool) -> list[dict[str, Any]]:
        seen: dict[str, Any] = {"level": "L2", "text": "", "cpu": None}
        begun = {**seen, "witness": "victim", "kind": "note", "t": at, "fields": {"op": "write", "tid": 113}}
        sent = {"code": 4, "tid": 113, "comm": "seabus-agent", "result": 0}
        told = {"code": 4, "address": address, "lsb": 12, "tid": 113}
        events = [begun]
        if heard:
            events += [
                {**seen, "witness": "trace", "kind": "sigbus", "t": at + 0.01, "fields": sent},
                {**seen, "witness": "victim", "kind": "siginfo", "t": at + 0.02, "fields": told},
            ]
        return events

    def change(told: dict[str, Any]) -> None:
        told["events"] += [*touch(1, 0xFFFF90001000, heard=first), *touch(2, 0xFFFF90002008, heard=True)]

    return change


def test_one_more_does_not_shift_what_comes_after_it(changed: Callable[..., Path]) -> None:
    """Nobody expected these signals: each is known by the touch that it ended."""
    a, b = (load([changed("consumed", signalled_twice(n), f"{n}")]).runs[0] for n in (False, True))
    for one, other, side in ((a, b, "only in B"), (b, a, "only in A")):
        (found,) = compare([one], [other])
        assert differences(found) == [(side, "L2 trace sigbus", ""), (side, "L2 victim siginfo", "")]
        labels = [f"{told.a}{told.b}" for told in found.differences]
        assert labels[1] == "handler: BUS_MCEERR_AR, si_addr 0xffff90001000, si_addr_lsb 12"
    assert not compare([b], [b])[0].differences


def test_what_other_touches_led_to_is_not_the_same(changed: Callable[..., Path]) -> None:
    """As many signals, and of the same values but for their addresses' pages: yet of another touch."""

    def swap(told: dict[str, Any]) -> None:
        signalled_twice(True)(told)
        told["events"] = [one for one in told["events"] if not (one["t"] > 2 and one["kind"] != "note")]

    a = load([changed("consumed", signalled_twice(False), "second")]).runs[0]
    b = load([changed("consumed", swap, "first")]).runs[0]
    kinds = [(kind, subject) for kind, subject, _ in differences(compare([a], [b])[0])]
    assert ("only in A", "L2 trace sigbus") in kinds
    assert ("only in B", "L2 trace sigbus") in kinds


def test_sets_are_joined_by_test(sample: Callable[[str], Run]) -> None:
    found = compare(
        [sample("consumed"), sample("fatal"), sample("file")],
        [sample("file"), sample("consumed"), sample("vhe")],
    )
    by_test = {one.test.rpartition("::")[2]: differences(one) for one in found}
    assert by_test == {
        "test_anonymous_page[read]": [],
        "test_fatal": [("only in A", "", "")],
        "test_dirty_early": [],
        "test_vhe_host[read]": [("only in B", "", "")],
    }


def test_either_vcpu_will_do_where_either_was_expected(
    changed: Callable[..., Path],
) -> None:
    def either(number: int) -> Change:
        def change(told: dict[str, Any]) -> None:
            expected = next(one for one in told["expectations"] if one["name"] == "vcpu-stopped")
            expected["fields"]["comm"] = ["CPU 0/KVM", "CPU 1/KVM"]
            event_of(told, "vcpu-stopped")["fields"]["comm"] = f"CPU {number}/KVM"

        return change

    one, other = (load([changed("consumed", either(n), f"on-{n}")]).runs[0] for n in (0, 1))
    assert not compare([one], [other])[0].differences


@pytest.mark.parametrize(("judged", "differs"), [(False, True), (True, False)])
def test_a_test_may_fail_for_another_reason(
    judged: bool, differs: bool, changed: Callable[..., Path]
) -> None:
    """Of what was judged the findings tell; a test's own assertion leaves none."""

    def failed(reason: str) -> Callable[[dict[str, Any]], object]:
        finding = {"kind": "missing", "subject": "x", "text": "missing: x"}
        return lambda told: told.update(verdict="fail", reason=reason, findings=[finding] if judged else [])

    one = load([changed("consumed", failed("assert 1 == 2"), "one")]).runs[0]
    other = load([changed("consumed", failed("the guest lost 4096 bytes"), "other")]).runs[0]
    (found,) = compare([one], [other])
    assert [difference.kind for difference in found.differences] == (["reason"] if differs else [])
