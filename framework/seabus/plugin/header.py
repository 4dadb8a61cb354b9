# SPDX-License-Identifier: Apache-2.0
"""The line that a run begins with: which emulator, which kernels, and what they can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from seabus.plugin.options import common_config

if TYPE_CHECKING:
    from seabus.machine.config import WorldConfig


def pytest_report_header(config: pytest.Config) -> str:
    """What is known without starting anything: from the images, and the template if it was built."""
    from seabus import folders
    from seabus.errors import SeabusError

    try:
        chosen = common_config(config)
        told = _told(chosen) if folders.has_cache() else None
    except (SeabusError, OSError) as error:
        return f"seabus: {error}"
    return f"seabus: {told or 'no images yet; the first test that needs a world builds them'}"


def _told(config: WorldConfig) -> str | None:
    from seabus.images import emulator, guests
    from seabus.images.store import Store
    from seabus.world import template

    store = Store()
    if notes := template.known(config, store):
        return _of_template(notes)
    image, kernels = emulator.find(store), guests.find(store)
    if image is None or kernels is None:
        return None
    parts = f"L0 QEMU {image.version}; L1, L2 Linux {kernels.kernel_version}"
    return f"{parts}; what they can do is known once a world of them was booted"


def _of_template(notes: Mapping[str, Any]) -> str:
    versions, has = notes["versions"], notes["has"]
    parts = (
        f"L0 {versions['l0_qemu']}; L1 Linux {versions['l1_kernel']}, KVM {versions['l1_kvm']},"
        f" QEMU {versions['l1_qemu']}; L2 Linux {versions['l2_kernel']}"
    )
    there = ", ".join(name for name, found in has.items() if found) or "nothing"
    missing = ", ".join(name for name, found in has.items() if not found) or "nothing"
    return f"{parts}\nseabus: has {there}; lacks {missing}"
