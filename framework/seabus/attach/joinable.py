# SPDX-License-Identifier: Apache-2.0
"""What a world must have, so that other terminals can join it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from seabus.session.session import Runner, Session, SessionVictim


class Joinable(Protocol):
    """A living world under observation, and where its socket belongs."""

    @property
    def loop(self) -> Runner:
        """Runs while nobody awaits anything."""

    @property
    def session(self) -> Session:
        """Of the world that lives now."""

    @property
    def victims(self) -> list[SessionVictim]:
        """In the order of their numbers; who is made is added."""

    @property
    def run_folder(self) -> Path:
        """Of the world that lives now."""
