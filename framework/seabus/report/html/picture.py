# SPDX-License-Identifier: Apache-2.0
"""One fault as a sequence picture: a lane for each level, time downwards, arrows from cause to effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from seabus.report.html.rows import LANES, Row

_LEFT: Final = 86
_LANE: Final = 150
_TOP: Final = 46
_ROW: Final = 26
_WIDTH: Final = _LEFT + _LANE * len(LANES) + 250
#: Labels of the last lanes stand left of their dots, where there is room.
_TURNS_AT: Final = 3
_LONGEST: Final = 78


def picture(rows: Sequence[Row], *, label: str) -> str:
    """An SVG element; its colours come from the page's style.

    :param label: what it shows, for who cannot see it.
    """
    return "".join(_parts(rows, label))


def _parts(rows: Sequence[Row], label: str) -> Iterator[str]:
    height = _TOP + _ROW * len(rows) + 14
    yield (
        f'<svg class="story" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}"'
        ' xmlns="http://www.w3.org/2000/svg">'
    )
    for number, name in enumerate(LANES):
        x = _x(number)
        yield f'<text class="lane {name[:2]}" x="{x}" y="20">{name}</text>'
        yield f'<path class="line {name[:2]}" d="M{x} 28V{height - 6}"/>'
    places = {row.name: (row.lane, number) for number, row in enumerate(rows) if row.name}
    begin = next((number for number, row in enumerate(rows) if row.lane == 0), None)
    for number, row in enumerate(rows):
        for cause in row.causes:
            if cause in places:
                yield _arrow(places[cause], (row.lane, number), row)
        if not row.causes and begin is not None and number > begin and row.state == "right":
            yield _arrow((rows[begin].lane, begin), (row.lane, number), row)
    for number, row in enumerate(rows):
        yield _dot(row, number)
    yield "</svg>"


def _arrow(start: tuple[int, int], end: tuple[int, int], row: Row) -> str:
    """From a dot to another; within a lane it bends, so as not to lie on the line."""
    (x1, y1), (x2, y2) = ((_x(lane), _y(number)) for lane, number in (start, end))
    kind = "arrow missing" if row.state == "missing" else f"arrow {LANES[end[0]][:2]}"
    if x1 == x2:
        bend = 10 + 3 * min(8, abs(end[1] - start[1]))
        path = f"M{x1 - 5} {y1}C{x1 - bend} {y1} {x2 - bend} {y2} {x2 - 7} {y2}"
    else:
        side = 7 if x1 > x2 else -7
        path = f"M{x1} {y1 + 5}C{x1} {y2} {x1} {y2} {x2 + side} {y2}"
    return f'<path class="{kind}" d="{path}" marker-end="url(#tip)"/>'


def _dot(row: Row, number: int) -> str:
    x, y = _x(row.lane), _y(number)
    time = "" if row.t is None else f'<text class="time" x="62" y="{y + 4}">{row.t * 1e3:.1f}</text>'
    left = row.lane >= _TURNS_AT
    anchor = ' text-anchor="end"' if left else ""
    text = row.text if len(row.text) <= _LONGEST else f"{row.text[: _LONGEST - 1]}…"
    return (
        f'<g class="event {row.state} {LANES[row.lane][:2]}" tabindex="0">'
        f"<title>{escape(row.details)}</title>"
        f'{time}<circle cx="{x}" cy="{y}" r="5"/>'
        f'<text x="{x - 12 if left else x + 12}" y="{y + 4}"{anchor}>{escape(text)}</text></g>'
    )


def _x(lane: int) -> int:
    return _LEFT + _LANE * lane + (40 if lane else 10)


def _y(number: int) -> int:
    return _TOP + _ROW * number + 8
