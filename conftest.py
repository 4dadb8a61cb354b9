# SPDX-License-Identifier: Apache-2.0
"""For the whole tree: quick tests come before the emulated tier, and none touches this machine's kernel."""

from __future__ import annotations

import os
import sys
from typing import Final

import pytest

pytest_plugins = ["pytester"]

#: Where poison, offlining and injectors are asked for, and all else that is set of a kernel.
_KERNELS: Final = ("/sys/", "/proc/sys/", "/dev/mem", "/dev/kmsg", "/dev/kvm")


def pytest_configure() -> None:
    """Whatever Python code of ours opens for writing there is refused, in each worker, for good."""
    sys.addaudithook(_hands_off)


def _hands_off(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes):
        return
    flags = arguments[2]
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    if writes and os.fsdecode(arguments[0]).startswith(_KERNELS):
        raise PermissionError(f"a test would write to this machine's {arguments[0]!r}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what boots or clones worlds after what does not: a typing error should not cost a boot."""
    if not _asks_for_soak(config):
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    items.sort(key=lambda item: item.get_closest_marker("emulated") is not None)


def _asks_for_soak(config: pytest.Config) -> bool:
    """What takes long is run by those who mark it, or name it; who lists tests sees all of them."""
    options = config.option
    named = any("::" in word for word in config.args)
    return "soak" in options.markexpr or named or options.collectonly or options.seabus_dry_run
