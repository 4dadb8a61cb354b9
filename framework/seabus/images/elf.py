# SPDX-License-Identifier: Apache-2.0
"""What a program of a package needs at run time, read from its ELF headers.

A room of its own, since the library behind it is slow to import and needed only where images are built.
"""

from __future__ import annotations

import io

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from seabus.errors import ImageError


def needed(data: bytes) -> list[str]:
    """The sonames of the libraries that a program or library asks for.

    :raises ImageError: it is none.
    """
    dynamic = _elf(data).get_section_by_name(".dynamic")
    if not isinstance(dynamic, DynamicSection):
        return []
    return [str(tag.needed) for tag in dynamic.iter_tags("DT_NEEDED")]  # type: ignore[attr-defined]


def interpreter(data: bytes) -> str | None:
    """The path of a program's dynamic loader, as the program names it; None for a static one.

    :raises ImageError: it is no program.
    """
    for segment in _elf(data).iter_segments():
        if isinstance(segment, InterpSegment):
            return str(segment.get_interp_name())
    return None


def _elf(data: bytes) -> ELFFile:
    try:
        return ELFFile(io.BytesIO(data))
    except ELFError as error:
        raise ImageError(f"not a program: {error}") from error
