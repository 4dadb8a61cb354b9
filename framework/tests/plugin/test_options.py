# SPDX-License-Identifier: Apache-2.0
"""What may be said to the plugin, and that it does nothing unasked."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from seabus.images.store import Store
from seabus.machine.config import WorldConfig
from seabus.plugin.workers import workers
from seabus.world import template

SHOW = """
    import pytest
    from seabus.plugin.options import world_config

    @pytest.mark.seabus(l2_cpus=2)
    class TestIt:
        @pytest.mark.seabus(l2_memory_mib=640)
        def test_shown(self, request):
            config = world_config(request.node, request.config)
            print("world", config.l1_mode, config.l2_cpus, config.l2_memory_mib, config.l2_ras)
"""


def test_help_has_one_group_and_one_prefix(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest("--help").stdout.str()
    group = text.partition("seabus: memory faults in nested arm64 worlds:")[2].partition("\n\n")[0]
    options = [word for word in group.split() if word.startswith("--")]
    assert len(options) > 15
    assert all(option.startswith("--seabus-") for option in options)


@pytest.mark.parametrize("slip", ["hard-ofline", "host_apei", "kvn"])
def test_a_slip_in_what_is_required_is_told(pytester: pytest.Pytester, slip: str) -> None:
    run = pytester.runpytest("--seabus-require=luck", f"--seabus-require={slip}")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([f"ERROR: --seabus-require={slip}: did you mean *"])


def test_ini_then_option_then_markers(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nseabus_world =\n    l1_mode = vhe\n    l2_cpus = 3\n    l2_ras = off\n")
    pytester.makepyfile(SHOW)
    pytester.runpytest("-s", "--seabus-l2-memory-mib=700").stdout.fnmatch_lines(["*world vhe 2 640 False*"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seabus-l2-cpus=many"], "*UsageError: l2_cpus=many is not a number*"),
        (["--seabus-l2-ras=maybe"], "*UsageError: l2_ras=maybe is neither on nor off*"),
        (["--seabus-l1-kernel=/nowhere"], "*UsageError: there is no file /nowhere*"),
        (["-o", "seabus_world=l3_cpus=1"], "*UsageError: a world has no 'l3_cpus'*"),
        (["-o", "seabus_world=l2_cpus"], "*UsageError: seabus_world: 'l2_cpus' is not NAME=VALUE*"),
    ],
)
def test_a_wrong_world_is_refused(pytester: pytest.Pytester, words: list[str], message: str) -> None:
    pytester.makepyfile(SHOW)
    pytester.runpytest(*words).stdout.fnmatch_lines([message])


def test_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(world): pass")
    pytester.runpytest("-p", "no:seabus").stdout.fnmatch_lines(["*fixture 'world' not found*"])


def test_nothing_happens_unasked(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suite that uses no fixture of ours leaves no folder, and imports no emulator code."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "SEABUS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    pytester.makepyfile(
        """
        import sys, threading
        def test_it():
            assert threading.enumerate() == [threading.main_thread()]
            assert not [name for name in sys.modules if name.startswith(("seabus.world", "qemu", "paramiko"))]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.emulated
def test_the_header_names_the_parts(suite: pytest.Pytester, tmp_path: Path) -> None:
    """All of it is known, once a world was booted, without starting one."""
    template.ensure(WorldConfig(), store=Store(), artefacts=tmp_path, say=lambda _: None)
    suite.makepyfile("def test_it(): pass")
    suite.runpytest().stdout.fnmatch_lines(
        [
            "seabus: L0 QEMU *; L1 Linux *, KVM nvhe, QEMU *; L2 Linux *",
            "seabus: has *hard-offline*; lacks *einj*",
        ]
    )
    unbooted = suite.runpytest("--seabus-l2-append=never-booted").stdout
    unbooted.fnmatch_lines(["seabus: L0 QEMU *; L1, L2 Linux *; what they can do is known once *"])
    wrong = suite.runpytest("--seabus-l2-cpus=many").stdout
    wrong.fnmatch_lines(["seabus: l2_cpus=many is not a number"])


@pytest.mark.parametrize(
    ("free_mib", "cores", "expected"),
    [(64000, 2, 2), (64000, 16, 16), (4096, 16, 4), (2600, 16, 1), (100, 16, 1)],
)
def test_workers_fit_into_memory(free_mib: int, cores: int, expected: int) -> None:
    assert workers(free_mib=free_mib, cores=cores) == expected


def test_auto_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    cores = len(os.sched_getaffinity(0))
    said = pytester.runpytest_subprocess("-n", "auto").stdout.str()
    found = re.search(r"created: (\d+)/\1 worker", said)
    assert found
    assert 1 <= int(found[1]) <= cores


def test_a_marker_may_name_a_file(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """By a word or by a path; either is the same world."""
    kernel = tmp_path / "Image"
    kernel.touch()
    pytester.makepyfile(
        f"""
        import pathlib, pytest
        from seabus.plugin.options import world_config

        @pytest.mark.parametrize("number", [
            pytest.param(1, marks=pytest.mark.seabus(l1_kernel="{kernel}")),
            pytest.param(2, marks=pytest.mark.seabus(l1_kernel=pathlib.Path("{kernel}"))),
        ])
        def test_it(request, number):
            assert world_config(request.node, request.config).l1_kernel == pathlib.Path("{kernel}")
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)
