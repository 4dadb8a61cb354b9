# SPDX-License-Identifier: Apache-2.0
"""Our small VMM and its payload, compiled for arm64; pushed to a host when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elftools.elf.elffile import ELFFile

from seabus.images import compiler, recipe
from seabus.images.store import Entry, Say, Store

PROGRAM: Final = "kvmprobe"
# What it shares with the agent: reading and writing JSON.
_SHARED: Final = tuple(f"agent/{name}" for name in ("json.c", "text.c", "base64.c"))
_HEADERS: Final = tuple(f"agent/{name}" for name in ("json.h", "text.h", "base64.h"))
_ROOM_MIB: Final = 16


@dataclass(frozen=True, kw_only=True)
class ProbeImage:
    """The files of the probe."""

    entry: Entry

    @property
    def program(self) -> Path:
        """``kvmprobe``, a static arm64 program."""
        return self.entry.file("kvmprobe")

    @property
    def payload(self) -> Path:
        """What the guest runs: a flat image for the address CODE of ``layout.h``."""
        return self.entry.file("payload")


def get(store: Store, *, say: Say) -> ProbeImage:
    """The probe, compiled if it is not there.

    :raises CapabilityError: there is no compiler for arm64.
    :raises ImageError: the compiler refused.
    """
    inputs = {"recipe": recipe.digest_of(PROGRAM, *_SHARED, *_HEADERS), "layout": 1}
    return ProbeImage(entry=store.get("kvmprobe", inputs, _build, say=say, need_mib=_ROOM_MIB))


def _build(folder: Path) -> Mapping[str, Any]:
    compiler.build(PROGRAM, folder / "kvmprobe", shared=_SHARED)
    linked = folder / ".payload.elf"
    compiler.build_payload(f"{PROGRAM}/payload", linked)
    with linked.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".text")
        assert section is not None  # the linker script has no other
        (folder / "payload").write_bytes(section.data())
    linked.unlink()
    return {}
