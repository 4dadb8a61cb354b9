# SPDX-License-Identifier: Apache-2.0
"""How bad an error is."""

import enum

from seabus.arch.malformed import MalformedRecord


class Severity(enum.IntEnum):
    """How bad it is. Source: ACPI 6.5 section 18.3.2.7.1, UEFI 2.11 appendix N.2.1."""

    RECOVERABLE = 0
    FATAL = 1
    CORRECTED = 2
    INFORMATIONAL = 3


#: What the numbers mean, in the words that rows print.
SEVERITIES = {severity.value: severity.name.lower() for severity in Severity}


def read_severity(value: int, offset: int, name: str = "error_severity") -> Severity:
    """Return the severity of that number.

    :param offset: where it lies in the record, for the error.
    :raises MalformedRecord: it is reserved.
    """
    if value not in SEVERITIES:
        raise MalformedRecord(offset, name, f"{value} is not a severity")
    return Severity(value)
