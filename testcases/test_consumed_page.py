# SPDX-License-Identifier: Apache-2.0
"""Firmware reports an uncorrected error in a page of the guest, and the guest consumes it.

What each level promises, and where, stands beside each link in ``seabus.chains``.
"""

from __future__ import annotations

from typing import Literal

import pytest

from seabus.judge.verdict import Verdict
from seabus.machine.config import KvmMode, WorldConfig
from seabus.plugin import Worlds
from seabus.scenarios import consumed_page

pytestmark = pytest.mark.emulated


@pytest.mark.parametrize("access", ["read", "write"])
def test_every_level_does_what_it_promises(seabus_worlds: Worlds, access: Literal["read", "write"]) -> None:
    outcome = seabus_worlds.run(lambda world: consumed_page.run(world, access=access))
    assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement
    assert len(outcome.receipts) == 1
    assert outcome.receipts[0].facts["nonce"] == outcome.faults[0].described()["nonce"]


def test_negative_control(seabus_worlds: Worlds) -> None:
    """The same steps without the injection: every expected event is missing, and nothing else is wrong."""
    outcome = seabus_worlds.run(lambda world: consumed_page.run(world, inject=False))
    assert outcome.judgement.verdict is Verdict.FAIL
    missing = [finding.subject for finding in outcome.judgement.findings if finding.kind == "missing"]
    assert missing == [expectation.name for expectation in outcome.expectations]
    assert len(outcome.judgement.findings) == len(missing)


@pytest.mark.parametrize("mode", ["vhe"])
def test_other_kvm_mode(seabus_worlds: Worlds, mode: KvmMode) -> None:
    """VHE hosts run other code of KVM, and their clones need a cure of their own."""
    outcome = seabus_worlds.run(consumed_page.run, WorldConfig(l1_mode=mode))
    assert outcome.judgement.verdict is Verdict.PASS, outcome.judgement


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
