# SPDX-License-Identifier: Apache-2.0
"""A value of ESR_ELx, not yet decoded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Esr:
    """A value of ESR_ELx, up to 64 bits (ISS2 included). Any value is allowed, legal or not.

    :raises ValueError: negative, or wider than 64 bits.
    """

    raw: int

    def __post_init__(self) -> None:
        if not 0 <= self.raw < 1 << 64:
            raise ValueError(f"ESR_ELx has 64 bits: {self.raw:#x}")

    def __int__(self) -> int:
        return self.raw

    def __str__(self) -> str:
        return f"{self.raw:#x}"

    def __repr__(self) -> str:
        return f"Esr({self.raw:#x})"

    @property
    def ec(self) -> int:
        """Exception class, bits 31:26."""
        return self.raw >> 26 & 0x3F

    @property
    def il(self) -> bool:
        """Instruction length, bit 25."""
        return bool(self.raw >> 25 & 1)

    @property
    def iss(self) -> int:
        """Instruction specific syndrome, bits 24:0."""
        return self.raw & 0x1FFFFFF

    @property
    def iss2(self) -> int:
        """Second syndrome, bits 55:32."""
        return self.raw >> 32 & 0xFFFFFF
