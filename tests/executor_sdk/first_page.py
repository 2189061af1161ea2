"""The first two pages that an author reads, as printed."""
# ruff: noqa: E501 - printed so
# fmt: off

from enum import IntEnum
from typing import Literal

from pydantic import BaseModel, Field

from executor_sdk import Candidate, Executor, ReasonCode, Refuse, Task, Verdict

executor = Executor(provider_family="acme", model_id="drivers-1")


class Ask(BaseModel):
    data_url: str


class Finding(BaseModel):
    decision: Literal["GROWTH", "DECLINE"]      # a closed vocabulary: votes are equal strings
    answer: str                                 # every run's contract demands it
    confidence: float = Field(ge=0, le=1)


@executor.execute("swarm", timeout_s=100)
async def drivers(ask: Ask, task: Task) -> Finding:
    sales = await task.fetch(ask.data_url)      # guarded, bound by the deadline
    if not (rows := sales.splitlines()[1:]):
        raise Refuse("NO_SALES", f"{ask.data_url} has no rows")     # 422: final
    task.artifact(sales, "text/csv")            # stored by digest, sent as a reference
    total = 0.0
    for n, row in enumerate(rows):
        task.progress(n / len(rows), f"row {n}")                    # plain call; raises in sync code once cancelled
        total += float(row.split(b",")[1])
    task.evidence(f"{len(rows)} rows, total {total}")
    return Finding(decision="GROWTH" if total > 0 else "DECLINE", answer=str(total), confidence=0.9)


class Why(IntEnum):                             # an author's own codes start at 1000, listed in /capabilities
    TOTAL_DIFFERS = 1001


@executor.verify                                # runs after the kernel's policy passed; may only lower the verdict
async def total_holds(candidate: Candidate[Finding]) -> Verdict:
    if not candidate.evidence_refs:
        return Verdict.inconclusive(ReasonCode.EVIDENCE_UNREACHABLE, "no file was cited")
    sales = await candidate.fetch(candidate.evidence_refs[0])       # 200/201/202 -> inconclusive, 203 -> failed, by themselves
    total = sum(float(row.split(b",")[1]) for row in sales.splitlines()[1:])
    return Verdict.passed() if str(total) == candidate.output.answer else Verdict.failed(Why.TOTAL_DIFFERS, f"file says {total}")
