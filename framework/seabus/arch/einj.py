# SPDX-License-Identifier: Apache-2.0
"""EINJ: the error types that firmware can inject, by the bits that name them.

>>> einj_error_types(0x18)
('Memory Correctable', 'Memory Uncorrectable non-fatal')
"""

from collections.abc import Mapping

__all__ = ["EINJ_ERROR_TYPES", "einj_error_types"]

#: Error types by bit of GET_ERROR_TYPE and SET_ERROR_TYPE. Bits 18 to 29 are reserved.
#: Source: ACPI 6.5 section 18.6.4, Error Types; Linux include/acpi/actbl1.h and
#: drivers/acpi/apei/einj-core.c, whose names these are (debugfs ``available_error_type``).
EINJ_ERROR_TYPES: Mapping[int, str] = {
    0: "Processor Correctable",
    1: "Processor Uncorrectable non-fatal",
    2: "Processor Uncorrectable fatal",
    3: "Memory Correctable",
    4: "Memory Uncorrectable non-fatal",
    5: "Memory Uncorrectable fatal",
    6: "PCI Express Correctable",
    7: "PCI Express Uncorrectable non-fatal",
    8: "PCI Express Uncorrectable fatal",
    9: "Platform Correctable",
    10: "Platform Uncorrectable non-fatal",
    11: "Platform Uncorrectable fatal",
    12: "CXL.cache Protocol Correctable",
    13: "CXL.cache Protocol Uncorrectable non-fatal",
    14: "CXL.cache Protocol Uncorrectable fatal",
    15: "CXL.mem Protocol Correctable",
    16: "CXL.mem Protocol Uncorrectable non-fatal",
    17: "CXL.mem Protocol Uncorrectable fatal",
    30: "EINJv2 supported",
    31: "Vendor Defined Error Types",
}


def einj_error_types(mask: int) -> tuple[str, ...]:
    """Return the names of the bits set in an error type word; a bit without a name as ``bit 18``."""
    bits = (bit for bit in range(mask.bit_length()) if mask >> bit & 1)
    return tuple(EINJ_ERROR_TYPES.get(bit, f"bit {bit}") for bit in bits)
