# SPDX-License-Identifier: Apache-2.0
"""The options that say what a world is made of, shared by every command that starts one."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import get_args

from seabus.machine.config import Backing, WorldConfig

_DEFAULTS = WorldConfig()


def add(parser: argparse.ArgumentParser) -> None:
    """Add the group of options. What is not given is None, so that it can be told from what is."""
    group = parser.add_argument_group(
        "the world", "each distinct configuration is booted once and then cloned"
    )
    group.add_argument("--l0-cpu", choices=("lean", "full"), help=_by_itself("l0_cpu"))
    group.add_argument("--l0-qemu", type=Path, metavar="PROGRAM", help="an emulator of your own")
    group.add_argument(
        "--l1-mode",
        choices=("nvhe", "vhe"),
        help=f"which KVM the host kernel runs (nvhe clones faster) {_by_itself('l1_mode')}",
    )
    group.add_argument(
        "--l2-backing",
        choices=get_args(Backing),
        help=f"what L1 backs the guest's memory with {_by_itself('l2_backing')}",
    )
    for level in ("l1", "l2"):
        name = level.upper()
        group.add_argument(f"--{level}-cpus", type=int, metavar="N", help=_by_itself(f"{level}_cpus"))
        group.add_argument(
            f"--{level}-memory",
            dest=f"{level}_memory_mib",
            type=int,
            metavar="MIB",
            help=_by_itself(f"{level}_memory_mib"),
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
        group.add_argument(f"--{level}-append", metavar="WORDS", help=f"more of {name}'s command line")
        group.add_argument(
            f"--{level}-ras",
            type=_on_off,
            metavar="on|off",
            help=f"whether {name}'s machine has GHES [on]",
        )
    group.add_argument("--l1-qemu", type=Path, metavar="PROGRAM", help="an arm64 QEMU of your own as the VMM")


def config(arguments: argparse.Namespace, *, over: WorldConfig | None = None) -> WorldConfig:
    """The configuration that the options give.

    :param over: what holds where no option is given, in place of the defaults.
    """
    given = {name: getattr(arguments, name) for name in WorldConfig.__dataclass_fields__}
    chosen = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(over or _DEFAULTS, **chosen)


def _by_itself(name: str) -> str:
    return f"[{getattr(_DEFAULTS, name)}]"


def _on_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"
