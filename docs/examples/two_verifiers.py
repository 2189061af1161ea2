"""Two task types, one verifier for each, and one for whatever is left."""

from typing import Any

from pydantic import BaseModel

from executor_sdk import Candidate, Executor, Verdict

executor = Executor(provider_family="acme", model_id="words-1")


class Text(BaseModel):
    text: str


class Words(BaseModel):
    answer: str
    words: int


class Upper(BaseModel):
    answer: str


@executor.execute("count")
def count(ask: Text) -> Words:
    words = len(ask.text.split())
    return Words(answer=str(words), words=words)


@executor.execute("upper")
def upper(ask: Text) -> Upper:
    return Upper(answer=ask.text.upper())


# start
@executor.verify("count")
def is_counted(candidate: Candidate[Words]) -> Verdict:
    return Verdict.passed() if candidate.output.words >= 0 else Verdict.failed(1001, "less than nothing")


@executor.verify  # all that no other verifies
def is_said(candidate: Candidate[Any]) -> Verdict:
    return Verdict.passed() if candidate.output["answer"] else Verdict.failed(1002, "nothing is said")
