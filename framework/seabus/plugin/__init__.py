# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: a fresh nested world for each test that asks for one, and verdicts as outcomes.

Nothing is started, and nothing heavy is imported, unless a test uses one of the fixtures. Switched off by
``-p no:seabus``. Every option, ini key, marker and property begins with ``seabus``.

===============================  =====================================================================
:mod:`~seabus.plugin.options`    options, ini key, markers
:mod:`~seabus.plugin.header`     emulator, kernels, and what they can do
:mod:`~seabus.plugin.fixtures`   ``world``, ``victim``, ``inject``, ``expect`` and the others
:mod:`~seabus.plugin.outcomes`   fail, error, skip and unknown told apart
:mod:`~seabus.plugin.evidence`   each test's folder, and the result file in it
:mod:`~seabus.plugin.circumstances`  what is kept with it: seed, mode, and what to tell of a killed test
:mod:`~seabus.plugin.workers`    under pytest-xdist: how many, and killed ones
:mod:`~seabus.plugin.control`    the negative control and the mutated oracles
:mod:`~seabus.plugin.listing`    the dry run
:mod:`~seabus.plugin.keep`       ``--seabus-keep``: worlds of failed tests stay up
:mod:`~seabus.plugin.lab`        ``--seabus-lab``: hosts of a lab instead of emulated ones
:mod:`~seabus.plugin.summary`    what is said at the end of a run
===============================  =====================================================================
"""

from seabus.plugin.control import pytest_collection_modifyitems, pytest_pyfunc_call
from seabus.plugin.fixtures import (
    Worlds,
    expect,
    guest,
    host,
    inject,
    seabus_worlds,
    story,
    victim,
    warm_world,
    world,
)
from seabus.plugin.header import pytest_report_header
from seabus.plugin.lab import pytest_runtest_protocol, pytest_sessionfinish
from seabus.plugin.listing import pytest_runtestloop
from seabus.plugin.options import (
    pytest_addoption,
    pytest_configure,
)
from seabus.plugin.outcomes import (
    pytest_exception_interact,
    pytest_report_teststatus,
    pytest_runtest_call,
    pytest_runtest_makereport,
    pytest_runtest_setup,
)
from seabus.plugin.summary import pytest_terminal_summary
from seabus.plugin.workers import (
    pytest_handlecrashitem,
    pytest_runtest_logreport,
    pytest_xdist_auto_num_workers,
)

__all__ = [
    "Worlds",
    "expect",
    "guest",
    "host",
    "inject",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_exception_interact",
    "pytest_handlecrashitem",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_report_teststatus",
    "pytest_runtest_call",
    "pytest_runtest_logreport",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_xdist_auto_num_workers",
    "seabus_worlds",
    "story",
    "victim",
    "warm_world",
    "world",
]
