"""The executor: what a task brings, what is answered, and the function between them."""

from typing import Literal

from executor_sdk import Candidate, Executor, ReasonCode, Refuse, Task, Verdict
from pydantic import BaseModel, Field

executor = Executor(provider_family={{ cookiecutter.provider_family | tojson }}, model_id={{ cookiecutter.model_id | tojson }})


class Ask(BaseModel):
    """The inputs of a task. Keys that a kernel adds to them need not be named here."""

    amounts: list[float] = Field(description="one amount per sale", examples=[[120.0, -20.0, 35.5]])


class Finding(BaseModel):
    """The candidate. Runs demand `answer`, and count `decision` and `answer` as votes."""

    decision: Literal["GROWTH", "DECLINE"]
    answer: Literal["up", "down"]
    confidence: float = Field(ge=0, le=1)
    check_summary: str


@executor.execute({{ cookiecutter.task_type | tojson }}, timeout_s=25)
async def find_drivers(ask: Ask, task: Task) -> Finding:
    """Adds up the amounts and says where they go."""
    if not ask.amounts:
        raise Refuse("NO_AMOUNTS", "there are no amounts to add up")
    total = sum(ask.amounts)
    task.evidence(f"{len(ask.amounts)} amounts, total {total:.2f}")
    return Finding(
        decision="GROWTH" if total > 0 else "DECLINE",
        answer="up" if total > 0 else "down",
        confidence=0.9,
        check_summary=f"added up {len(ask.amounts)} amounts",
    )


@executor.verify
async def answer_fits_decision(candidate: Candidate[Finding]) -> Verdict:
    """Runs after the kernel's own policy passed, and may only lower the verdict."""
    fits = (candidate.output.decision == "GROWTH") == (candidate.output.answer == "up")
    return Verdict.passed() if fits else Verdict.failed(ReasonCode.CUSTOM_ERROR, "answer and decision differ")
