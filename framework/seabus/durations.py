# SPDX-License-Identifier: Apache-2.0
"""Spans of time that people choose: more than nothing, and not for ever."""

from __future__ import annotations

import argparse
from typing import Final

#: Seconds: what anything may be kept for, or waited for. Longer ones are slips of the pen, as `inf` is.
MOST: Final = 30 * 24 * 3600.0


def seconds(text: str) -> float:
    """An option's value.

    :raises argparse.ArgumentTypeError: it is no such span.
    """
    return _within(text, MOST, "seconds")


def hours(text: str) -> float:
    """The same in hours."""
    return _within(text, MOST / 3600, "hours")


def _within(text: str, most: float, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= most:  # nor is it a number that is none
        raise argparse.ArgumentTypeError(f"{text} is not a number of {unit}, at most {most:.0f}")
    return number
