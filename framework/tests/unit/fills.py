# SPDX-License-Identifier: Apache-2.0
"""What entries of a store are filled with where that does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def silent(_: str) -> None:
    pass


def fill(folder: Path) -> Mapping[str, Any]:
    (folder / "ram").write_bytes(b"r" * 100_000)
    (folder / "state").write_bytes(b"s" * 1000)
    return {"note": 1}
