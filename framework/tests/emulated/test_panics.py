# SPDX-License-Identifier: Apache-2.0
"""A level that panics in the middle of a fault has failed, and the verdict quotes it."""

from __future__ import annotations

import base64

import pytest

from seabus.judge.verdict import Verdict
from seabus.plugin import Worlds
from seabus.scenarios import consumed_page
from seabus.world.world import World

pytestmark = pytest.mark.emulated


@pytest.mark.parametrize(("level", "subject"), [("l1", "host"), ("l2", "guest")])
def test_a_panic_is_a_failure_of_that_level(
    seabus_worlds: Worlds, monkeypatch: pytest.MonkeyPatch, level: str, subject: str
) -> None:
    """The panic is planted at the moment the page is touched; how it is found out is real."""
    consume = consumed_page._Run._consume

    async def crash_and_consume(run: consumed_page._Run) -> object:
        getattr(run.world, level).send(
            "write", path="/proc/sysrq-trigger", data=base64.b64encode(b"c").decode(), create=False
        )
        return await consume(run)

    monkeypatch.setattr(consumed_page._Run, "_consume", crash_and_consume)

    async def play(world: World) -> consumed_page.Outcome:
        return await consumed_page.run(world)

    outcome = seabus_worlds.run(play)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.receipt is not None
    dead = [finding for finding in outcome.judgement.findings if finding.kind == "dead"]
    assert [finding.subject for finding in dead] == [subject]
    assert "Kernel panic - not syncing" in dead[0].text
