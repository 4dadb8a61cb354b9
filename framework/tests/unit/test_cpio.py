# SPDX-License-Identifier: Apache-2.0
"""Archives are read back by a reader written after the format's description."""

from __future__ import annotations

import io

from seabus.images.cpio import CpioWriter


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """A reader of its own, after the format's description and not after our writer."""
    found: dict[str, tuple[int, bytes]] = {}
    position = 0
    while True:
        header = data[position : position + 110]
        assert header[:6] == b"070701"
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[position + 110 : position + 110 + name_size - 1].decode()
        start = (position + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[start : start + size])
        position = (start + size + 3) & ~3


def test_files_links_and_parents() -> None:
    stream = io.BytesIO()
    with CpioWriter(stream) as archive:
        archive.file("usr/bin/tool", b"\x7fELF...", mode=0o755)
        archive.symlink("bin", "usr/bin")
        archive.file("/init", b"#!/bin/sh\n", mode=0o755)
        archive.file("/init", b"a second one is ignored")
    found = entries(stream.getvalue())
    assert list(found) == ["usr", "usr/bin", "usr/bin/tool", "bin", "init"]
    assert found["usr/bin/tool"] == (0o100755, b"\x7fELF...")
    assert found["bin"] == (0o120777, b"usr/bin")
    assert found["init"] == (0o100755, b"#!/bin/sh\n")
    assert found["usr"][0] == 0o040755


def test_archives_can_be_joined() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for stream, name in ((first, "a"), (second, "b")):
        with CpioWriter(stream) as archive:
            archive.file(name, name.encode() * 5)
    assert len(first.getvalue()) % 512 == 0
    joined = first.getvalue() + second.getvalue()
    assert entries(joined)["a"] == (0o100644, b"aaaaa")
    assert entries(joined[len(first.getvalue()) :])["b"] == (0o100644, b"bbbbb")
