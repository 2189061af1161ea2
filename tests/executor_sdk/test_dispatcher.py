"""The dispatcher without a transport: what is answered, what is refused, and what the verifier may change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx2
import orjson
import pytest

from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import digest_in
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.threads import Threads
from executor_sdk.authoring.verdict import Candidate, Verdict
from executor_sdk.client.web import WebRequest
from executor_sdk.dispatcher import Dispatcher
from executor_sdk.errors import FetchError, MalformedRequestError, Refuse, UnknownPolicyError, UnknownTaskTypeError
from executor_sdk.executions.executions import Executions
from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executions.plan import How, Reply, WorkBounds
from executor_sdk.executions.record import Keep
from executor_sdk.executor import Executor
from executor_sdk.policies.verdicts import verdict_breaches
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.requests import candidate, execute_request, sample_contract, verify_request
from executor_sdk.protocol.wire import EvidenceRef, PolicyBinding, view

pytestmark = pytest.mark.anyio

Judge = Callable[[Candidate[dict[str, Any]]], Awaitable[Verdict]]


class NoFetcher:
    """Nothing can be fetched."""

    async def fetch(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """Fails as an absent host does."""
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{uri} is not there")

    async def exchange(self, request: WebRequest) -> httpx2.Response:
        """Fails as an absent host does."""
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{request.url} is not there")

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """Fails as an absent host does."""
        return await self.fetch(ref.uri)


class House:
    """A dispatcher for one executor, with a ledger and artifacts of its own."""

    def __init__(self, executor: Executor) -> None:
        self.artifacts = MemoryArtifacts()
        keep = Keep(count=100, total_bytes=100_000, age_ms=1_000_000)
        self.dispatcher = Dispatcher(
            executor.registry,
            Executions(MemoryLedger(), bounds=WorkBounds(4, 4), keep=keep),
            executor.settings,
            Surroundings(Threads(4)),
            artifacts=self.artifacts,
            fetcher=NoFetcher(),
        )

    async def execute(self, body: bytes) -> tuple[int, Json]:
        """Status and body of an answer to `/execute`."""
        return opened(await self.dispatcher.execute(body))

    async def verify(self, body: bytes) -> Json:
        """The verdict, which kernels must accept."""
        status, verdict = opened(await self.dispatcher.verify(body))
        asked = orjson.loads(body)
        assert status == 200
        assert (
            verdict_breaches(
                verdict,
                binding=view(asked["policy"], PolicyBinding),
                output_schema=asked["output_schema"],
                output=asked["candidate"]["output"],
            )
            == []
        )
        return verdict


def opened(answer: Reply | None) -> tuple[int, Json]:
    """Status and plain body."""
    assert answer is not None
    return answer.outcome.status, orjson.loads(answer.outcome.body)


def make_executor() -> Executor:
    """An executor that answers its prompt, cites an artifact, and refuses or crashes on demand."""
    executor = Executor(provider_family="test", model_id="echo-1")

    @executor.execute("swarm")
    async def echo(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        if inputs["prompt"] == "refuse":
            raise Refuse("NO_SALES", "there are none")
        if inputs["prompt"] == "fetch":
            await task.fetch("https://example.org/sales.csv")
        if inputs["prompt"] == "smuggle":
            task.evidence("x", mime="image/png")
        task.artifact(b"rows", "text/csv")
        return {"answer": task.step_key if inputs["prompt"] == "step" else inputs["prompt"]}

    return executor


def make_verifying(judge: Judge) -> House:
    """A house whose executor verifies with `judge`."""
    executor = make_executor()

    @executor.verify
    async def verifier(candidate: Candidate[dict[str, Any]]) -> Verdict:
        return await judge(candidate)

    return House(executor)


def make_body(prompt: str = "hello", *, attempt: int = 1, task_type: str = "swarm") -> bytes:
    """The body of one attempt."""
    inputs = {"agent_id": "a", "prompt": prompt}
    contract = sample_contract(task_id=f"run-r-a-{attempt}", task_type=task_type, inputs=inputs, expiry_ms=1)
    return orjson.dumps(execute_request(contract, execution_id=f"exec-p-{prompt}-{attempt}"))


def make_verify_body(output: Json = None, *, policy_hash: str | None = None) -> bytes:
    """The body of `/verify` for `output`."""
    output = {"answer": "yes"} if output is None else output
    contract = sample_contract(task_id="t", task_type="swarm", inputs={}, expiry_ms=1)
    policy = dict(contract["acceptance"]["verifier_policy"])
    policy["policy_hash"] = policy_hash or policy["policy_hash"]
    ref = {"uri": "artifact://x", "digest": "sha256:" + 64 * "0", "size_bytes": 1, "mime": "text/csv", "created_at": 1}
    made = candidate(execution_id="exec-p-1", output=output, output_ref={**ref, "producer": "p"})
    return orjson.dumps(verify_request(made, output_schema=contract["output_schema"], policy=policy))


async def test_an_answer_carries_output_and_evidence() -> None:
    """Artifacts are kept before the answer that cites them leaves."""
    house = House(make_executor())

    status, answer = await house.execute(make_body())

    (ref,) = answer["evidence_refs"]
    assert status == 200
    assert answer["candidate_output"] == {"answer": "hello"}
    assert (ref["digest"], ref["producer"]) == (content_digest(b"rows"), "test/echo-1")
    assert digest_in(ref["uri"]) == ref["digest"]
    assert house.artifacts.read(ref["digest"]) == b"rows"


async def test_a_step_key_is_the_same_for_every_attempt() -> None:
    """So that an author may hand it to a payment service."""
    house = House(make_executor())
    first = await house.dispatcher.execute(make_body("step"))
    assert first is not None
    assert first.key is not None
    await house.dispatcher.answered([first.key])

    _, second = await house.execute(make_body("step", attempt=2))

    assert orjson.loads(first.outcome.body)["candidate_output"] == second["candidate_output"]


@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [("refuse", 422, "NO_SALES"), ("fetch", 502, "FETCH_FAILED"), ("smuggle", 500, "INVALID_OUTPUT")],
)
async def test_what_a_handler_raises_is_an_answer_and_replays(prompt: str, status: int, code: str) -> None:
    """Copies of a failed execution get the same failure, and nothing runs twice."""
    house = House(make_executor())

    answers = [await house.dispatcher.execute(make_body(prompt)) for _ in range(2)]

    assert [opened(answer)[0] for answer in answers] == [status, status]
    assert opened(answers[0])[1]["error"]["code"] == code
    assert [answer.how for answer in answers if answer] == [How.OPENED, How.REPLAYED]


async def test_an_output_that_a_kernel_would_refuse_names_rule_and_place() -> None:
    """The author hears it from us, with what to do."""
    _, answer = await House(make_executor()).execute(make_body("smuggle"))

    (breach,) = answer["error"]["details"]
    assert breach["path"] == "evidence_inline[0]"
    assert breach["rule"] == "inline media is forbidden"


async def test_pure_refusals_never_reach_the_ledger() -> None:
    """The same id may come again with a body that is right."""
    house = House(make_executor())
    assert (await house.execute(make_body(task_type="other")))[0] == UnknownTaskTypeError.status_code
    assert (await house.execute(b'{"execution_id": "exec-p-hello-1"}'))[0] == MalformedRequestError.status_code

    status, _ = await house.execute(make_body())

    assert status == 200


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (None, "it is no object"),
        (True, "it is no object"),
        ({"type": "objekt"}, "objekt"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "nothing is fetched"),
        ({"pattern": "("}, "regex"),
        ({"allOf": [{"$ref": "#/$defs/0"}], "$defs": {
            **{str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 9} for n in range(20)}, "20": {}}}, "too long"),
    ],
)  # fmt: skip
async def test_a_schema_that_no_output_can_be_checked_against_is_refused_before_work(schema: Json, reason: str) -> None:
    """400, final: the handler would work for nothing, once for every attempt."""
    body = orjson.loads(make_body("never"))
    body["task_contract"]["output_schema"] = schema
    house = House(make_executor())

    status, answer = await house.execute(orjson.dumps(body))

    assert status == MalformedRequestError.status_code
    assert reason in answer["error"]["message"]
    assert (await house.execute(make_body("never")))[0] == 200


async def test_the_policy_alone_judges_without_a_verifier() -> None:
    """Passed and failed, each as kernels accept it."""
    house = House(make_executor())

    passed = await house.verify(make_verify_body())
    failed = await house.verify(make_verify_body({"answer": 1}))

    assert (passed["verification_status"], passed["score"], passed["reason_codes"]) == ("passed", 1.0, [100])
    assert (failed["verification_status"], failed["score"], failed["reason_codes"]) == ("failed", 0.0, [101])
    assert failed["message"] == '$.answer: 1 is not of type "string"'


async def test_an_unknown_binding_is_refused() -> None:
    """With the sentence kernels know."""
    house = House(make_executor())
    status, answer = opened(await house.dispatcher.verify(make_verify_body(policy_hash="0" * 64)))

    assert (status, answer["error"]["code"]) == (UnknownPolicyError.status_code, UnknownPolicyError.code)
    assert "policy binding invalid" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("verdict", "status", "codes"),
    [
        (Verdict.passed(score=0.5), "passed", [100]),
        (Verdict.failed(1001, "differs"), "failed", [1001]),
        (Verdict.failed(ReasonCode.CONFIDENCE_TOO_LOW), "failed", [999]),
        (Verdict("failed"), "failed", [999]),
        (Verdict.inconclusive(ReasonCode.EVIDENCE_TIMEOUT), "inconclusive", [201]),
    ],
)
async def test_an_authors_verifier_may_lower_the_verdict(verdict: Verdict, status: str, codes: list[int]) -> None:
    """Codes that the policy does not list would be refused by kernels, so they go out as 999."""

    async def judge(candidate: Candidate[dict[str, Any]]) -> Verdict:
        return verdict

    answer = await make_verifying(judge).verify(make_verify_body())

    assert (answer["verification_status"], answer["reason_codes"]) == (status, codes)
    assert answer.get("message", "") == verdict.message


async def test_an_authors_verifier_cannot_raise_the_verdict() -> None:
    """It is not asked about what the policy fails."""

    async def judge(candidate: Candidate[dict[str, Any]]) -> Verdict:
        raise AssertionError

    answer = await make_verifying(judge).verify(make_verify_body({"answer": 1}))

    assert answer["verification_status"] == "failed"


async def test_evidence_that_cannot_be_fetched_makes_the_verdict_inconclusive() -> None:
    """By itself, without a line of the author's."""

    async def judge(candidate: Candidate[dict[str, Any]]) -> Verdict:
        await candidate.fetch("https://example.org/sales.csv")
        return Verdict.passed()

    answer = await make_verifying(judge).verify(make_verify_body())

    assert (answer["verification_status"], answer["reason_codes"]) == ("inconclusive", [200])


async def test_verifying_is_single_flight_by_body() -> None:
    """Copies of one body share one judgement; it is judged anew once the answer went out."""
    judged, go_on = [], anyio.Event()

    async def judge(candidate: Candidate[dict[str, Any]]) -> Verdict:
        judged.append(candidate.candidate_id)
        await go_on.wait()
        return Verdict.passed()

    house, answers = make_verifying(judge), list[Reply | None]()

    async def copy() -> None:
        answers.append(await house.dispatcher.verify(make_verify_body()))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(copy)
            await anyio.wait_all_tasks_blocked()
            go_on.set()

    assert len(judged) == 1
    assert len({answer.outcome.body for answer in answers if answer}) == 1
    assert answers[0] is not None
    assert answers[0].key is not None
    await house.dispatcher.answered([answers[0].key])
    await copy()
    assert len(judged) == 2


async def test_a_crashing_verifier_is_a_failure_and_not_a_verdict() -> None:
    """Kernels turn it into an inconclusive verdict of their own."""

    async def judge(candidate: Candidate[dict[str, Any]]) -> Verdict:
        raise ZeroDivisionError

    status, body = opened(await make_verifying(judge).dispatcher.verify(make_verify_body()))

    assert (status, body["error"]["code"]) == (500, "HANDLER_CRASHED")


async def test_health_follows_the_drain() -> None:
    """A draining executor is not to be given new tasks."""
    house = House(make_executor())
    assert (await house.dispatcher.health()).status == 200

    await house.dispatcher.drain()

    assert (await house.dispatcher.health()).status == 503


async def test_an_integer_beyond_64_bits_in_the_inputs_is_final() -> None:
    """422, before anything is recorded: a kernel hashes a float where the author would see an integer."""
    inputs = {"prompt": "x", "rows": [{"id": 12345}]}
    contract = sample_contract(task_id="by-hand", task_type="swarm", inputs=inputs, expiry_ms=5)
    body = orjson.dumps(execute_request(contract, execution_id="exec-p-huge"))

    for number, status in ((b"18446744073709551615", 200), (b"18446744073709551616", 422)):
        answered, said = await House(make_executor()).execute(body.replace(b"12345", number))

        assert answered == status
    assert said["error"]["message"].startswith("inputs.rows[0].id: an integer of 20 digits is beyond 64 bits")
    assert said["error"]["details"]["fields"][0]["path"] == "inputs.rows[0].id"
