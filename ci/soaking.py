# SPDX-License-Identifier: Apache-2.0
"""The soak behind ``ci/soak``: many whole faults in fresh clones, several at a time, and what each came to.

Clones are left idle for 0, 0.2, 1 or 3 s before the fault: a timer that was lost in the restore shows only
after a while.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from seabus.errors import SeabusError
from seabus.images.store import Store
from seabus.machine.config import WorldConfig
from seabus.scenarios import consumed_page
from seabus.world import restore, template
from seabus.world.freeze import Frozen

_IDLE_S = (0.0, 0.2, 1.0, 3.0)


async def _one(clone: Frozen, folder: Path, inject: bool, idle: float) -> tuple[str, str]:
    try:
        async with restore.cloned(clone, artefacts=folder, purpose="soak") as world:
            await asyncio.sleep(idle)
            outcome = await consumed_page.run(world, inject=inject)
    except SeabusError as error:
        return "error", f"{type(error).__name__}: {error.message}"
    return str(outcome.judgement.verdict), outcome.judgement.reason


def _folder(root: Path, number: int) -> Path:
    folder = root / f"{number:05}"
    folder.mkdir()
    return folder


async def _soak(clone: Frozen, root: Path, options: argparse.Namespace) -> dict[str, object]:
    waiting = list(range(options.count))
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    dice = random.Random(options.seed)

    async def lane() -> None:
        while waiting:
            number = waiting.pop(0)
            idle = dice.choice(_IDLE_S) if options.idle else 0.0
            verdict, reason = await _one(clone, _folder(root, number), not options.no_inject, idle)
            verdicts[verdict] += 1
            reasons[f"{verdict}: {reason}"] += 1
            if not options.quiet and sum(verdicts.values()) % 20 == 0:
                print(f"[soak] {dict(verdicts)}", file=sys.stderr, flush=True)

    started = time.monotonic()
    await asyncio.gather(*(lane() for _ in range(options.jobs)))
    seconds = time.monotonic() - started
    return {
        "count": options.count,
        "jobs": options.jobs,
        "inject": not options.no_inject,
        "l1_mode": options.l1_mode,
        "l2_backing": options.l2_backing,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "per_minute": round(options.count / seconds * 60, 1),
        "verdicts": dict(verdicts),
        "reasons": dict(reasons.most_common(10)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="ci/soak", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-inject", action="store_true", help="the negative control")
    parser.add_argument("--idle", action="store_true", help="leave the clones idle for a while first")
    parser.add_argument("--l1-mode", choices=("nvhe", "vhe"), default="nvhe")
    parser.add_argument("--l2-backing", choices=("4k", "thp"), default="4k")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="seabus-soak-"))
    clone = template.ensure(
        WorldConfig(l1_mode=options.l1_mode, l2_backing=options.l2_backing),
        store=Store(),
        artefacts=root,
        say=lambda text: print(f"[soak] {text}", file=sys.stderr),
    )
    found = asyncio.run(_soak(clone, root, options))
    text = json.dumps({**found, "artefacts": str(root)}, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    wanted = {"fail"} if options.no_inject else {"pass"}
    return 0 if set(found["verdicts"]) == wanted else 1  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
