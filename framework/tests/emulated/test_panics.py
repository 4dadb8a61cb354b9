# SPDX-License-Identifier: Apache-2.0
"""A level that panics in the middle of a fault has failed, and the verdict quotes it."""

from __future__ import annotations

import base64

import pytest

from seabus.guest.victim import Victim
from seabus.judge.verdict import Verdict
from seabus.plugin import Worlds
from seabus.scenarios import consumed_page
from seabus.session.stage import Stage

pytestmark = pytest.mark.emulated


@pytest.mark.parametrize(("level", "subject"), [("l1", "host"), ("l2", "guest")])
def test_a_panic_is_a_failure_of_that_level(
    seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch, level: str, subject: str
) -> None:
    """The panic is planted at the moment the page is touched; how it is found out is real."""
    touch = Stage.touch

    async def crash_and_touch(stage: Stage, victim: Victim, **access: object) -> object:
        getattr(stage.world, level).send(
            "write", path="/proc/sysrq-trigger", data=base64.b64encode(b"c").decode(), create=False
        )
        return await touch(stage, victim, **access)

    monkeypatch.setattr(Stage, "touch", crash_and_touch)
    outcome = seabus_worlds.run(consumed_page.run)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.receipts
    dead = [finding for finding in outcome.judgement.findings if finding.kind == "dead"]
    assert [finding.subject for finding in dead] == [subject]
    assert "Kernel panic - not syncing" in dead[0].text
