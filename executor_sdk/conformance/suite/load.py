"""Checks under load: many executions at once."""

from __future__ import annotations

from executor_sdk.conformance.results import BrokenError, Requirement, Source
from executor_sdk.conformance.suite.copies import at_once
from executor_sdk.conformance.target import Probe


@Requirement(
    id="EXC-LOAD-001",
    title="Saturation is never told as 429 or another 4xx",
    quote="saturation must be answered 503, never 429: a 429 would kill the step",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="answers 429 when more than eight executions run",
)
async def saturation_is_never_a_4xx(probe: Probe) -> None:
    """Doing all of them is fine, and so is refusing some with a 5xx: those come again."""
    answers = await at_once(probe, [await probe.request() for _ in range(probe.target.burst)])
    final = sorted({answer.status for answer in answers if 400 <= answer.status < 500})
    if final:
        raise BrokenError(f"of {len(answers)} executions at once some were answered {final}: that ends their steps")
