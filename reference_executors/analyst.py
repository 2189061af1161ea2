"""An analyst: deterministic, really computing, slow enough to outlive a caller, and citing by digest what it read."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from enum import IntEnum
from typing import Annotated

from pydantic import BaseModel, Field

from executor_sdk import Candidate, Depends, Executor, ReasonCode, Refuse, Task, Verdict
from reference_executors.revenue.conclusions import DRAWS
from reference_executors.revenue.lenses import Finding, closer_look, control_figures, first_look, lens_for
from reference_executors.revenue.sales import HEADER, NoSalesError, Sales, read_sales

logger = logging.getLogger(__name__)

executor = Executor(provider_family="reference", model_id="analyst-1")


class SalesQuestion(BaseModel):
    """What a step asks: where the sales are. By what to look is said in the agent's prompt."""

    data_url: str = Field(description=f"a CSV file with the columns {', '.join(HEADER)}")


class Why(IntEnum):
    """What this analyst's own verification can find wrong."""

    FIGURES_DIFFER = 1001
    LINES_DIFFER = 1002


def draws_per_look() -> int:
    """How often the customers are drawn again for one confidence; a test puts a smaller number in its place."""
    return DRAWS


@executor.execute("swarm", timeout_s=120)
def analyse(ask: SalesQuestion, task: Task, draws: Annotated[int, Depends(draws_per_look)]) -> Finding:
    """Look once by groups; asked again for more evidence, look at every line."""
    lens = lens_for(task.prompt or "")
    data = task.fetch_sync(ask.data_url)
    logger.info("%s looks at %s by %s, round %d", task.agent_id, ask.data_url, lens.dimension, task.round)
    sales = _read(data, ask.data_url)
    task.artifact(data, "text/csv")
    look = closer_look if task.signal else first_look
    seed = f"{hashlib.sha256(data).hexdigest()}:{lens.dimension}"
    finding = look(
        sales, lens, seed=seed, draws=draws, progress=lambda done: task.progress(done, "asking other customers")
    )
    task.evidence(finding.summary)
    if doubled := [number for lines in _doubled(finding) for number in lines]:
        task.artifact(offending_lines(sales, doubled), "text/csv")
    return finding


@executor.verify
async def figures_hold(candidate: Candidate[Finding]) -> Verdict:
    """Read the cited file again: the control figures and the doubled lines must be there."""
    if not candidate.evidence_refs:
        return Verdict.inconclusive(ReasonCode.EVIDENCE_UNREACHABLE, "no file was cited")
    data = await candidate.fetch(candidate.evidence_refs[0])
    sales = await asyncio.to_thread(read_sales, data)
    doubled = _doubled(candidate.output)
    for lines in doubled:
        if not sales.agree(lines):
            return Verdict.failed(Why.LINES_DIFFER, f"lines {lines} are not one booking")
    figures = control_figures(sales.without(number for lines in doubled for number in lines[1:]))
    if figures != candidate.output.check_summary:
        return Verdict.failed(Why.FIGURES_DIFFER, f"the cited file says {figures}")
    return Verdict.passed()


def offending_lines(sales: Sales, numbers: list[int]) -> bytes:
    """The lines of these numbers as a table of their own, each with its number in the file it was found in."""
    rows = [f"{line.number},{line.text}" for line in sales.numbered(numbers)]
    return "\n".join([f"line,{','.join(HEADER)}", *rows, ""]).encode()


def _read(data: bytes, source: str) -> Sales:
    try:
        return read_sales(data)
    except NoSalesError as error:
        raise Refuse("NO_SALES", f"{source}: {error}") from error


def _doubled(finding: Finding) -> list[list[int]]:
    return [anomaly.lines for anomaly in finding.anomalies if anomaly.kind == "BOOKED_TWICE"]
