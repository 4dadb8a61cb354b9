# SPDX-License-Identifier: Apache-2.0
"""docs/SPEC.md is of today's promises and of what was measured, and the tests it names are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
_NAMED = """
import sys
sys.path.insert(0, "ci")
import spec
print(spec.page(), end="")
named = [tests for _, tests in spec.RULES] + [tests for _, _, tests in spec.LIMITS]
print(*(test for tests in named for test in tests), sep="\\n", file=sys.stderr)
"""


def test_it_is_of_today() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _NAMED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert (ROOT / "docs" / "SPEC.md").read_text() == told.stdout, (
        "python ci/spec.py writes docs/SPEC.md anew"
    )
    for test in told.stderr.split():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text() if name else (ROOT / file).exists(), test
