# SPDX-License-Identifier: Apache-2.0
"""The one error of :mod:`seabus.arch`: what was read does not have the shape of its format."""


class MalformedRecord(ValueError):
    """Bytes or fields that break their format.

    Usually caused by truncation, by a record of another revision, or by hostile input; the input is
    at fault, never the caller.

    :param offset: byte offset of the offending field from the start of the record, or ``None``
        where the record consists of named fields.
    :param field: the field's name as its specification spells it.
    :param reason: what is wrong with it, one line.
    """

    #: As of :class:`seabus.errors.SeabusError`, which this package knows nothing of.
    exit_code = 2
    blame = "input"
    advice = "see whether it was cut off, or is of another revision of its format"

    def __init__(self, offset: int | None, field: str, reason: str) -> None:
        super().__init__(offset, field, reason)
        self.offset = offset
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        where = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.field}{where}: {self.reason}"
