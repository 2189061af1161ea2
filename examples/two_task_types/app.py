"""Does two task types, each with its own input and output, and judges each by a verifier that works it out again.

Run `executor serve examples.two_task_types.app:executor`.
"""

from enum import IntEnum
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeInt

from executor_sdk import Candidate, Executor, Verdict

executor = Executor(provider_family="acme", model_id="bookkeeping-1")


class Invoice(BaseModel):
    stated_cents: int
    line_cents: list[int] = Field(min_length=1)


class Audit(BaseModel):
    decision: Literal["PAY", "ASK_BACK"]
    answer: str
    invoice: Invoice


class Debt(BaseModel):
    days: NonNegativeInt  # overdue


class Reminder(BaseModel):
    decision: Literal["REMIND", "WAIT"]
    answer: str
    debt: Debt


class Why(IntEnum):
    DIFFERS = 1001


@executor.execute("audit")
def audit(invoice: Invoice) -> Audit:
    total = sum(invoice.line_cents)
    return Audit(decision="PAY" if total == invoice.stated_cents else "ASK_BACK", answer=f"{total}", invoice=invoice)


@executor.execute("remind")
def remind(debt: Debt) -> Reminder:
    return Reminder(decision="REMIND" if debt.days > 30 else "WAIT", answer=f"{debt.days} days", debt=debt)


@executor.verify("audit")
def audits_alike(candidate: Candidate[Audit]) -> Verdict:
    return Verdict.passed() if candidate.output == audit(candidate.output.invoice) else Verdict.failed(Why.DIFFERS)


@executor.verify("remind")
def reminds_alike(candidate: Candidate[Reminder]) -> Verdict:
    return Verdict.passed() if candidate.output == remind(candidate.output.debt) else Verdict.failed(Why.DIFFERS)
