# SPDX-License-Identifier: Apache-2.0
"""The reference in docs is what the code says today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SPEC = importlib.util.spec_from_file_location("reference", ROOT / "ci" / "reference.py")
assert SPEC is not None
assert SPEC.loader is not None
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_the_page_is_of_today(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text()
    assert written == reference.PAGES[name](), f"python ci/reference.py writes docs/reference/{name} anew"


def test_a_request_is_told_with_all_that_it_reads() -> None:
    """Of a request that reads some keys by hand, some in a loop, and one by who helps it."""
    (row,) = (line for line in reference.control_protocol().splitlines() if line.startswith("| `touch`"))
    assert all(
        f"`{name}`" in row for name in ("victim", "op", "offset", "size", "value", "outcome", "intact")
    )


def test_a_method_is_told_as_it_is_called() -> None:
    assert (
        "| `until(level: Level, kind: Kind, *, within: float = 15.0, **fields: Any) -> Event \\| None`"
        in reference.api()
    )
