"""Checks of repeated requests: copies of one body, hung up upon in between, and later attempts at one step."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import anyio
import orjson

from executor_sdk.conformance.results import BrokenError, Level, NotTestableError, Requirement, Source
from executor_sdk.conformance.target import Probe, Received
from executor_sdk.protocol.plain import Json

#: How many copies of one request a kernel may send.
COPIES: Final = 5

#: Seconds for which a hurried caller waits once its request is sent: long enough for the executor to have read it.
HANG_UP_AFTER_S: Final = 0.1


@Requirement(
    id="EXC-IDEMP-001",
    title="The same request again gives the same output",
    quote="execution_id proposed twice with another output is refused as an idempotency violation",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="does the work again for a copy that comes later, with another output",
)
async def the_same_request_gives_the_same_output(probe: Probe) -> None:
    """Asked again after it was answered."""
    done = await probe.done()
    again = await probe.candidate(done.request, "the second copy")
    if again["candidate_output"] != done.answer["candidate_output"]:
        raise BrokenError("the second copy of a request was answered another output than the first")


@Requirement(
    id="EXC-IDEMP-002",
    title="Five overlapping copies of a request all get the one answer",
    quote="one slow step arrives as up to five copies of the same body, later ones while the first may still run",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="refuses a copy that arrives while the first still runs",
)
async def overlapping_copies_get_one_answer(probe: Probe) -> None:
    """All sent at once, each on a connection of its own."""
    answers = await at_once(probe, [await probe.request()] * COPIES)
    done = [answer.candidate(f"copy {n} of {COPIES}") for n, answer in enumerate(answers, 1)]
    if any(one["candidate_output"] != done[0]["candidate_output"] for one in done):
        raise BrokenError(f"{COPIES} overlapping copies of a request were answered different outputs")


@Requirement(
    id="EXC-IDEMP-003",
    title="The same execution id with another body is refused with a 4xx",
    quote="the same id with another body is refused (409)",
    source=Source.OURS,
    prerequisite="EXC-EXEC-001",
    mutant="answers another body under a known execution id",
)
async def another_body_under_the_same_id_is_refused(probe: Probe) -> None:
    """Its twin, the other body under an id of its own, must be done: else the refusal would prove nothing."""
    done = await probe.done()
    inputs = await probe.inputs() | {"prompt": "Another question than before."}
    other = done.request | {"inputs": inputs, "task_contract": done.request["task_contract"] | {"inputs": inputs}}
    twin = await probe.post("/execute", await probe.request(inputs=inputs))
    if twin.status != 200:
        raise NotTestableError(f"the other body under an id of its own was answered {twin}")
    answer = await probe.post("/execute", other)
    if not 400 <= answer.status < 500:
        raise BrokenError(f"another body under a known execution id was answered {answer.status}, expected a 4xx")


@Requirement(
    id="EXC-IDEMP-004",
    level=Level.SHOULD,
    title="The same request in other bytes is not refused",
    quote="compare the raw body digest first and the canonical one before refusing, because gateways re-encode",
    source=Source.OURS,
    prerequisite="EXC-EXEC-001",
    mutant="compares bodies byte by byte",
)
async def other_bytes_are_not_refused(probe: Probe) -> None:
    """White space and the order of keys mean nothing in JSON. Whether the output is the same is asked elsewhere."""
    done = await probe.done()
    reordered = orjson.dumps(done.request, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    await probe.candidate(reordered, "the same request in other bytes")


@Requirement(
    id="EXC-IDEMP-005",
    level=Level.SHOULD,
    title="The same request again gives the same evidence",
    quote="copies join the running execution and get the same bytes; a finished one is replayed",
    source=Source.OURS,
    prerequisite="EXC-EXEC-001",
    mutant="replays the output with a new created_at in its evidence",
)
async def the_same_request_gives_the_same_evidence(probe: Probe) -> None:
    """A candidate's hash covers its evidence: a new time stamp is another candidate."""
    done = await probe.done()
    answer = await probe.post("/execute", done.request)
    again = answer.json if isinstance(answer.json, dict) else {}
    for field in ("evidence_inline", "evidence_refs"):
        if again.get(field) != done.answer.get(field):
            raise BrokenError(f"the second copy of a request was answered other {field} than the first")


@Requirement(
    id="EXC-IDEMP-006",
    title="A caller that hung up and asks again is answered",
    quote="an /execute that takes longer is cut off by the caller, and sent again after 50 to 200 ms",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="gives up an execution for good when its caller hangs up",
)
async def a_caller_that_hung_up_may_ask_again(probe: Probe) -> None:
    """The kernel's own pause of 50 ms lies between."""
    body = await probe.request()
    await probe.post_and_hang_up("/execute", body, after_s=HANG_UP_AFTER_S)
    await anyio.sleep(0.05)
    await probe.candidate(body, "the request sent again after its caller hung up")


@Requirement(
    id="EXC-ADOPT-001",
    level=Level.SHOULD,
    title="A later attempt at a step whose success was answered gets the same answer",
    quote="an answer that was heard is not an answer that counted: a success is kept until somebody says no",
    source=Source.OURS,
    prerequisite="EXC-EXEC-001",
    mutant="does the work again for a later attempt at a step that it has done",
)
async def a_later_attempt_gets_the_answer_of_an_earlier_one(probe: Probe) -> None:
    """The first was answered and nobody has judged it, so nobody has turned it down.

    A kernel names the task of attempt n `run-RUN-AGENT-n`, with the agent in the inputs; the rest stays the same.
    """
    first = await probe.request(inputs={"agent_id": "agent", **await probe.inputs()})
    earlier = await probe.candidate(first, "the first attempt")
    later = await probe.candidate(_next_attempt(first), "the second attempt")
    for field in ("candidate_output", "evidence_inline", "evidence_refs"):
        if earlier.get(field) != later.get(field):
            raise BrokenError(f"the second attempt at a step whose success was answered got another {field}")


async def at_once(probe: Probe, requests: list[Json]) -> list[Received]:
    """The answers to requests that are sent at the same time, in their order."""
    answers: dict[int, Received] = {}

    async def send(number: int, body: Json) -> None:
        answers[number] = await probe.post("/execute", body)

    try:
        async with anyio.create_task_group() as sending:
            for number, body in enumerate(requests):
                sending.start_soon(send, number, body)
    except BaseExceptionGroup as group:
        raise next((one for one in group.exceptions if isinstance(one, BrokenError)), group.exceptions[0]) from None
    return [answers[number] for number in range(len(requests))]


def _next_attempt(request: dict[str, Json]) -> dict[str, Json]:
    """What a kernel sends for the attempt after that of `request`: other ids, the same work."""
    task_id = f"{request['task_id'].removesuffix('-1')}-2"
    execution_id = f"exec-p-{uuid4()}"
    changed = {"task_id": task_id, "execution_id": execution_id, "attempt_id": execution_id}
    return request | changed | {"task_contract": request["task_contract"] | {"task_id": task_id}}
