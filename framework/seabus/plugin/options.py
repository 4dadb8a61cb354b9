# SPDX-License-Identifier: Apache-2.0
"""What a user may say to the plugin."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from seabus.errors import UsageError
from seabus.machine.config import WorldConfig, field_of, value_of
from seabus.plugin import circumstances, keep, lab

_WORLD: Final = "seabus_world"
_PREFIX: Final = "--seabus-"

_MARKERS: Final = (
    "seabus(**world): what the test's world is made of, as l2_cpus=2 (seabus.machine.config.WorldConfig)",
    "seabus_needs(*capabilities): skip with the reason where one of these is missing",
    "seabus_scenario(scenario): the test is a scenario of the catalogue (seabus.catalogue.scenario)",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("seabus", "seabus: memory faults in nested arm64 worlds")
    group.addoption(
        "--seabus-negative-control",
        action="store_true",
        help="run each scenario without its injection, and require that it does not pass",
    )
    group.addoption(
        "--seabus-mutate",
        action="store_true",
        help="after each scenario that passes, change its expectations one by one, and require that it fails",
    )
    group.addoption(
        "--seabus-dry-run",
        action="store_true",
        help="list the scenarios with faults, levels and expectations; start nothing",
    )
    group.addoption(
        "--seabus-require",
        action="append",
        default=[],
        metavar="CAPABILITY",
        help="fail, instead of skipping, where this capability is missing (`all`: any)",
    )
    group.addoption(
        "--seabus-artefacts",
        type=Path,
        metavar="DIR",
        help="keep the evidence of each test in a folder there",
    )
    circumstances.add_options(group)
    keep.add_options(group)
    lab.add_options(group)
    for field in dataclasses.fields(WorldConfig):
        group.addoption(
            f"{_PREFIX}{field.name.replace('_', '-')}",
            dest=f"seabus_{field.name}",
            metavar="VALUE",
            help=f"every world's {field.name}, unless a test says otherwise [{field.default}]",
        )
    parser.addini(_WORLD, "NAME=VALUE lines: what every world is made of", type="linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    _must_be_spelt_right(config.option.seabus_require)
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.option.seabus_dry_run and hasattr(config.option, "dist"):
        config.option.dist = "no"  # listing needs no workers


def _must_be_spelt_right(required: Sequence[str]) -> None:
    """A suite may have capabilities of its own; what is nearly one of ours is a slip, and checks nothing."""
    if not required:
        return
    from seabus.world import needs  # slow to import

    known = ("all", *needs.NAMES)
    for name in required:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.65)
        if near and name not in known:
            raise pytest.UsageError(f"--seabus-require={name}: did you mean {near[0]}?")


def world_config(node: pytest.Item | pytest.Collector, config: pytest.Config) -> WorldConfig:
    """The configuration of a test's world: ini, then options, then markers from the outermost in.

    :raises UsageError: an unknown name or a value that is none.
    """
    chosen = _common(config)
    for marker in reversed(list(node.iter_markers("seabus"))):
        for name, value in marker.kwargs.items():
            chosen[name] = value_of(name, value) if isinstance(value, str) else _named(name, value)
    return WorldConfig(**chosen)


def common_config(config: pytest.Config) -> WorldConfig:
    """The configuration of a world of which its test says nothing.

    :raises UsageError: an unknown name or a value that is none.
    """
    return WorldConfig(**_common(config))


def _common(config: pytest.Config) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for line in config.getini(_WORLD):
        name, equals, value = line.partition("=")
        if not equals:
            raise UsageError(f"{_WORLD}: {line!r} is not NAME=VALUE", hint="such as l1_mode=vhe")
        chosen[name.strip()] = value_of(name.strip(), value.strip())
    for field in dataclasses.fields(WorldConfig):
        text = getattr(config.option, f"seabus_{field.name}")
        if text is not None:
            chosen[field.name] = value_of(field.name, text)
    return chosen


def _named(name: str, value: object) -> object:
    field_of(name)
    return value
