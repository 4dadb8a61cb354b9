# SPDX-License-Identifier: Apache-2.0
"""Artefacts that grow while a run goes on: a full disk must not be mistaken for a broken machine."""

from __future__ import annotations

import errno
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from seabus.errors import DiskError, HostError

#: A guest chooses how much it says, and must not fill the disk.
MOST_BYTES: Final = 64 << 20


class Transcript:
    """A file that is appended to from callbacks, where nothing may be raised.

    What could not be written is remembered and raised by :meth:`close`, so that it is blamed on this
    computer and not on the channel that was being recorded. What comes after ``most`` bytes is dropped.
    """

    def __init__(self, path: Path, *, most: int = MOST_BYTES) -> None:
        self._path = path
        self._most = most
        self._failed: OSError | None = None
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        if self._failed or self._file.closed or self._file.tell() >= self._most:
            return
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._failed = error

    def close(self) -> None:
        """Close the file.

        :raises DiskError: something could not be written: the disk is full.
        :raises HostError: it could not be written for another reason.
        """
        self._file.close()
        if (failed := self._failed) is None:
            return
        self._failed = None
        full = failed.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (DiskError if full else HostError)(
            f"{self._path.name} could not be kept: {failed.strerror}",
            hint=f"make room under {self._path.parent}, or choose another folder for the artefacts",
        ) from failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
