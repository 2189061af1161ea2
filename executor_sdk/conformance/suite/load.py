"""Checks under load: many executions at once."""

from __future__ import annotations

from executor_sdk.conformance import bodies
from executor_sdk.conformance.results import BrokenError
from executor_sdk.conformance.suite.copies import at_once
from executor_sdk.conformance.target import Probe, proves


@proves("EXC-LOAD-001")
async def saturation_is_never_a_4xx(probe: Probe) -> None:
    """Doing all of them is fine, and so is refusing some with a 5xx: those come again."""
    await probe.done()
    sample = await probe.sample()
    answers = await at_once(probe, [bodies.ask(sample) for _ in range(probe.target.burst)])
    final = sorted({answer.status for answer in answers if 400 <= answer.status < 500})
    if final:
        raise BrokenError(f"of {len(answers)} executions at once some were answered {final}: that ends their steps")
