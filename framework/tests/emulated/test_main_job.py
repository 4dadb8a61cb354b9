# SPDX-License-Identifier: Apache-2.0
"""The main job where it must not pass."""

from __future__ import annotations

import pytest

from seabus.judge.verdict import Verdict
from seabus.machine.config import WorldConfig
from seabus.plugin import Worlds
from seabus.scenarios import consumed_page

pytestmark = pytest.mark.emulated


def test_negative_control(seabus_worlds: Worlds) -> None:
    """The same steps without the injection: every expected event is missing, and nothing else is wrong."""
    outcome = seabus_worlds.run(lambda world: consumed_page.run(world, inject=False))
    assert outcome.judgement.verdict is Verdict.FAIL
    missing = [finding.subject for finding in outcome.judgement.findings if finding.kind == "missing"]
    assert missing == [expectation.name for expectation in outcome.expectations]
    assert len(outcome.judgement.findings) == len(missing)


def test_host_without_ras_is_an_error(seabus_worlds: Worlds) -> None:
    """L0 accepts the record, but there is no GHES to deliver it: injection lost, never a pass."""
    outcome = seabus_worlds.run(consumed_page.run, WorldConfig(l1_ras=False))
    assert outcome.judgement.verdict is Verdict.ERROR
    assert "injection lost" in outcome.judgement.reason
    assert not outcome.receipts


def test_guest_without_ras_fails(seabus_worlds: Worlds) -> None:
    """The VMM cannot tell such a guest; QEMU gives up, and the verdict names what is missing."""
    outcome = seabus_worlds.run(consumed_page.run, WorldConfig(l2_ras=False))
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.receipts
    assert "VMM" in {finding.subject for finding in outcome.judgement.findings if finding.kind == "dead"}
    missing = {finding.subject for finding in outcome.judgement.findings if finding.kind == "missing"}
    assert "guest-record" in missing
