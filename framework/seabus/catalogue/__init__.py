# SPDX-License-Identifier: Apache-2.0
"""Scenarios: what a RAS case says about itself, so that it can be listed without being run.

::

    @scenario(
        title="A load at EL0 consumes an anonymous page",
        fault="memory record, recoverable",
        expects=CONSUMED,
        sources=("Linux arch/arm64/mm/fault.c do_sea()",),
    )
    def test_load(world: Session) -> None: …
"""

from seabus.catalogue.defect import KnownDefectError, known_defect
from seabus.catalogue.scenario import MARKER, Scenario, scenario

__all__ = ["MARKER", "KnownDefectError", "Scenario", "known_defect", "scenario"]
