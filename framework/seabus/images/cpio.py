# SPDX-License-Identifier: Apache-2.0
"""Writes initramfs archives: cpio in the "newc" form.

Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.

No device nodes and no owner but root: what an initramfs of ours holds can be written without privilege.
"""

from __future__ import annotations

import stat
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, Self


class CpioWriter:
    """An archive being written to a binary stream; parent directories are added as needed.

    >>> with CpioWriter(stream) as archive:            # doctest: +SKIP
    ...     archive.file("init", b"#!/bin/sh\\n", mode=0o755)
    ...     archive.symlink("bin", "usr/bin")
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0
        self._inode = 0
        self._written: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._record("TRAILER!!!", 0, b"")
            # The kernel accepts a following archive only at a four-byte boundary; 512 is customary.
            self._pad(512)

    def directory(self, name: str, *, mode: int = 0o755) -> None:
        self._add(name, stat.S_IFDIR | mode, b"")

    def file(self, name: str, data: bytes, *, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, data)

    def symlink(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def _add(self, name: str, mode: int, data: bytes) -> None:
        path = str(PurePosixPath(name)).lstrip("/")
        if path in self._written:
            return
        parent = str(PurePosixPath(path).parent)
        if parent != "." and parent not in self._written:
            self.directory(parent)
        self._written.add(path)
        self._record(path, mode, data)

    def _record(self, name: str, mode: int, data: bytes) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        self._write(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        self._pad(4)
        self._write(data)
        self._pad(4)

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._position += len(data)

    def _pad(self, alignment: int) -> None:
        self._write(bytes(-self._position % alignment))
