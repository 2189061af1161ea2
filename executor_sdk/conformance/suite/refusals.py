"""Checks of refusals: the status tells a kernel what to do next, the first characters tell its people why."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import orjson

from executor_sdk.conformance import bodies
from executor_sdk.conformance.results import BrokenError, Level, NotTestableError, Requirement, Source
from executor_sdk.conformance.target import Probe, Received

#: Bodies that no retry can mend.
BROKEN_BODIES: Final = (
    b'{"task_id": "run-conf',
    b"[1, 2, 3]",
    b'{"inputs": {}}',
    b'{"task_id": 1, "execution_id": []}',
)

#: Levels of the deep body: more than any recursive reader survives.
DEEP: Final = 100_000

#: Characters of an error body that a kernel keeps.
KEPT_CHARS: Final = 512

#: What only a stack trace contains.
TRACES: Final = (
    "Traceback (most recent call last)",
    '.py", line ',
    "\n\tat ",
    "\n    at ",
    "goroutine 1 [",
    "stack backtrace",
    "panicked at",
)


@Requirement(
    id="EXC-ERR-001",
    title="A body that can never be understood is refused with a 4xx",
    quote="a step whose /execute answered 4xx is final; any other failure is retried",
    source=Source.RECORDING,
    mutant="answers a broken body with 500",
)
async def a_hopeless_body_is_refused_for_good(probe: Probe) -> None:
    """Broken JSON, a list, missing fields, fields of the wrong type."""
    for body in BROKEN_BODIES:
        answer = await probe.post("/execute", body)
        if not 400 <= answer.status < 500:
            raise BrokenError(f"POST /execute {body.decode()} was answered {answer}, expected a 4xx")


@Requirement(
    id="EXC-ERR-002",
    title="The first 512 characters of a refusal say what is wrong",
    quote="error bodies of /execute are kept up to 512 characters, trimmed",
    source=Source.RECORDING,
    mutant="refuses with an empty body",
)
async def a_refusal_says_what_is_wrong(probe: Probe) -> None:
    """Any readable sentence will do; its language and shape are free."""
    for answer in await _refusals(probe):
        kept = answer.body.decode("utf-8", "replace").strip()[:KEPT_CHARS]
        if len(kept.split()) < 2 or kept.startswith("<"):
            raise BrokenError(f"the first {KEPT_CHARS} characters of a refusal ({answer}) hold no sentence")


@Requirement(
    id="EXC-ERR-003",
    title="No refusal carries a stack trace",
    quote="no traceback on the wire",
    source=Source.OURS,
    mutant="appends the traceback to its error bodies",
)
async def no_refusal_carries_a_stack_trace(probe: Probe) -> None:
    """Looked for in the whole body, not only in what a kernel keeps."""
    for answer in await _refusals(probe):
        text = answer.body.decode("utf-8", "replace").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
        found = [trace.strip() for trace in TRACES if trace in text]
        if found:
            raise BrokenError(f"a refusal with status {answer.status} carries a stack trace ({found[0]!r})")


@Requirement(
    id="EXC-ERR-004",
    level=Level.SHOULD,
    title="A refusal is {error: {code, message, retryable}}, and retryable agrees with the status",
    quote="the status telling the same as retryable (4xx final, 5xx again)",
    source=Source.OURS,
    mutant="calls a 4xx retryable",
)
async def retryable_agrees_with_the_status(probe: Probe) -> None:
    """The kit's own error body; a kernel prescribes none."""
    for answer in await _refusals(probe):
        error = answer.json.get("error") if isinstance(answer.json, dict) else None
        if not isinstance(error, dict) or not all(isinstance(error.get(key), str) for key in ("code", "message")):
            raise BrokenError(f"a refusal is not {{error: {{code, message, retryable}}}}: {answer}")
        if error.get("retryable") is not (answer.status >= 500):
            raise BrokenError(f"a refusal with status {answer.status} says retryable: {error.get('retryable')}")


@Requirement(
    id="EXC-ERR-005",
    title="A body nested a hundred thousand levels deep is refused with a 4xx, and the executor lives",
    quote="bounded body, depth, time",
    source=Source.OURS,
    prerequisite="EXC-HEALTH-001",
    mutant="answers a deeply nested body with 500",
)
async def a_deep_body_is_refused_and_survived(probe: Probe) -> None:
    """A refusal before the whole body was read may show as a dropped connection; then only life is asked for."""
    body = orjson.dumps(bodies.ask(await probe.sample(), inputs="DEEP")).replace(
        b'"DEEP"', b"[" * DEEP + b"]" * DEEP, 1
    )
    try:
        answer = await probe.post("/execute", body)
    except BrokenError:
        answer = None
    if answer is not None and not 400 <= answer.status < 500:
        raise BrokenError(f"a body of {DEEP} levels was answered {answer.status}, expected a 4xx")
    if not 200 <= (await probe.get("/health")).status < 300:
        raise BrokenError(f"after a body of {DEEP} levels /health is no longer 2xx")


async def _refusals(probe: Probe) -> list[Received]:
    """What the executor answers to a broken body and to a task type that it does not offer, where it refuses them."""
    unknown = bodies.ask(await probe.sample(), task_type=f"conformance-unknown-{uuid4().hex[:8]}")
    answers = [await probe.post("/execute", BROKEN_BODIES[0]), await probe.post("/execute", unknown)]
    refused = [answer for answer in answers if answer.status >= 400]
    if not refused:
        raise NotTestableError("neither a broken body nor an unknown task type was refused")
    return refused
