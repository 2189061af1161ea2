"""Checks of `GET /health`."""

from __future__ import annotations

from executor_sdk.conformance.results import BrokenError
from executor_sdk.conformance.target import Probe, proves


@proves("EXC-HEALTH-001")
async def health_answers_2xx(probe: Probe) -> None:
    """The body is free; the kernel does not read it."""
    answer = await probe.get("/health")
    if not 200 <= answer.status < 300:
        raise BrokenError(f"GET /health answered {answer}")
