# SPDX-License-Identifier: Apache-2.0
"""A defect that is known is met as itself, or not at all."""

from __future__ import annotations

import pytest

from seabus.catalogue import KnownDefectError, known_defect
from seabus.errors import ChannelError, MachineError

FINDING = "docs/findings/0021"


def test_what_was_described_is_it() -> None:
    with (
        pytest.raises(KnownDefectError, match=r"^docs/findings/0021: L0 refused it$"),
        known_defect(FINDING, MachineError, match=r"L0 refused.*try again"),
    ):
        raise MachineError("L0 refused it\nmore\ntry again")


@pytest.mark.parametrize(
    "error", [MachineError("L0 is gone"), ChannelError("L1 refused it, try again"), ValueError("L0 refused")]
)
def test_whatever_else_goes_wrong_is_not(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, known_defect(FINDING, MachineError, match="L0 refused"):
        raise error
    assert caught.value is error


def test_nor_is_nothing() -> None:
    with known_defect(FINDING, MachineError, match="L0 refused"):
        pass
