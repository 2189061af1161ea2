"""An attempt at a step: killed anywhere it goes on with the same bytes, and each failure ends in its sentence."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import orjson
import pytest

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.digests import output_digest
from executor_sdk.testing.server import serve
from kernel_stub.log.chain import TaskRow
from kernel_stub.rules.records import RunStatus, StepStatus
from tests.kernel_stub.runs.killed_worker import POINTS
from tests.kernel_stub.scripted import Scripted
from tests.kernel_stub.workshop import Workshop, workshop

pytestmark = pytest.mark.anyio

_SPEC: Final[dict[str, Any]] = {
    "run_id": "r",
    "agents": [{"agent_id": "a", "executor": "scripted", "prompt": '{"out": {"answer": "yes", "decision": "go"}}'}],
}

_KINDS: Final = [
    "TASK_CREATED",
    "TASK_CLAIMED",
    "CANDIDATE_PROPOSED",
    "TASK_CLAIMED",
    "VERIFIER_RESULT_SUBMITTED",
    "VOTE_COMMIT",
    "VOTE_REVEAL",
    "DECISION_COMMITTED",
    "DECISION_FINALIZED",
]


async def test_a_worker_killed_at_any_commit_or_send_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """SIGKILL before and after each of them: the next worker ends the run with the same attempt and the same bytes."""
    executor = Scripted()
    with serve(executor) as served, anyio.fail_after(120):
        command = [sys.executable, "-m", "tests.kernel_stub.runs.killed_worker", str(tmp_path), served.url]
        done = await anyio.run_process(command, check=False)
    assert done.returncode == 0, done.stderr.decode()

    bodies = _bodies_by_task(executor)
    for point in POINTS:
        name = point.replace(":", "-")
        attempts = 2 if name.startswith("failure") else 1
        async with workshop(tmp_path / name) as shop:
            run, [step] = await shop.store.runs.find(name), await shop.store.runs.steps(name)
            events = [event.event_type for event in await shop.store.runs.events(name, limit=100)]
            replay = await shop.audit.replay()
            kinds = [
                event.event.kind for event in await shop.store.log.entries(0, 100) if isinstance(event.event, TaskRow)
            ]

        assert run is not None
        assert (point, run.status, step.attempt) == (point, RunStatus.FINALIZED, attempts)
        assert (events.count("RUN_FINALIZED"), events.count("STEP_COMPLETED")) == (1, 1)
        assert events.count("STEP_CLAIMED") == attempts
        assert replay.finalized() == 1
        # The failed attempt ended after its task was created and claimed.
        assert kinds == _KINDS[:2] * (attempts - 1) + _KINDS, point
        for n in range(1, attempts + 1):
            assert len(bodies[f"run-{name}-a-{n}"]) == 1, "a resumed attempt sent other bytes"


def _bodies_by_task(executor: Scripted) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = defaultdict(set)
    for path, body in executor.calls:
        if path == "/execute":
            found[orjson.loads(body)["task_id"]].add(body)
    return found


async def test_a_cancelled_run_cuts_the_call_of_a_leased_step(tmp_path: Path) -> None:
    """The run is cancelled within the call, not after it."""
    executor = Scripted()
    async with workshop(tmp_path, apps={"scripted": executor}, call_timeout_s=60) as shop:
        await shop.commands.submit(_spec('{"delay": 60}'), kickoff=True)
        async with _working(shop):
            await executor.called.wait()
            await shop.commands.cancel("r")
            run = await shop.ended("r")
            [step] = await shop.store.runs.steps("r")

    assert (run.status, step.status.value) == (RunStatus.CANCELLED, "CANCELLED")


async def test_a_stopped_worker_hands_back_what_it_cannot_finish(tmp_path: Path) -> None:
    """The next worker resumes it at once, with the same bytes, while the first one's process lives."""
    executor = Scripted()
    async with workshop(tmp_path, apps={"scripted": executor}, call_timeout_s=60, drain_s=0.05) as shop:
        await shop.commands.submit(_spec('{"delay": 60}'), kickoff=True)
        async with _working(shop):
            await executor.called.wait()
        [step] = await shop.store.runs.steps("r")
        assert (step.status.value, step.lease_holder) == ("LEASED", "")

        executor.seconds = 0
        async with _working(shop):
            run = await shop.ended("r")

    assert run.status is RunStatus.FINALIZED
    assert len({body for path, body in executor.calls if path == "/execute"}) == 1


async def test_a_long_step_is_not_taken_by_another_worker(tmp_path: Path) -> None:
    """Recorded: two workers took such a step from each other without an end. Here the second never gets it."""
    executor = Scripted()
    async with workshop(tmp_path, apps={"scripted": executor}, lease_ms=100) as shop:
        await shop.commands.submit(_spec('{"delay": 0.6}'), kickoff=True)
        async with _working(shop), _working(shop):
            run = await shop.ended("r")
        events = [event.event_type for event in await shop.store.runs.events("r", limit=50)]

    assert run.status is RunStatus.FINALIZED
    assert [path for path, _ in executor.calls] == ["/execute", "/verify"]
    assert "STEP_LEASE_EXPIRED" not in events


async def test_another_executor_may_be_named_to_verify(tmp_path: Path) -> None:
    """For the whole run, or for one agent; the step's result names who proposed."""
    proposer, verifier, own = Scripted(), Scripted(), Scripted()
    spec = _spec("p", agents=2, verifier="verifier")
    spec["agents"][1]["verifier"] = "own"
    apps = {"scripted": proposer, "verifier": verifier, "own": own}
    async with workshop(tmp_path, apps=apps) as shop:
        await shop.commands.submit(spec, kickoff=True)
        async with _working(shop):
            run = await shop.ended("r")

    assert run.status is RunStatus.FINALIZED
    assert [path for path, _ in proposer.calls] == ["/execute", "/execute"]
    assert [path for path, _ in verifier.calls] == ["/verify"]
    assert [path for path, _ in own.calls] == ["/verify"]


class Heading(Scripted):
    """Keeps what each call of `/execute` said in `executor-new-work`."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes | None] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/execute":
            self.said.append(dict(scope["headers"]).get(b"executor-new-work"))
        await super().__call__(scope, receive, send)


class Refusing(Scripted):
    """Passes nothing, or gives no verdict at all."""

    def __init__(self, answer: int) -> None:
        super().__init__()
        self.status = answer

    async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """As ever, but for the verdict."""
        status, answer = await super().answer(path, body)
        if path != "/verify":
            return status, answer
        return self.status, {**answer, "passed": False, "verification_status": "failed", "reason_codes": [101]}


@pytest.mark.parametrize(
    ("verifier", "status", "said"),
    [
        ("verifier", 200, [None, b"true", b"true"]),
        ("verifier", 500, [None, None, None]),
        (None, 200, [None, None, None]),
    ],
)
async def test_an_executor_is_asked_for_new_work_once_another_turned_its_work_down(
    tmp_path: Path, verifier: str | None, status: int, said: list[bytes | None]
) -> None:
    """Otherwise it would hand out what it has; its own verdicts it knows, and a failed call is no verdict."""
    executor = Heading()
    own = '{"verdict": {"passed": false, "verification_status": "failed", "reason_codes": [101]}}'
    spec = _spec("p" if verifier else own, verifier=verifier, retry={"max_attempts": 3, "backoff_ms": 1})
    async with workshop(tmp_path, apps={"scripted": executor, "verifier": Refusing(status)}) as shop:
        await shop.commands.submit(spec, kickoff=True)
        async with _working(shop):
            await shop.ended("r")

    assert executor.said == said


async def test_a_resumed_attempt_asks_for_new_work_again(tmp_path: Path) -> None:
    """What is asked for is committed with the attempt."""
    executor = Heading()
    spec = _spec('{"rounds": [{}, {"delay": 60}]}', verifier="verifier", retry={"max_attempts": 2, "backoff_ms": 1})
    apps = {"scripted": executor, "verifier": Refusing(200)}
    async with workshop(tmp_path, apps=apps, call_timeout_s=60, drain_s=0.05) as shop:
        await shop.commands.submit(spec, kickoff=True)
        async with _working(shop):
            while len(executor.said) < 2:
                await anyio.sleep(0.01)
        executor.seconds = 0
        async with _working(shop):
            await shop.ended("r")

    assert executor.said == [None, b"true", b"true"]


async def test_a_template_changes_the_contract_of_every_step(tmp_path: Path) -> None:
    """Schema and policy go to the executor; what belongs to the attempt cannot be overridden."""
    executor = Scripted()
    template = {"output_schema": {"type": "object"}, "budget": {"max_steps": 3}, "task_id": "mine"}
    async with workshop(tmp_path, apps={"scripted": executor}) as shop:
        await shop.commands.submit(_spec("p", task_template=template), kickoff=True)
        async with _working(shop):
            await shop.ended("r")

    contract = orjson.loads(executor.calls[0][1])["task_contract"]
    assert contract["output_schema"] == {"type": "object"}
    assert (contract["budget"]["max_steps"], contract["budget"]["time_ms"]) == (3, 30_000)
    assert contract["task_id"] == "run-r-a0-1"


@pytest.mark.parametrize(
    ("orders", "sentence"),
    [
        ('{"status": 422}', "runtime /execute status: 422 Unprocessable Entity; body: "),
        ('{"inline": [{"mime": "text/html", "content": "x"}]}', "invalid event: inline mime not allowlisted"),
        ('{"inline": 5}', "runtime /execute decode: "),
        ('{"verdict": {"reason_codes": []}}', "invalid event: reason_codes cannot be empty"),
        ('{"verdict": {"score": 9}}', "invalid event: verify score must be 0..1"),
        ('{"out": {"answer": 3}}', "verifier did not pass candidate; reason_codes=[101]"),
        ('{"vstatus": 500}', "verifier did not pass candidate; reason_codes=[200]"),
    ],
)
async def test_a_failed_attempt_says_why_in_the_kernels_words(tmp_path: Path, orders: str, sentence: str) -> None:
    """The step keeps the sentence, and its log holds."""
    async with workshop(tmp_path, apps={"scripted": Scripted()}) as shop:
        await shop.commands.submit(_spec(orders), kickoff=True)
        async with _working(shop):
            run = await shop.ended("r")
        [step] = await shop.store.runs.steps("r")
        await shop.audit.replay()

    assert run.status is RunStatus.FAILED
    assert (step.error or "").startswith(sentence)


async def test_an_executor_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    """The address is part of the sentence, credentials never are."""
    async with workshop(tmp_path, base_url="http://user:secret@127.0.0.1:9", resends=0) as shop:
        await shop.commands.submit(_spec("p"), kickoff=True)
        async with _working(shop):
            await shop.ended("r")
        [step] = await shop.store.runs.steps("r")

    assert step.error == "runtime /health request: error sending request for url (http://127.0.0.1:9/health)"


def _spec(prompt: str, *, agents: int = 1, **extra: Any) -> dict[str, Any]:
    return {
        "run_id": "r",
        "agents": [{"agent_id": f"a{n}", "executor": "scripted", "prompt": prompt} for n in range(agents)],
        "retry": {"max_attempts": 1},
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
        **extra,
    }


@asynccontextmanager
async def _working(shop: Workshop) -> AsyncIterator[None]:
    """A worker runs until the block ends, which it must do soon."""
    worker = shop.worker()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            try:
                yield
            finally:
                worker.stop()


async def test_an_output_can_be_read_where_its_event_says(tmp_path: Path) -> None:
    """`artifact://reference/DIGEST` stands in the state directory, under its digest."""
    async with workshop(tmp_path, apps={"scripted": Scripted()}) as shop:
        await shop.commands.submit(_SPEC, kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        [step] = await shop.store.runs.steps("r")

    output = step.result["candidate_output"]
    stored = FolderArtifacts(tmp_path / "artifacts" / "references").read(output_digest(output))
    assert stored == sorted_bytes(output)


async def test_an_output_that_the_disk_does_not_take_costs_no_attempt(tmp_path: Path) -> None:
    """The step is handed back, and resumed with the same bytes once there is room."""
    (tmp_path / "artifacts").write_text("a file where a folder should be")
    async with workshop(tmp_path, apps={"scripted": Scripted()}, lease_ms=200, poll_ms=25) as shop:
        await shop.commands.submit(_SPEC, kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
            [waiting] = await shop.store.runs.steps("r")
            (tmp_path / "artifacts").unlink()
            while (run := await shop.store.runs.find("r")) is None or run.status is not RunStatus.FINALIZED:
                await shop.worker().run(once=True)
                await anyio.sleep(0.02)
        [step] = await shop.store.runs.steps("r")

    assert waiting.status is StepStatus.LEASED
    assert (step.status, step.attempt) == (StepStatus.SUCCEEDED, 1)
