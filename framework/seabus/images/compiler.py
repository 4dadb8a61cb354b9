# SPDX-License-Identifier: Apache-2.0
"""Compiles the guest-side C programs, static, for arm64."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from seabus.errors import CapabilityError, ImageError
from seabus.images import recipe

_FLAGS: Final = ("-std=gnu11", "-static", "-Os", "-s", "-Wall", "-Wextra")


def compiler() -> str:
    """The compiler for arm64 on this computer.

    :raises CapabilityError: there is none.
    """
    name = "gcc" if platform.machine() == "aarch64" else "aarch64-linux-gnu-gcc"
    if shutil.which(name) is None:
        package = "gcc libc6-dev" if name == "gcc" else "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
        raise CapabilityError(f"{name} is not installed", hint=f"sudo apt-get install {package}")
    return name


def build(program: str, output: Path) -> None:
    """Compile every C file of ``images/<program>`` into one static arm64 program.

    :raises ImageError: the compiler refused; its words are in the details.
    """
    sources = sorted(str(path) for path in (recipe.folder() / program).glob("*.c"))
    result = subprocess.run(
        [compiler(), *_FLAGS, "-o", str(output), *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise ImageError(
            f"the guest program {program} does not compile",
            details={"compiler": result.stderr[-4000:]},
        )
