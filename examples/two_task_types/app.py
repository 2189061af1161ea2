"""Does two task types, each with its own input and output, and judges both by working them out again.

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
    NOT_REPRODUCED = 1001


@executor.execute("audit")
def audit(invoice: Invoice) -> Audit:
    total = sum(invoice.line_cents)
    return Audit(
        decision="PAY" if total == invoice.stated_cents else "ASK_BACK", answer=f"{total} cents", invoice=invoice
    )


@executor.execute("remind")
def remind(debt: Debt) -> Reminder:
    return Reminder(decision="REMIND" if debt.days > 30 else "WAIT", answer=f"{debt.days} days", debt=debt)


@executor.verify
def agrees(candidate: Candidate[Audit | Reminder]) -> Verdict:
    output = candidate.output
    again = audit(output.invoice) if isinstance(output, Audit) else remind(output.debt)
    return Verdict.passed() if output == again else Verdict.failed(Why.NOT_REPRODUCED)
