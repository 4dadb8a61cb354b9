# SPDX-License-Identifier: Apache-2.0
"""The matrix told: on a terminal, as HTML, as JSON."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser

import pytest
from rich.console import Console

from seabus.kvmprobe.vm import Vm
from seabus.matrix import witnesses
from seabus.matrix.judge import Answer, Status
from seabus.matrix.question import Question
from seabus.matrix.run import MatrixRun
from seabus.report import matrix_html, matrix_json, matrix_terminal


@pytest.fixture
def run(vm: Vm, table: list[Question]) -> MatrixRun:
    statuses = list(Status)
    answers = [
        Answer(question=question, status=statuses[n % 4], reason=f"<because> & {n % 3}", seen={"esr": 0x9200})
        for n, question in enumerate(table)
    ]
    return MatrixRun(mode="nvhe", answers=answers, results={}, seconds=2, asked=100, vm=vm)


def test_the_terminal_tells_counts_and_reasons(run: MatrixRun) -> None:
    stream = io.StringIO()
    testimony = witnesses.Testimony(cells=3, complaints=[(run.answers[0].question, "L0's log: nothing")])
    matrix_terminal.show(run, testimony, console=Console(file=stream, width=200))
    text = stream.getvalue()
    assert f"{len(run.answers)} cells" in text
    assert "unexplained, and why" in text
    assert "L0's log: nothing" in text
    assert "50/s" in text


def test_the_page_is_well_formed_and_needs_nothing(run: MatrixRun) -> None:
    class Reader(HTMLParser):
        squares = 0
        open_tags: list[str] = []  # noqa: RUF012 - one reader in this test

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not {name for name, _ in attrs} & {"src", "href"}
            self.squares += tag == "td" and any(name == "title" for name, _ in attrs)
            if tag != "meta":
                self.open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open_tags.pop() == tag

    reader = Reader()
    reader.feed(matrix_html.page([run]).replace("<p>", "").replace("</p>", ""))
    assert reader.open_tags == []
    assert reader.squares > 500


def test_the_document_has_every_cell(run: MatrixRun) -> None:
    document = json.loads(json.dumps(matrix_json.result([run], [])))
    assert len(document["cells"]) == len(run.answers)
    assert set(document["cells"][0]) >= {"mode", "group", "origin", "status", "reason", "seen", "differences"}
    assert document["cells"][0]["seen"]["esr"] == "0x9200"
    assert sum(document["counts"].values()) == len(run.answers)
