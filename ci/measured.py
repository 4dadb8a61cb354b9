# SPDX-License-Identifier: Apache-2.0
"""What was measured, of which docs/SPEC.md is made: the last run of each soak row, benchmark, fuzz target."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

FILE: Final = Path(__file__).parents[1] / "docs" / "measured.json"


def load() -> dict[str, dict[str, dict[str, Any]]]:
    """By kind (``rows``, ``figures``, ``fuzz``) and name."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return found


def keep(kind: str, name: str, facts: Mapping[str, Any]) -> None:
    """Put a run in the place of the last one, with the day and the machine."""
    memory = psutil.virtual_memory().total / (1 << 30)
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"
    known = load()
    known.setdefault(kind, {})[name] = {**facts, "date": time.strftime("%Y-%m-%d"), "machine": machine}
    ordered = {kind: dict(sorted(runs.items())) for kind, runs in sorted(known.items())}
    FILE.write_text(json.dumps(ordered, indent=1) + "\n")
