# SPDX-License-Identifier: Apache-2.0
"""Compiles the guest-side C programs, static, for arm64."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from seabus.errors import CapabilityError, ImageError
from seabus.images import recipe

_FLAGS: Final = ("-std=gnu11", "-static", "-Os", "-s", "-Wall", "-Wextra")
# Code without a system below it: no library, no floating point, its addresses chosen by a linker script.
_BARE: Final = (
    "-std=gnu11", "-static", "-Os", "-Wall", "-Wextra", "-nostdlib", "-ffreestanding", "-fno-pic",
    "-mgeneral-regs-only", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
)  # fmt: skip


def compiler() -> str:
    """The compiler for arm64 on this computer.

    :raises CapabilityError: there is none.
    """
    name = "gcc" if platform.machine() == "aarch64" else "aarch64-linux-gnu-gcc"
    if shutil.which(name) is None:
        package = "gcc libc6-dev" if name == "gcc" else "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
        raise CapabilityError(f"{name} is not installed", hint=f"sudo apt-get install {package}")
    return name


def build(program: str, output: Path, *, shared: Iterable[str] = ()) -> None:
    """Compile every C file of ``images/<program>`` into one static arm64 program.

    :param shared: files of other programs in ``images`` that it needs.
    :raises ImageError: the compiler refused; its words are in the details.
    """
    sources = sorted((recipe.folder() / program).glob("*.c"))
    sources += [recipe.folder() / name for name in shared]
    _compile(program, _FLAGS, output, sources)


def build_payload(program: str, output: Path) -> None:
    """Compile ``images/<program>``, bare-metal code with a linker script of its own, into an ELF file.

    :raises ImageError: the compiler refused; its words are in the details.
    """
    folder = recipe.folder() / program
    script = next(folder.glob("*.ld"))
    sources = sorted((*folder.glob("*.S"), *folder.glob("*.c")))
    _compile(program, (*_BARE, "-T", str(script)), output, sources)


def _compile(program: str, flags: Sequence[str], output: Path, sources: Sequence[Path]) -> None:
    result = subprocess.run(
        [compiler(), *flags, "-o", str(output), *map(str, sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise ImageError(
            f"the guest program {program} does not compile",
            details={"compiler": result.stderr[-4000:]},
        )
