"""Checks of repeated requests: copies of one body, hung up upon in between, and later attempts at one step."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import anyio
import orjson

from executor_sdk.conformance import bodies
from executor_sdk.conformance.results import BrokenError, NotTestableError
from executor_sdk.conformance.target import Probe, Received, proves
from executor_sdk.protocol.plain import Json

#: How many copies of one request a kernel may send.
COPIES: Final = 5

#: Seconds for which a hurried caller waits once its request is sent: long enough for the executor to have read it.
HANG_UP_AFTER_S: Final = 0.1


@proves("EXC-IDEMP-001")
async def the_same_request_gives_the_same_output(probe: Probe) -> None:
    """Asked again after it was answered."""
    done = await probe.done()
    again = _output(await probe.post("/execute", done.request), "the second copy")
    if again != done.answer["candidate_output"]:
        raise BrokenError("the second copy of a request was answered another output than the first")


@proves("EXC-IDEMP-002")
async def overlapping_copies_get_one_answer(probe: Probe) -> None:
    """All sent at once, each on a connection of its own."""
    await probe.done()
    body = bodies.ask(await probe.sample())
    answers = await at_once(probe, [body] * COPIES)
    outputs = [_output(answer, f"copy {n} of {COPIES}") for n, answer in enumerate(answers, 1)]
    if any(output != outputs[0] for output in outputs):
        raise BrokenError(f"{COPIES} overlapping copies of a request were answered different outputs")


@proves("EXC-IDEMP-003")
async def another_body_under_the_same_id_is_refused(probe: Probe) -> None:
    """Its twin, the other body under an id of its own, must be done: else the refusal would prove nothing."""
    done = await probe.done()
    other = _with_another_prompt(done.request)
    twin = await probe.post("/execute", bodies.ask(await probe.sample(), inputs=other["inputs"]))
    if twin.status != 200:
        raise NotTestableError(f"the other body under an id of its own was answered {twin}")
    answer = await probe.post("/execute", other)
    if not 400 <= answer.status < 500:
        raise BrokenError(f"another body under a known execution id was answered {answer.status}, expected a 4xx")


@proves("EXC-IDEMP-004")
async def other_bytes_are_not_refused(probe: Probe) -> None:
    """White space and the order of keys mean nothing in JSON. Whether the output is the same is asked elsewhere."""
    done = await probe.done()
    reordered = orjson.dumps(done.request, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    _output(await probe.post("/execute", reordered), "the same request in other bytes")


@proves("EXC-IDEMP-005")
async def the_same_request_gives_the_same_evidence(probe: Probe) -> None:
    """A candidate's hash covers its evidence: a new time stamp is another candidate."""
    done = await probe.done()
    answer = await probe.post("/execute", done.request)
    again = answer.json if isinstance(answer.json, dict) else {}
    for field in ("evidence_inline", "evidence_refs"):
        if again.get(field) != done.answer.get(field):
            raise BrokenError(f"the second copy of a request was answered other {field} than the first")


@proves("EXC-IDEMP-006")
async def a_caller_that_hung_up_may_ask_again(probe: Probe) -> None:
    """The kernel's own pause of 50 ms lies between."""
    await probe.done()
    body = bodies.ask(await probe.sample())
    await probe.post_and_hang_up("/execute", body, after_s=HANG_UP_AFTER_S)
    await anyio.sleep(0.05)
    _output(await probe.post("/execute", body), "the request sent again after its caller hung up")


@proves("EXC-ADOPT-001")
async def a_later_attempt_gets_the_answer_of_an_earlier_one(probe: Probe) -> None:
    """The first was answered and nobody has judged it, so nobody has turned it down.

    A kernel names the task of attempt n `run-RUN-AGENT-n`, with the agent in the inputs; the rest stays the same.
    """
    await probe.done()
    sample = await probe.sample()
    if not isinstance(sample.inputs, dict):
        raise NotTestableError("the sample's inputs are no object, so they cannot name the agent of a run step")
    first = bodies.ask(sample, inputs={"agent_id": "agent", **sample.inputs})
    earlier, later = await probe.post("/execute", first), await probe.post("/execute", _next_attempt(first))
    _output(earlier, "the first attempt")
    _output(later, "the second attempt")
    for field in ("candidate_output", "evidence_inline", "evidence_refs"):
        if earlier.json.get(field) != later.json.get(field):
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
        raise _first_broken(group) from None
    return [answers[number] for number in range(len(requests))]


def _next_attempt(request: dict[str, Json]) -> dict[str, Json]:
    """What a kernel sends for the attempt after that of `request`: other ids, the same work."""
    task_id = f"{request['task_id'].removesuffix('-1')}-2"
    execution_id = f"exec-p-{uuid4()}"
    changed = {"task_id": task_id, "execution_id": execution_id, "attempt_id": execution_id}
    return request | changed | {"task_contract": request["task_contract"] | {"task_id": task_id}}


def _with_another_prompt(request: dict[str, Json]) -> dict[str, Json]:
    """The request with another prompt, which every run step has in its inputs."""
    if not isinstance(request["inputs"], dict):
        raise NotTestableError("the sample's inputs are no object, so they cannot be changed safely")
    inputs = request["inputs"] | {"prompt": "Another question than before."}
    return request | {"inputs": inputs, "task_contract": request["task_contract"] | {"inputs": inputs}}


def _first_broken(group: BaseExceptionGroup[BaseException]) -> BaseException:
    return next((error for error in group.exceptions if isinstance(error, BrokenError)), group.exceptions[0])


def _output(answer: Received, what: str) -> Json:
    content = answer.json
    if answer.status != 200 or not isinstance(content, dict) or "candidate_output" not in content:
        raise BrokenError(f"{what} was answered {answer}, expected 200 with a candidate")
    return content["candidate_output"]
