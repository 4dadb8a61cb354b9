# SPDX-License-Identifier: Apache-2.0
"""The judge names every deviation, and nothing but the right story passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from seabus.chains import host
from seabus.errors import UsageError
from seabus.judge.expectation import Expectation, resolved
from seabus.judge.judge import judge
from seabus.judge.verdict import Verdict
from seabus.observe.clock import HERE, Alignment
from seabus.observe.events import Event, Level
from seabus.observe.story import Story

CLOCKS: dict[Level, Alignment] = {"L0": HERE, "L1": HERE, "L2": Alignment(offset_ns=0, error_ns=1_000_000)}
CHAIN = [
    Expectation(name="told", level="L1", witness="trace", kind="sigbus", fields={"code": 5, "tid": 7}),
    Expectation(
        name="stopped",
        level="L1",
        witness="trace",
        kind="sigbus",
        fields={"code": 4, "tid": 9},
        after=("told",),
    ),
    Expectation(
        name="taken",
        level="L2",
        witness="kprobe",
        kind="sea",
        fields={"esr": 0x92000410, "far": (0, None)},
        after=("stopped",),
    ),
]
GOOD = [
    Event(level="L1", witness="trace", kind="sigbus", clock_ns=10_000_000, fields={"code": 5, "tid": 7}),
    Event(level="L1", witness="trace", kind="sigbus", clock_ns=20_000_000, fields={"code": 4, "tid": 9}),
    Event(
        level="L2",
        witness="kprobe",
        kind="sea",
        clock_ns=30_000_000,
        fields={"esr": 0x92000410, "far": 0},
    ),
]


def verdict_on(events: Sequence[Event]) -> tuple[Verdict, list[str]]:
    found = judge(Story(events, CLOCKS, 0), CHAIN)
    return found.verdict, [finding.text for finding in found.findings]


def altered(number: int, **changes: object) -> list[Event]:
    events = list(GOOD)
    event = events[number]
    events[number] = dataclasses.replace(event, fields={**event.fields, **changes})
    return events


def test_the_right_story_passes() -> None:
    assert verdict_on(GOOD) == (Verdict.PASS, [])


def test_notes_are_judged_by_nobody() -> None:
    note = Event(level="L1", witness="kernel-log", kind="note", clock_ns=1)
    assert verdict_on([note, *GOOD])[0] is Verdict.PASS


@pytest.mark.parametrize("number", range(3))
def test_a_missing_event(number: int) -> None:
    events = [event for place, event in enumerate(GOOD) if place != number]
    verdict, findings = verdict_on(events)
    assert verdict is Verdict.FAIL
    assert len(findings) == 1
    assert findings[0].startswith(f"missing: {CHAIN[number].name}")


@pytest.mark.parametrize("number", range(3))
def test_an_event_too_many(number: int) -> None:
    verdict, findings = verdict_on([*GOOD, dataclasses.replace(GOOD[number], clock_ns=99_000_000)])
    assert verdict is Verdict.FAIL
    assert len(findings) == 1
    assert findings[0].startswith("extra")


@pytest.mark.parametrize(
    ("number", "field", "value"),
    [(0, "code", 3), (0, "tid", 8), (1, "code", 3), (1, "tid", 7), (2, "esr", 0x96000410), (2, "far", 1)],
)
def test_each_wrong_value_is_named(number: int, field: str, value: int) -> None:
    found = judge(Story(altered(number, **{field: value}), CLOCKS, 0), CHAIN)
    assert found.verdict is Verdict.FAIL
    assert [(finding.kind, finding.field, finding.observed) for finding in found.findings] == [
        ("wrong", field, value)
    ]


def test_two_signals_of_one_sort_are_told_apart_by_their_values() -> None:
    """AO and AR come from one witness: a wrong AR must not be reported as a wrong AO."""
    found = judge(Story(altered(1, tid=11), CLOCKS, 0), CHAIN)
    assert [finding.subject for finding in found.findings] == ["stopped"]


def test_out_of_order_within_a_level() -> None:
    events = [dataclasses.replace(GOOD[0], clock_ns=25_000_000), *GOOD[1:]]
    verdict, findings = verdict_on(events)
    assert verdict is Verdict.FAIL
    assert findings == ["out of order: stopped came before told"]


@pytest.mark.parametrize(("early_ns", "expected"), [(500_000, Verdict.PASS), (1_500_000, Verdict.FAIL)])
def test_order_between_levels_is_asserted_beyond_the_clocks_error(early_ns: int, expected: Verdict) -> None:
    events = [*GOOD[:2], dataclasses.replace(GOOD[2], clock_ns=20_000_000 - early_ns)]
    assert verdict_on(events)[0] is expected


def test_trouble_anywhere_fails() -> None:
    oops = Event(level="L2", witness="kernel-log", kind="trouble", clock_ns=5, text="Internal error: Oops")
    verdict, findings = verdict_on([*GOOD, oops])
    assert verdict is Verdict.FAIL
    assert "Internal error" in findings[0]


def test_a_bystander_hit_fails() -> None:
    hit = Event(
        level="L2", witness="bystander", kind="bystander", clock_ns=9, text="a page beside it was hit"
    )
    assert verdict_on([*GOOD, hit]) == (Verdict.FAIL, ["a page beside it was hit"])


def test_a_death_is_told_before_what_it_made_impossible() -> None:
    panic = Event(level="L2", witness="console", kind="panic", clock_ns=25_000_000, text="the guest panicked")
    verdict, findings = verdict_on([*GOOD[:2], panic])
    assert verdict is Verdict.FAIL
    assert findings[0] == "the guest panicked"
    assert findings[1].startswith("missing: taken")


def test_a_death_can_be_expected() -> None:
    panic = Event(level="L1", witness="console", kind="panic", clock_ns=1, fields={"who": "host"})
    dies = Expectation(name="host-panics", level="L1", witness="console", kind="panic")
    assert judge(Story([panic], CLOCKS, 0), [dies]).verdict is Verdict.PASS


def test_lost_events_are_unknown_even_if_all_was_seen() -> None:
    lost = Event(level="L2", witness="trace", kind="lost", clock_ns=0, text="CPU 0's trace lost events")
    assert verdict_on([*GOOD, lost])[0] is Verdict.UNKNOWN


def test_expecting_nothing_is_no_pass() -> None:
    assert judge(Story([], CLOCKS, 0), []).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("drop", [lambda: GOOD[:0], lambda: GOOD[:1], lambda: GOOD[1:]])
def test_parts_of_the_story_never_pass(drop: Callable[[], list[Event]]) -> None:
    assert verdict_on(drop())[0] is Verdict.FAIL


def two_chains(*, first: str, second: str) -> list[Expectation]:
    """Two vCPUs that meet an error each; only the last link of each tells which."""
    return [
        expectation
        for again, tid in ((first, 1), (second, 2))
        for expectation in (
            Expectation(
                name=f"stopped{again}", level="L1", witness="trace", kind="sigbus", fields={"code": 4}
            ),
            Expectation(
                name=f"injected{again}",
                level="L1",
                witness="log",
                kind="exception",
                fields={"esr": 1},
                after=(f"stopped{again}",),
            ),
            Expectation(
                name=f"taken{again}",
                level="L1",
                witness="kprobe",
                kind="sea",
                fields={"tid": tid},
                after=(f"injected{again}",),
            ),
        )
    ]


def chain(start: int, tid: int) -> list[Event]:
    """One of them, in fact."""
    return [
        Event(level="L1", witness="trace", kind="sigbus", clock_ns=start, fields={"code": 4}),
        Event(level="L1", witness="log", kind="exception", clock_ns=start + 10, fields={"esr": 1}),
        Event(level="L1", witness="kprobe", kind="sea", clock_ns=start + 20, fields={"tid": tid}),
    ]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("names", [("", "-second"), ("-second", "")])
def test_which_of_two_came_first_does_not_matter(order: tuple[int, int], names: tuple[str, str]) -> None:
    story = Story([*chain(100, order[0]), *chain(200, order[1])], CLOCKS, 0)
    found = judge(story, two_chains(first=names[0], second=names[1]))
    assert found.verdict is Verdict.PASS, found.findings


def test_what_was_taken_before_it_was_injected_is_out_of_order() -> None:
    early = [*chain(100, 1), *chain(200, 2)]
    early[5] = dataclasses.replace(early[5], clock_ns=50)
    found = judge(Story(early, CLOCKS, 0), two_chains(first="", second="-second"))
    assert [one.kind for one in found.findings] == ["order"]


@pytest.mark.parametrize("results", [(2, 0), (0, 2)])
def test_the_one_of_any_value_takes_what_the_other_cannot(results: tuple[int, int]) -> None:
    either, one = (
        Expectation(name=name, level="L1", witness="trace", kind="sigbus", fields={"result": wanted})
        for name, wanted in (("either", (0, 2)), ("one", 0))
    )
    events = [
        Event(level="L1", witness="trace", kind="sigbus", clock_ns=number, fields={"result": result})
        for number, result in enumerate(results)
    ]
    for expected in ([either, one], [one, either]):
        assert judge(Story(events, CLOCKS, 0), expected).verdict is Verdict.PASS


def test_what_must_come_is_served_before_what_may() -> None:
    may = dataclasses.replace(CHAIN[0], name="may", optional=True)
    assert judge(Story(GOOD[:1], CLOCKS, 0), [may, CHAIN[0]]).verdict is Verdict.PASS


def test_one_event_does_not_do_for_two_of_a_name() -> None:
    with pytest.raises(UsageError, match="told is expected 2 times"):
        judge(Story(GOOD, CLOCKS, 0), [*CHAIN, CHAIN[0]])


def after(expectations: Sequence[Expectation]) -> list[tuple[str, ...]]:
    return [one.after for one in resolved(expectations)]


def test_what_follows_another_of_the_same_chain_follows_that_of_all_chains_where_it_has_none() -> None:
    record, taken, told = host.RECORD(), host.UNMAPPED(after=(host.RECORD,)), host.VMM_TOLD
    second = host.UNMAPPED(again="-second", after=(host.RECORD, host.VMM_TOLD))
    shared = [record, told(), taken, second]
    assert after(shared)[2:] == [("host-record",), ("host-record", "vmm-told")]
    own = [*shared, host.RECORD(again="-second"), told(again="-second")]
    assert after(own)[3] == ("host-record-second", "vmm-told-second")


def test_what_is_not_expected_is_in_no_order() -> None:
    assert after([host.UNMAPPED(after=(host.RECORD,))]) == [()]
    assert after([dataclasses.replace(CHAIN[1], after=("told", "another"))]) == [()]
    assert after([CHAIN[0], dataclasses.replace(CHAIN[1], after=("told", "another"))])[1] == ("told",)
