# SPDX-License-Identifier: Apache-2.0
"""The page and its pictures: as they were looked at once, complete, harmless and small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seabus.report import html
from seabus.report.html.consoles import consoles
from seabus.report.html.packed import unpacked
from seabus.report.loaded import Run, Runs, load
from seabus.report.picture import picture

EVIL = (
    "</script></title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    "{{7*7}}\x1b[31m\x00\u202e\uffff&amp;]]>"
)
#: The most that a page of 500 runs may weigh.
MOST_BYTES = 5_000_000


class Page(HTMLParser):
    """What is in a page: tags, ids, links, texts; void elements aside, each tag is closed."""

    VOID = frozenset(("meta", "input", "br"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str | None]:
        return [value for _, one, value in self.attributes if one == name]


def pictures_of(text: str) -> list[str]:
    """Those that are packed."""
    found = re.search(r'<script type="application/octet-stream" id="packed">([^<]*)</script>', text)
    assert found
    told: dict[str, list[str]] = unpacked(found[1])  # type: ignore[assignment]
    return told["pictures"]


@pytest.mark.parametrize("name", ["consumed", "negative", "known"])
def test_pictures_as_they_were(
    name: str, sample: Callable[[str], Run], golden: Callable[[str, str], None]
) -> None:
    golden(f"{name}.svg", picture(sample(name), alone=True).replace("><", ">\n<") + "\n")


def test_the_picture_in_the_documents_is_of_today(sample: Callable[[str], Run]) -> None:
    shown = Path(__file__).parents[3] / "docs/explanation/the-chain.svg"
    assert shown.read_text() == picture(sample("consumed"), alone=True) + "\n", (
        f"seabus report framework/tests/report/samples/consumed -o {shown.name}"
    )


def test_a_picture_names_its_parts(samples: Runs) -> None:
    for run in samples.runs:
        root = ElementTree.fromstring(picture(run, alone=True))
        assert root.get("role") == "group"  # an img has no parts for who cannot see it
        assert str(run.verdict) in (root.get("aria-label") or "")
        rows = [one for one in root.iter() if (one.get("class") or "").startswith("row ")]
        assert all(row[0].tag.endswith("title") and row[0].text for row in rows)
        assert all(row.get("tabindex") == "0" for row in rows)
        lists = [one for one in root.iter() if one.get("role") == "list"]
        assert [row for one in lists for row in one] == rows
        assert all(row.get("role") == "listitem" for row in rows)


def test_a_row_says_aloud_what_is_drawn(sample: Callable[[str], Run]) -> None:
    def said(name: str) -> list[str]:
        root = ElementTree.fromstring(picture(sample(name)))
        return [one.get("aria-label", "") for one in root.iter() if one.get("role") == "listitem"]

    taken = next(one for one in said("consumed") if "SEA taken" in one)
    assert taken.startswith("117.9 ms, L2 kernel, expected: SEA taken: ESR_EL1 0x92000410")
    assert ", caused by the VMM injects a Data Abort into vCPU 0" in taken
    assert "L2 kernel, missing: guest-record, caused by missing: abort-taken" in said("negative")


def test_of_many_events_those_are_drawn_that_are_wrong(changed: Callable[..., Path]) -> None:
    def storm(told: dict[str, Any]) -> None:
        last = told["events"][-1]
        more = [{**last, "t": last["t"] + number, "witness": "other"} for number in range(1, 300)]
        for number, event in enumerate(more):
            event["kind"] = "inject" if number % 50 else "trouble"
        told["events"] += more

    run = load([changed("negative", storm)]).runs[0]
    root = ElementTree.fromstring(picture(run))
    kinds = [one.get("class", "").split()[1] for one in root.iter() if one.get("class", "")[:4] == "row "]
    assert len(kinds) == 120
    assert (kinds.count("unexpected"), kinds.count("missing")) == (6, 10)
    assert "and 191 more: see the list" in "".join(root.itertext())


def test_syndromes_and_records_are_decoded(sample: Callable[[str], Run]) -> None:
    text = picture(sample("consumed"))
    assert "[5:0] DFSC 0x10: synchronous external abort (not on a table walk)" in text
    assert "physical_address 0x0000000057835000 where the error occurred" in text
    assert "error_type 0x03 multi-bit ECC" in text
    assert "the guest takes it with the VMM's syndrome (Arm ARM DDI 0487, ESR_EL1)" in text


def test_a_record_is_decoded_where_it_is_reported(sample: Callable[[str], Run]) -> None:
    """The kernel's row has the bytes that its record was made of; those of the VMM's nobody has."""
    root = ElementTree.fromstring(picture(sample("consumed")))
    titles = [one.text or "" for one in root.iter() if one.tag == "title"]
    host = next(one for one in titles if one.startswith("GHES record, source 1"))
    assert re.search(r"^CPER, \d+ bytes$", host, re.MULTILINE)
    assert "physical_address 0x0000000057835000 where the error occurred" in host
    guest = next(one for one in titles if one.startswith("GHES record, source 0"))
    assert "its bytes are not in the result" in guest


def test_findings_that_have_no_room_are_counted(changed: Callable[..., Path]) -> None:
    def add(told: dict[str, Any]) -> None:
        one = {"kind": "extra", "subject": "sigbus", "text": "extra at L1: again"}
        told["findings"] = [one] * 73

    folder = changed("negative", add)
    said = "".join(Page(html.page(load([folder]))).texts)
    assert said.count("extra at L1: again") == 60
    assert f"and 13 more: all are in {folder}/result.json" in said
    few = changed("negative", lambda told: told, "few")
    assert "more: all are in" not in html.page(load([few]))


def test_a_story_without_end_is_cut(changed: Callable[..., Path]) -> None:
    folder = changed("negative", lambda told: told["events"].extend([told["events"][0]] * 50_000))
    page = html.page(load([folder]))
    assert len(page) < MOST_BYTES
    assert re.search(rf"and 300\d\d more: all are in {folder}/result.json", page)


def test_a_heat_map_has_each_run_below_its_configuration(changed: Callable[..., Path]) -> None:
    def of(kernel: str, mode: str) -> Callable[[dict[str, Any]], None]:
        def change(told: dict[str, Any]) -> None:
            told["versions"]["l1_kernel"] = kernel
            told["configuration"]["l1_mode"] = mode

        return change

    folders = [
        changed("consumed", of("6.12", "nvhe"), "a"),
        changed("negative", of("7.3", "nvhe"), "b"),
        changed("fatal", of("7.3", "nvhe"), "c"),
        changed("consumed", of("7.3", "vhe"), "d"),
    ]
    head, *rows = Heat(html.page(load(folders))).rows
    assert head == ["chapter", "L1 Linux 7.3", "L1 Linux 6.12", "L1 Linux 7.3, L1 mode vhe"]
    assert rows == [
        [
            "consumed page",
            "✕test_anonymous_page[read]: fail",
            "✓test_anonymous_page[read]: pass",
            "✓test_anonymous_page[read]: pass",
        ],
        ["severities", "✓test_fatal: pass", "", ""],
    ]


class Heat(HTMLParser):
    """The heat map's rows, each a text for each of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text.partition('<table class="heat"')[2].partition("</table>")[0])
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


def test_a_page_has_all_runs_and_needs_nothing(samples: Runs) -> None:
    text = html.page(samples)
    found = Page(text)
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert len([one for one in ids if one and re.fullmatch(r"r\d+", one)]) == len(samples.runs)
    links = found.values("href")
    assert links
    assert all(link and link[0] == "#" and link[1:] in ids for link in links)
    assert not {"src", "style", "onclick", "onload", "onerror"} & {name for _, name, _ in found.attributes}
    assert not {"link", "img", "iframe", "object", "base"} & set(found.tags)
    said = "".join(found.texts)
    for run in samples.runs:
        assert run.title in said
        assert run.is_well or run.reason in said
    assert said.count("Expected and observed") == 3  # negative, known, lost


def test_pictures_are_plain_where_few_and_packed_where_many(samples: Runs) -> None:
    assert "application/octet-stream" not in html.page(samples)
    many = Runs(runs=[*samples.runs] * 3)
    text = html.page(many)
    drawn = pictures_of(text)
    assert len(drawn) == len(many.runs)
    assert all(ElementTree.fromstring(one).tag == "svg" for one in drawn)
    places = [int(one) for one in re.findall(r'data-picture="(\d+)"', text)]
    assert places == sorted(set(places))
    assert len(places) == len(many.runs) - 3  # nothing happened in those that ended in an error


def evil_everywhere(told: dict[str, Any]) -> None:
    """Each text of a result, and each name that somebody else chooses."""

    def spoil(found: Any) -> Any:  # noqa: ANN401
        if isinstance(found, str):
            return f"{found} {EVIL}"
        if isinstance(found, dict):
            return {
                name if name in KEPT else f"{name}{EVIL}" if name[:2] == "x-" else name: one
                if name in KEPT
                else spoil(one)
                for name, one in found.items()
            }
        return [spoil(one) for one in found] if isinstance(found, list) else found

    told["versions"]["x-evil"] = told["configuration"]["x-evil"] = "x"
    told["error"] = {"message": "x", "hint": "x", "details": {"x-title": "x"}}
    told |= spoil(dict(told))


#: Words that the format lays down; others are refused where they are read.
KEPT = ("verdict", "level", "kind", "witness", "after", "name", "cper", "link")


def test_words_of_a_guest_do_no_harm(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed("known", evil_everywhere)
    for name in ("console-l1.log", "console-l2.log", "vmm.log", "emulator.log"):
        (folder / name).write_bytes(EVIL.encode() * 3 + bytes(range(256)) + b"\xc3\x28\xff\xfe")
    told = json.loads((folder / "result.json").read_text())
    told["known"] = None
    (folder / "result.json").write_text(json.dumps(told))
    runs = load([folder])
    clean = html.page(load([Path(__file__).parent / "samples/known"]))
    spoilt = html.page(runs, title=EVIL)
    for page in (spoilt, html.page(Runs(runs=[*runs.runs] * 20))):
        found = Page(page)
        assert set(found.tags) <= set(Page(clean).tags) | {"tr", "td", "svg", "script", *TABLES}
        assert not any(name.startswith("on") for _, name, _ in found.attributes)
        assert page.count("<script") == (2 if "octet-stream" in page else 1)
        assert page.count("{{7*7}}") > 9
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", page)
    for drawn in pictures_of(html.page(Runs(runs=[*runs.runs] * 20))):
        tags = {one.tag for one in ElementTree.fromstring(drawn).iter()}
        assert tags <= {"svg", "g", "rect", "line", "path", "circle", "text", "tspan", "title"}


TABLES = ("table", "thead", "tbody", "th", "caption", "section", "form", "label", "input", "span", "a", "h2")


def test_only_our_script_and_style_are_obeyed(samples: Runs) -> None:
    text = html.page(samples)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy[1]
    assert policy[1].count("sha256-") == 2


def test_consoles_are_kept_of_what_needs_a_look(samples: Runs, tmp_path: Path) -> None:
    runs = [run for run in samples.runs if run.folder.name in ("fatal", "lost")]
    assert consoles(runs).of == {}
    kept = consoles(runs, all_of_them=True)
    ((number, [(name, place)]),) = kept.of.items()
    assert (runs[number].folder.name, name) == ("fatal", "console-l1.log")
    assert "Kernel panic - not syncing: GHES: Fatal hardware error" in kept.texts[place]
    short = consoles(runs, all_of_them=True, kib=1).texts[0]
    assert re.match(r"\[\d+ bytes before this\]\n", short)
    assert kept.texts[place].endswith(short[-900:])


def test_the_same_console_is_kept_once(changed: Callable[..., Path]) -> None:
    folders = [changed("negative", lambda told: told, f"run-{number}") for number in range(4)]
    for folder in folders:
        (folder / "console-l1.log").write_text("the same")
    kept = consoles(load(folders).runs)
    assert kept.texts == ["the same"]
    assert len(kept.of) == 4


def test_five_hundred_runs_fit_into_little(many: Path) -> None:
    runs = load([many])
    text = html.page(runs)
    assert len(runs.runs) == 500
    assert len(text.encode()) < MOST_BYTES
    assert len(pictures_of(text)) == 500
    kept = consoles(runs.runs)
    assert len(kept.of) == 50
    assert len(kept.texts) == 100


def test_without_a_script_a_run_is_told_all_the_same(many: Path) -> None:
    """The pictures of many are packed; their events are there as text."""
    text = html.page(load([many]))
    assert len(list(_stories(text))) == 500
    assert all("host-record" in story for story in _stories(text) if "kernel-log" in story)


def _stories(text: str) -> Iterator[str]:
    for found in re.finditer(r'<details class="story">.*?</details>', text, re.DOTALL):
        yield found[0]
