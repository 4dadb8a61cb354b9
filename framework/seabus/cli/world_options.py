# SPDX-License-Identifier: Apache-2.0
"""The options that say what a world is made of, shared by every command that starts one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from seabus.machine.config import Backing, WorldConfig

_DEFAULTS = WorldConfig()


def add(parser: argparse.ArgumentParser) -> None:
    """Add the group of options."""
    group = parser.add_argument_group(
        "the world", "each distinct configuration is booted once and then cloned"
    )
    group.add_argument("--l0-cpu", choices=("lean", "full"), default=_DEFAULTS.l0_cpu)
    group.add_argument("--l0-qemu", type=Path, metavar="PROGRAM", help="an emulator of your own")
    group.add_argument(
        "--l1-mode",
        choices=("nvhe", "vhe"),
        default=_DEFAULTS.l1_mode,
        help="which KVM the host kernel runs (nvhe clones faster)",
    )
    group.add_argument(
        "--l2-backing",
        choices=get_args(Backing),
        default=_DEFAULTS.l2_backing,
        help="what L1 backs the guest's memory with",
    )
    for level in ("l1", "l2"):
        name = level.upper()
        group.add_argument(
            f"--{level}-cpus", type=int, default=getattr(_DEFAULTS, f"{level}_cpus"), metavar="N"
        )
        group.add_argument(
            f"--{level}-memory",
            dest=f"{level}_memory_mib",
            type=int,
            default=getattr(_DEFAULTS, f"{level}_memory_mib"),
            metavar="MIB",
        )
        group.add_argument(
            f"--{level}-kernel", type=Path, metavar="IMAGE", help=f"a kernel of your own for {name}"
        )
        group.add_argument(
            f"--{level}-initrd",
            type=Path,
            metavar="CPIO",
            help=f"an initramfs of your own for {name}",
        )
        group.add_argument(
            f"--{level}-append", default="", metavar="WORDS", help=f"more of {name}'s command line"
        )
        group.add_argument(
            f"--{level}-ras",
            type=_on_off,
            default=True,
            metavar="on|off",
            help=f"whether {name}'s machine has GHES",
        )
    group.add_argument("--l1-qemu", type=Path, metavar="PROGRAM", help="an arm64 QEMU of your own as the VMM")


def config(arguments: argparse.Namespace, *, over: WorldConfig | None = None) -> WorldConfig:
    """The configuration that the options give.

    :param over: what holds where an option says nothing else than the default.
    """
    given = {name: getattr(arguments, name) for name in WorldConfig.__dataclass_fields__}
    if over is not None:
        given |= {
            name: getattr(over, name) for name, value in given.items() if value == getattr(_DEFAULTS, name)
        }
    return WorldConfig(**given)


def _on_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"
