# SPDX-License-Identifier: Apache-2.0
"""What options say of a world goes before what a scenario says, the usual values included."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seabus.cli import main, parser, world_options
from seabus.cli.replay import _again
from seabus.judge.verdict import Verdict
from seabus.machine.config import WorldConfig
from seabus.observe.story import Story
from seabus.report.loaded import Run

SCENARIO = WorldConfig(
    l1_mode="vhe", l2_cpus=2, l2_ras=False, l1_append="quiet", l1_memory_mib=3072, l2_backing="thp"
)
EXAMPLE = Path(__file__).parents[3] / "docs/examples/consumed.toml"


def chosen(*words: str) -> WorldConfig:
    return world_options.config(parser().parse_args(["run", *words]), over=SCENARIO)


def test_without_an_option_the_scenario_holds() -> None:
    assert chosen() == SCENARIO
    assert world_options.config(parser().parse_args(["run"])) == WorldConfig()


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--l1-mode=nvhe", "l1_mode", "nvhe"),
        ("--l2-cpus=1", "l2_cpus", 1),
        ("--l2-cpus=4", "l2_cpus", 4),
        ("--l2-ras=on", "l2_ras", True),
        ("--l1-ras=off", "l1_ras", False),
        ("--l1-append=", "l1_append", ""),
        ("--l1-memory=2048", "l1_memory_mib", 2048),
        ("--l2-backing=4k", "l2_backing", "4k"),
    ],
)
def test_an_option_goes_before_the_scenario(words: str, field: str, value: object) -> None:
    change: dict[str, Any] = {field: value}
    assert chosen(words) == dataclasses.replace(SCENARIO, **change)


@pytest.mark.parametrize("access", ["read", "write"])
def test_how_a_scenario_touches_is_its_own(access: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(EXAMPLE), "--access", access]) == 2
    said = capsys.readouterr().err
    assert f"--access {access} is not for a scenario" in said
    assert f'touch = "{access}" in {EXAMPLE}' in said


@pytest.fixture
def run_of() -> Callable[[WorldConfig], Run]:
    def made(config: WorldConfig) -> Run:
        return Run(
            folder=Path("runs"),
            test="",
            verdict=Verdict.PASS,
            reason="",
            story=Story([], {}, 0),
            configuration=dataclasses.asdict(config),
            command=["run", "x.toml"],
        )

    return made


def test_a_replay_has_the_world_of_the_run_whatever_its_scenario_says(
    run_of: Callable[[WorldConfig], Run],
) -> None:
    for config in (WorldConfig(), SCENARIO):
        words = list(_again(run_of(config), Path("artefacts")))[3:]
        again = world_options.config(parser().parse_args(words), over=WorldConfig(l1_mode="vhe", l2_cpus=3))
        assert again == config
