# SPDX-License-Identifier: Apache-2.0
"""What runs have in common, and the configurations by which they differ: the columns of a heat map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from seabus.report.loaded import Run

#: Versions that a configuration is told by, in this order, and how they are called.
_PARTS: Final = {
    "lab_host": "host",
    "l1_kernel": "L1 Linux",
    "l2_kernel": "L2 Linux",
    "l0_qemu": "L0 QEMU",
    "l1_qemu": "L1 QEMU",
    "firmware": "firmware",
}
#: Fields of a configuration that the versions tell better.
_TOLD_BETTER: Final = frozenset(_PARTS)
_UNTOLD: Final = "not told"
#: Of the configuration that has no setting but the most frequent.
USUAL: Final = "usual"

Facts = Mapping[str, str]


def facts(run: Run) -> Facts:
    """What a run was made of."""
    found = {name: _short(run.versions[key]) for key, name in _PARTS.items() if key in run.versions}
    return found | {
        _readable(name): str(value)
        for name, value in run.configuration.items()
        if name not in _TOLD_BETTER and value not in (None, "")
    }


class Columns:
    """The configurations of some runs.

    :ivar common: what is the same in all of them.
    :ivar labels: of each configuration, the most frequent first.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._facts = [facts(run) for run in runs]
        values: dict[str, Counter[str]] = {}
        for told in self._facts:
            for name, value in told.items():
                values.setdefault(name, Counter())[value] += 1
        # A part that some runs have and others lack, such as a lab host, is a difference as well.
        most = max((found.total() for found in values.values()), default=0)
        self._varying = [
            name
            for name, found in values.items()
            if len(found) > 1 or (name in _PARTS.values() and found.total() < most)
        ]
        self.common = {name: next(iter(found)) for name, found in values.items() if name not in self._varying}
        self._usual = {name: found.most_common(1)[0][0] for name, found in values.items()}
        labels = [self._label(told) for told in self._facts]
        self.labels = [label for label, _ in Counter(labels).most_common()]
        self._place = [self.labels.index(label) for label in labels]

    def of(self, number: int) -> int:
        """The place of a run's column."""
        return self._place[number]

    def label(self, number: int) -> str:
        """What a run's configuration is called."""
        return self.labels[self._place[number]]

    def _label(self, told: Facts) -> str:
        """Kernels and emulators by their versions; settings only where they are not the usual ones."""
        if not told:
            return _UNTOLD
        parts = [
            f"{name} {told[name]}"
            for name in self._varying
            if name in told and (name in _PARTS.values() or told[name] != self._usual[name])
        ]
        return ", ".join(parts) or USUAL


def _readable(name: str) -> str:
    level, _, rest = name.partition("_")
    return f"{level.upper()} {rest.replace('_', ' ')}" if level in ("l0", "l1", "l2") else name


def _short(version: str) -> str:
    """``QEMU emulator version 11.1.3 (Debian …)`` is ``11.1.3``."""
    return version.removeprefix("QEMU emulator version ").partition(" (")[0]
