# SPDX-License-Identifier: Apache-2.0
"""A defect of the system under test that is known: a scenario expects what is right, and meets that defect.

::

    @pytest.mark.xfail(strict=True, raises=KnownDefectError, reason="docs/findings/0030")
    def test_snapshot(world: Session) -> None:
        …
        with known_defect("docs/findings/0030", NotAsExpectedError, match="the VMM died"):
            world.expect(…)

Whatever else goes wrong is no such defect, and is told as in any other test.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from seabus.judge.verdict import EXIT_CODES, Verdict


class KnownDefectError(AssertionError):
    """The system under test did what a finding says it does wrong."""

    exit_code = EXIT_CODES[Verdict.FAIL]
    blame = "system under test"
    advice = "read the finding; mark the test @pytest.mark.xfail(strict=True, raises=KnownDefectError)"


@contextlib.contextmanager
def known_defect(finding: str, error: type[Exception], *, match: str) -> Iterator[None]:
    """Let the body meet a defect.

    :param finding: where it is described.
    :param error: as what it is met.
    :param match: what that says: a regular expression, of which ``.`` is any character, a newline as well.
    :raises KnownDefectError: it was met. Any other error goes on as it is.
    """
    try:
        yield
    except error as met:
        if re.search(match, str(met), re.DOTALL) is None:
            raise
        raise KnownDefectError(f"{finding}: {str(met).splitlines()[0]}") from met
