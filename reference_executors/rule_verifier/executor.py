"""The executor: it judges candidates by the rules, and says before anybody proposes them whether they would hold."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from executor_sdk import Candidate, Executor, Task, Verdict
from reference_executors.rule_verifier.rules import Broken, broken_rules, read_rules

RULES_FILE: Final = Path(__file__).with_name("rules.json")
RULES: Final = read_rules(RULES_FILE)
#: A reason code per rule. As the members of an enumeration that a verifier names, they are listed in /capabilities.
Rule = IntEnum("Rule", {rule.name: rule.code for rule in RULES})  # type: ignore[misc]  # its members are data

executor = Executor(provider_family="reference", model_id="rule-verifier-1")


class RuleQuestion(BaseModel):
    """An output to be held against the rules, and how many files it would cite."""

    output: dict[str, Any]
    cited_files: int = Field(default=0, ge=0)


class RuleReport(BaseModel):
    """What the rules say. `decision` is a vote, so a run can ask several verifiers."""

    decision: Literal["HOLDS", "BROKEN"]
    answer: str = Field(description="the same, for contracts that demand an answer")
    confidence: float = Field(default=1.0, description="rules do not guess")
    check_summary: str
    broken: list[Broken]


@executor.execute("rule-check")
def check(ask: RuleQuestion, task: Task) -> RuleReport:
    """Which rules an output breaks, without proposing it; the rules themselves are the evidence."""
    task.artifact(RULES_FILE.read_bytes(), "application/json")
    broken = broken_rules(RULES, ask.output, ask.cited_files)
    decision: Literal["HOLDS", "BROKEN"] = "BROKEN" if broken else "HOLDS"
    return RuleReport(
        decision=decision,
        answer=decision,
        check_summary=f"{len(RULES)} rules, {len(broken)} broken",
        broken=broken,
    )


@executor.verify
async def rules_hold(candidate: Candidate[Any]) -> Verdict:
    """Every rule holds, and every cited file can be read and has the digest that it is cited by."""
    broken = broken_rules(RULES, candidate.output, len(candidate.evidence_refs))
    if broken:
        codes = tuple(Rule(one.code) for one in broken)
        return Verdict("failed", codes, "; ".join(one.sentence for one in broken))
    for ref in candidate.evidence_refs:
        await candidate.fetch(ref)  # a file that is another one fails the candidate by itself, with reason 203
    return Verdict.passed()
