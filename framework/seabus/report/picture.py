# SPDX-License-Identifier: Apache-2.0
"""A scene drawn as SVG: who acts at which level from left to right, time from top to bottom.

What came as expected is joined to what caused it by a line that can be followed with a finger; where that
line ends, the error stopped. What should have followed is dashed. Nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from seabus.machine.console import printable
from seabus.report.details import details
from seabus.report.lanes import LEVELS, Lane
from seabus.report.loaded import Run
from seabus.report.scene import BAD, Row, Scene, Status, scene_of
from seabus.report.styles import sheet

_TIME: Final = 78
_LANE: Final = 88
_GAP: Final = 8  # between levels
_TEXT: Final = 660
_HEAD: Final = 62
_ROW: Final = 42
_FOOT: Final = 14
_RADIUS: Final = 7
_BEND: Final = 10
#: Characters of a label, and of the line below it, that fit.
_LABEL_FITS: Final = 88
_REMARK_FITS: Final = 104
#: More rows are not drawn: they are in the table.
_MOST_ROWS: Final = 120
_SVG: Final = "http://www.w3.org/2000/svg"


def picture(run: Run, *, alone: bool = False) -> str:
    """The picture of a run.

    :param alone: with its own style, to be a file; else the page that holds it has its sheet.
    """
    return ElementTree.tostring(_Drawing(run, scene_of(run), alone=alone).drawn(), encoding="unicode")


class _Drawing:
    """One picture being drawn."""

    def __init__(self, run: Run, scene: Scene, *, alone: bool) -> None:
        self._run = run
        self._alone = alone
        self._rows = _chosen(scene.rows)
        self._left_out = len(scene.rows) - len(self._rows)
        self._lanes = scene.lanes
        self._x = dict(self._places())
        self._text = max(self._x.values()) + _LANE / 2 + 14
        self._y = list(self._heights())
        self._bottom = (self._y[-1] if self._y else _HEAD) + _ROW / 2

    def _places(self) -> Iterator[tuple[Lane, float]]:
        at = _TIME + _LANE / 2
        for before, lane in zip((None, *self._lanes), self._lanes, strict=False):
            if before is not None:
                at += _LANE + (_GAP if before.level != lane.level else 0)
            yield lane, at

    def _heights(self) -> Iterator[float]:
        """Rows follow each other closely, a little less so where time went by."""
        at, last = _HEAD + _ROW / 2, None
        for number, row in enumerate(self._rows):
            if number:
                passed = (row.seconds - last) * 1e3 if row.seconds is not None and last is not None else 0
                at += _ROW + min(28.0, 5 * math.log2(1 + max(0.0, passed) / 20))
            last = row.seconds if row.seconds is not None else last
            yield round(at, 1)

    def drawn(self) -> Element:
        width, height = self._text + _TEXT, self._bottom + _FOOT + 26
        svg = Element("svg", {"class": "seq", "viewBox": f"0 0 {width:g} {height:g}", "role": "group"})
        if self._alone:
            svg.set("xmlns", _SVG)
            SubElement(svg, "style").text = sheet("picture")
            SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%"})
        svg.set("width", f"{width:g}")
        svg.set("height", f"{height:g}")
        svg.set("aria-label", printable(f"{self._run.title}: {self._run.verdict}, {self._run.reason}"))
        ground = SubElement(svg, "g", {"aria-hidden": "true"})  # each row says its lane and causes itself
        self._draw_levels(ground)
        self._draw_stop(ground)
        for number, row in enumerate(self._rows):
            for cause in row.causes:
                self._draw_cause(ground, cause, number)
        if self._rows:
            rows = SubElement(svg, "g", {"role": "list", "aria-label": "events in order of time"})
            for row, y in zip(self._rows, self._y, strict=True):
                self._draw_row(rows, row, y)
        self._draw_verdict(svg)
        return svg

    def _draw_levels(self, svg: Element) -> None:
        _text(svg, "time", _TIME - 12, 44, "ms")
        for level, name in LEVELS.items():
            places = [self._x[lane] for lane in self._lanes if lane.level == level]
            left, right = min(places) - _LANE / 2, max(places) + _LANE / 2
            band = {"x": f"{left:g}", "y": "4", "width": f"{right - left:g}", "rx": "8"}
            SubElement(svg, "rect", {"class": f"band {level}", **band, "height": f"{self._bottom:g}"})
            middle = (left + right) / 2
            text = _text(svg, "level " + level, middle, 24)
            SubElement(text, "tspan", {"class": "number"}).text = level
            SubElement(text, "tspan", {"dx": "5"}).text = name
        for lane, x in self._x.items():
            _text(svg, "who", x, 44, lane.who)
            line = {"x1": f"{x:g}", "x2": f"{x:g}", "y1": "52", "y2": f"{self._bottom:g}"}
            SubElement(svg, "line", {"class": "life", **line})

    def _draw_stop(self, svg: Element) -> None:
        """A line under the last that came, if something should have followed."""
        came = [number for number, row in enumerate(self._rows) if row.status is not Status.MISSING]
        first = next((n for n, row in enumerate(self._rows) if row.status is Status.MISSING), None)
        if first is None or any(number > first for number in came):
            return
        above = self._y[first - 1] if first else _HEAD - _ROW / 2
        y = (above + self._y[first]) / 2
        line = {"x1": "8", "x2": f"{self._text + _TEXT - 8:g}", "y1": f"{y:g}", "y2": f"{y:g}"}
        SubElement(svg, "line", {"class": "stop", **line})
        what = "it stopped here; this should have followed" if self._run.faults else "nothing was injected"
        _text(svg, "stop", self._text + _TEXT - 12, y - 5, f"{what}:")

    def _draw_cause(self, svg: Element, cause: int, number: int) -> None:
        """Down the lane of the cause, then across to what it caused."""
        before, row = self._rows[cause], self._rows[number]
        x1, y1, x2, y2 = self._x[before.lane], self._y[cause], self._x[row.lane], self._y[number]
        kind = "cause missing" if row.status is Status.MISSING else f"cause {before.lane.level}"
        if row.event is not None and row.event.kind == "touch":
            kind += " span"  # what lasts, beside what travels
        if x1 == x2:
            tip = y2 - _RADIUS - 2
            path = f"M{x1:g} {y1 + _RADIUS:g}V{tip - 5:g}"
            head = f"M{x2:g} {tip:g}l-4 -7h8z"
        else:
            way = math.copysign(1, x2 - x1)
            tip = x2 - way * (_RADIUS + 2)
            path = (
                f"M{x1:g} {y1 + _RADIUS:g}V{y2 - _BEND:g}"
                f"Q{x1:g} {y2:g} {x1 + way * _BEND:g} {y2:g}H{tip - way * 5:g}"
            )
            head = f"M{tip:g} {y2:g}l{-way * 7:g} -4v8z"
        SubElement(svg, "path", {"class": kind, "d": path})
        SubElement(svg, "path", {"class": f"head {kind}", "d": head})

    def _draw_row(self, svg: Element, row: Row, y: float) -> None:
        kind = f"row {row.status} {row.lane.level}"
        group = SubElement(svg, "g", {"class": kind, "role": "listitem", "tabindex": "0"})
        group.set("aria-label", printable(self._aloud(row)))
        SubElement(group, "title").text = printable("\n".join(details(self._run, row)))
        hit = {"x": "4", "y": f"{y - _ROW / 2 + 1:g}", "rx": "6"}
        width, height = f"{self._text + _TEXT - 8:g}", f"{_ROW - 2:g}"
        SubElement(group, "rect", {"class": "hit", **hit, "width": width, "height": height})
        if row.seconds is not None:
            _text(group, "time", _TIME - 12, y + 4, f"{row.seconds * 1e3:.1f}")
        self._draw_mark(group, row, self._x[row.lane], y)
        label, _, more = printable(row.label).partition(" - ")
        _text(group, "label", self._text, y - 2, _cut(label, _LABEL_FITS))
        _text(group, "remark", self._text, y + 14, _cut(printable(_below(row, more)), _REMARK_FITS))

    def _aloud(self, row: Row) -> str:
        """What the drawing says of a row: when, where, what it is to its expectation, and what caused it."""
        when = f"{row.seconds * 1e3:.1f} ms, " if row.seconds is not None else ""
        what = "" if row.status in (Status.CONTEXT, Status.MISSING) else f"{row.status}: "
        causes = "; ".join(self._rows[cause].label for cause in row.causes)
        caused = f", caused by {causes}" if causes else ""
        return f"{when}{row.lane.level} {row.lane.who}, {what}{row.label}{caused}"

    def _draw_mark(self, group: Element, row: Row, x: float, y: float) -> None:
        """A shape for each status, and a bolt for what was injected."""
        if row.event is not None and row.event.kind == "inject":
            bolt = f"M{x + 3:g} {y - 12:g}l-10 13h6l-3 11 10 -14h-6z"
            SubElement(group, "path", {"class": "bolt", "d": bolt})
        elif row.status is Status.CONTEXT:
            size = {"width": "9", "height": "9", "rx": "2"}
            SubElement(group, "rect", {"class": "mark", "x": f"{x - 4.5:g}", "y": f"{y - 4.5:g}", **size})
        elif row.status is Status.UNEXPECTED:
            SubElement(group, "path", {"class": "mark", "d": f"M{x:g} {y - 10:g}l10 10 -10 10 -10 -10z"})
            _text(group, "sign", x, y + 4.5, "!")
        else:
            radius = _RADIUS + (2 if row.status is not Status.EXPECTED else 0)
            place = {"cx": f"{x:g}", "cy": f"{y:g}", "r": f"{radius:g}"}
            SubElement(group, "circle", {"class": "mark", **place})
            if row.status is not Status.EXPECTED:
                _text(group, "sign", x, y + 4.5, "≠" if row.status is Status.WRONG else "?")

    def _draw_verdict(self, svg: Element) -> None:
        y = self._bottom + 24
        if self._left_out:
            _text(svg, "remark", 8, self._bottom + 14, f"and {self._left_out} more: see the list")
        text = _text(svg, f"verdict {self._run.verdict}", self._text, y)
        SubElement(text, "tspan", {"class": "word"}).text = self._run.verdict.upper()
        said = SubElement(text, "tspan", {"dx": "8", "class": "reason"})
        said.text = _cut(printable(self._run.reason), _LABEL_FITS)


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Of too many the first, and whatever is not as it must be, with what caused it."""
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    bad = [number for number, row in enumerate(rows) if row.status in BAD][: _MOST_ROWS // 3]
    kept = {*bad, *(cause for number in bad for cause in rows[number].causes)}
    room = (number for number in range(len(rows)) if number not in kept)
    kept |= set(islice(room, _MOST_ROWS - len(kept)))
    place = {number: n for n, number in enumerate(sorted(kept))}
    return [
        replace(rows[number], causes=tuple(place[one] for one in rows[number].causes if one in place))
        for number in place
    ]


def _below(row: Row, more: str) -> str:
    """The second line of a row: what is wrong with it, or else who saw it and what it was expected as."""
    if row.remark:
        return row.remark
    told = (row.event.witness if row.event else "", row.expected.name if row.expected else "", more)
    return " · ".join(filter(None, told))


def _text(parent: Element, kind: str, x: float, y: float, text: str = "") -> Element:
    found = SubElement(parent, "text", {"class": kind, "x": f"{x:g}", "y": f"{y:g}"})
    found.text = text
    return found


def _cut(text: str, fits: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= fits else f"{line[: fits - 1]}…"
