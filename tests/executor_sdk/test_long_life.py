"""A long life leaves nothing behind: ten thousand executions later an executor holds what it held before."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Annotated, Any

import anyio
import orjson
import pytest

from executor_sdk import Candidate, Depends, Executor, Refuse, Task, Verdict
from executor_sdk.client.asks import execute_body
from executor_sdk.protocol.requests import candidate, verify_request
from executor_sdk.testing.server import running
from executor_sdk.transports.asgi.app import Application

EXECUTIONS = 5_000

#: Records that the ledger may keep, far fewer than there are executions.
KEPT = 100


async def connection() -> Any:
    """What is opened and closed for each call."""
    yield object()


def an_executor() -> Executor:
    """One that does all that leaves traces: evidence, artifacts, progress, dependencies, refusals and crashes."""
    executor = Executor(
        "acme", "m-1", keep_count=KEPT, keep_least_ms=0, keep_unheard_ms=0, artifacts_bytes=10_000, linger_ms=0
    )

    @executor.execute("swarm")
    async def work(inputs: dict[str, Any], task: Task, opened: Annotated[Any, Depends(connection)]) -> dict[str, Any]:
        task.evidence(f"looked at {inputs['n']}")
        task.artifact(b"%d" % inputs["n"], "text/plain")
        task.progress(0.5)
        if inputs["n"] % 5 == 0:
            raise Refuse("NO", "never")
        if inputs["n"] % 7 == 0:
            await asyncio.sleep(0)
        return {"answer": str(inputs["n"])}

    @executor.verify
    async def judge(proposed: Candidate[Any]) -> Verdict:
        return Verdict.passed()

    return executor


async def post(app: Application, path: str, body: bytes, *, hangs_up: bool = False) -> bytes:
    """The body of the answer to one request; empty for a caller that hangs up."""
    told, sent = asyncio.Event(), list[Any]()

    async def receive() -> dict[str, Any]:
        if not told.is_set():
            told.set()
            return {"type": "http.request", "body": body, "more_body": False}
        if not hangs_up:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)
    answer: bytes = sent[-1]["body"]
    return answer


async def execute(app: Application, n: int) -> None:
    """One execution: asked for twice, heard or not, and judged now and then if there is a candidate."""
    asked = execute_body({"n": n}, task_type="swarm")
    body = orjson.dumps(asked)
    answer = orjson.loads(await post(app, "/execute", body, hangs_up=n % 3 == 0))
    again = orjson.loads(await post(app, "/execute", body))
    assert ("candidate_output" in again) is (n % 5 > 0)
    if n % 11 == 0 and "candidate_output" in answer:
        ref = {"uri": "u", "digest": "d", "size_bytes": 1, "mime": "text/plain", "created_at": 1, "producer": "p"}
        made = candidate(execution_id=f"e-{n}", output=answer["candidate_output"], output_ref=ref)
        contract = asked["task_contract"]
        policy = contract["acceptance"]["verifier_policy"]
        request = verify_request(made, output_schema=contract["output_schema"], policy=policy)
        assert orjson.loads(await post(app, "/verify", orjson.dumps(request)))["passed"]


def held() -> int:
    """Blocks of memory that Python has given out, once what nobody uses is gone."""
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.anyio
async def test_ten_thousand_executions_leave_no_more_behind_than_five_thousand() -> None:
    """One small object for each that stays anywhere would be five thousand."""
    app = an_executor().application()
    after = list[int]()
    with anyio.fail_after(300):
        async with running(app):
            for half in range(2):
                for n in range(EXECUTIONS):
                    await execute(app, half * EXECUTIONS + n)
                after.append(held())

    assert after[1] - after[0] < EXECUTIONS / 10
