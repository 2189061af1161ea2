"""What a type checker must see of the face: decorated functions keep their types."""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import BaseModel

from executor_sdk import Candidate, EvidenceRef, Executor, ExecutorClient, Task, Verdict, in_process
from executor_sdk.protocol.wire import Capabilities
from executor_sdk.testing.process import Done, Judged


class Ask(BaseModel):
    """Inputs."""

    url: str


class Finding(BaseModel):
    """An output."""

    answer: str


executor = Executor("acme", "m-1", timeout_s=3)


@executor.execute
def bare(ask: Ask) -> Finding:
    """Decorated without parentheses."""
    return Finding(answer=ask.url)


@executor.execute("named", profiles=("fast",), timeout_s=1)
async def named(ask: Ask, task: Task) -> Finding:
    """Decorated with arguments."""
    assert_type(await task.fetch(ask.url), bytes)
    assert_type(task.artifact(b"", "text/csv"), EvidenceRef)
    assert_type(task.agent_id, str | None)
    return bare(ask)


@executor.verify
async def holds(candidate: Candidate[Finding]) -> Verdict:
    """A verifier without parentheses."""
    assert_type(candidate.output, Finding)
    return Verdict.passed()


@executor.health()
def well() -> bool:
    """A health check with parentheses."""
    return True


async def calls(task: Task, candidate: Candidate[Finding], client: ExecutorClient) -> None:
    """Decorated functions are the functions that they were."""
    assert_type(bare(Ask(url="u")), Finding)
    assert_type(await named(Ask(url="u"), task), Finding)
    assert_type(await holds(candidate), Verdict)
    assert_type(well(), bool)
    assert_type(await client.execute(b""), dict[str, Any])
    assert_type(await client.capabilities(), Capabilities)


with in_process(executor, files={"u": b""}) as rt:
    done = rt.execute({"url": "u"})
    assert_type(done, Done)
    assert_type(rt.verify(done), Judged)

bare(Ask(url="u"), 1)  # type: ignore[call-arg]  # a decorated function is still checked
executor.execute(3)  # type: ignore[call-overload]  # neither a function nor a task type
