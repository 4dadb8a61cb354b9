# SPDX-License-Identifier: Apache-2.0
"""``ras:aer_event``: errors of PCI Express functions.

Source: Linux include/ras/ras_event.h, 6.1 to 7.3.
"""

import re
from dataclasses import dataclass
from typing import Self

from seabus.arch.trace.line import TraceLine

__all__ = ["AerEvent"]

_AER = re.compile(
    r"(?P<device>\S{1,40}) (?P<bus>\w{1,20}) Bus Error:"
    r" severity=(?P<severity>Corrected|Fatal|Uncorrected, non-fatal), "
    r"(?P<errors>.*), TLP Header=(?P<tlp>.*)"
)
_TLP_WORD = re.compile(r"0x([0-9a-f]{1,8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class AerEvent:
    """``aer_event``: an error of a PCI Express function. ``errors`` are the names of the status bits.

    ``tlp_header`` is empty where it is not available; it has 4 words up to Linux 6.12, 14 in 7.3. ``bus``
    is PCIe, or CXL in newer kernels.
    """

    device: str
    bus: str
    severity: str
    errors: tuple[str, ...]
    tlp_header: tuple[int, ...]

    @classmethod
    def of(cls, line: TraceLine) -> Self | None:
        """Return what the line tells, or ``None`` if it is another event or damaged."""
        if line.event != "aer_event":
            return None
        match = _AER.fullmatch(line.text.strip())
        if match is None:
            return None
        return cls(
            device=match["device"],
            bus=match["bus"],
            severity=match["severity"],
            errors=tuple(name for name in match["errors"].split("|") if name),
            tlp_header=tuple(int(word, 16) for word in _TLP_WORD.findall(match["tlp"])),
        )
