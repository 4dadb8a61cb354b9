# SPDX-License-Identifier: Apache-2.0
"""What a frozen world was made by: it can be loaded by exactly that, and QEMU finds out too late or never.

QEMU checks some of it as it loads (``vmstate``), in words about sections and lengths. Another kernel in the
same memory, a firmware of another build, a property of the machine that is told to the firmware alone (as
whether it has GHES), and all that is said of L2, it does not notice at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from seabus.errors import CloneError
from seabus.machine import ports
from seabus.machine.argv import Wiring, l0_argv
from seabus.world.world import Parts

_NOWHERE = Wiring(descriptors=dict.fromkeys((*ports.CONNECTED, "qmp"), 0), folder=Path(), consoles=Path())

#: Where nothing is added.
_NOTHING: Final = "empty"


def made_by(parts: Parts) -> dict[str, str]:
    """Each part that matters, by the name that an error calls it; to be kept with the frozen world."""
    config = parts.config
    argv = l0_argv([], config, parts.capabilities, firmware=Path(), ram=Path(), wiring=_NOWHERE, boot=None)
    devices = [word for option, word in itertools.pairwise(argv) if option == "-device"]
    return {
        "version of QEMU": parts.capabilities.version,
        "machine type": parts.capabilities.machine,
        "CPU model": config.l0_cpu,
        "number of CPUs": str(config.l1_cpus),
        "MiB of memory": str(config.l1_memory_mib),
        "devices": " ".join(devices),
        "GHES of L1": _on(there=config.l1_ras),
        "KVM mode of L1": config.l1_mode,
        "added command line of L1": config.l1_append or _NOTHING,
        "number of CPUs of L2": str(config.l2_cpus),
        "MiB of memory of L2": str(config.l2_memory_mib),
        "backing of L2": config.l2_backing,
        "GHES of L2": _on(there=config.l2_ras),
        "added command line of L2": config.l2_append or _NOTHING,
        **parts.builds,
    }


def _on(*, there: bool) -> str:
    return "on" if there else "off"


def check(made: Mapping[str, str], parts: Parts) -> None:
    """Before an emulator is started.

    :param made: of :func:`made_by`, when the world was frozen.
    :raises CloneError: the frozen world was made by something else; the message names each difference.
    """
    now = made_by(parts)
    differences = [
        f"the {name} was {made.get(name) or 'unknown'} and is {now.get(name) or 'unknown'}"
        for name in sorted(made.keys() | now.keys())
        if made.get(name) != now.get(name)
    ]
    if differences:
        raise CloneError(
            f"the frozen world does not fit this emulator: {'; '.join(differences)}",
            hint="seabus image clean --templates; a state kept by name is to be frozen anew",
        )
