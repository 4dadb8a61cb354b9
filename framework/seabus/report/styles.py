# SPDX-License-Identifier: Apache-2.0
"""The style sheets of pages and pictures: one set of colours, for light, for dark and for paper."""

from __future__ import annotations

from importlib import resources
from typing import Literal

Sheet = Literal["ground", "picture"]


def sheet(name: Sheet) -> str:
    """``ground`` is what all pages stand on; ``picture`` belongs to :mod:`seabus.report.picture`."""
    return resources.files("seabus.report").joinpath(f"{name}.css").read_text()
