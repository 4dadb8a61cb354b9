# SPDX-License-Identifier: Apache-2.0
"""``ci/soak``: keeps the promises of docs/SPEC.md, or shows the trial in which one was broken."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import measured

from soaks import caches, endings, labs, noise, protocols, suites, wedges, worlds
from soaks.row import Result, Row, play, say

_ROOMS: Final = (worlds, suites, endings, wedges, labs, noise, caches, protocols)
ROWS: Final[dict[str, Row]] = {row.name: row for room in _ROOMS for row in room.ROWS}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="ci/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which: {', '.join(ROWS)} [all]")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of trials [1]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--replay", metavar="ROW:NUMBER", help="one trial again, with the --seed it had")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no trial of a row after that")
    parser.add_argument(
        "--more", action="store_true", help="go on where the run that is kept for docs/SPEC.md has ended"
    )
    parser.add_argument("--list", action="store_true", help="show the rows, and run none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--record", action="store_true", help="keep what came of it for docs/SPEC.md")
    options = parser.parse_args()
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if options.list:
        for row in ROWS.values():
            print(f"{row.name:14} {row.times:>8}  {row.promise}")
        return 0
    _hear_signals()
    say(f"seed {options.seed}")
    results = asyncio.run(_play(options))
    told = {
        "seed": options.seed,
        "scale": options.scale,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "rows": [asdict(result) for result in results],
    }
    print(json.dumps(told, indent=1))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 1 if any(result.broken for result in results) else 0


def _hear_signals() -> None:
    """What a shell ignores for jobs in its background is ignored by all that we start: those hear nothing."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # a handler is not passed on
        signal.signal(signal.SIGHUP, lambda *_: None)


async def _play(options: argparse.Namespace) -> list[Result]:
    if options.replay:
        name, _, number = options.replay.partition(":")
        return [await play(ROWS[name], numbers=[int(number)], seed=options.seed)]
    results = []
    for name in options.rows or ROWS:
        row, seed = ROWS[name], options.seed
        count = max(1, round(row.count * options.scale))
        before = measured.load().get("rows", {}).get(name) if options.more else None
        if before and before.get("terms") != row.terms:
            say(f"{name}: what is kept of it was promised otherwise, and does not count")
            before = None
        if before:
            seed = before["seed"]
            say(f"{name}: from trial {before['n']} on, seed {seed}")
        numbers = range(before["n"] if before else 0, count)
        result = await play(row, numbers=numbers, seed=seed, minutes=options.minutes)
        results.append(result)
        if options.record and result.trials:
            measured.keep("rows", name, {**_with(before, result, seed), "terms": row.terms})
    return results


def _with(before: Mapping[str, Any] | None, result: Result, seed: int) -> dict[str, Any]:
    """What is kept of a run, and of the one it went on with."""
    before = before or {"n": 0, "broken": [], "seconds": 0.0, "notes": {}}
    return {
        "n": before["n"] + result.trials,
        "broken": [*before["broken"], *(one["why"] for one in result.broken)],
        "notes": dict(Counter(before["notes"]) + Counter(result.notes)),
        "seconds": round(before["seconds"] + result.seconds, 1),
        "seed": seed,
    }


if __name__ == "__main__":
    sys.exit(main())
