"""The executor object: a whole ASGI application, served alone or mounted, one task type or many."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from executor_sdk import Candidate, Executor, ExecutorClient, Task, Verdict, in_process
from executor_sdk.errors import DefinitionError, UnknownTaskTypeError
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.requests import candidate, execute_request, sample_contract, verify_request
from executor_sdk.testing.server import LifespanError, NotStartedError, running, serve


def an_executor(**options: Any) -> Executor:
    """An executor with two task types and three profiles."""
    executor = Executor("acme", "m-1", **options)

    @executor.execute
    async def swarm(inputs: dict[str, Any]) -> dict[str, Any]:
        """Answers by the default profile.

        And says no more in its first line.
        """
        return {"answer": "swarm"}

    @executor.execute("swarm", profiles=("fast", "cheap"), max_concurrency=2)
    def hurried(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": "hurried"}

    @executor.execute("report", timeout_s=90)
    def report(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": "report"}

    return executor


def body(task_type: str = "swarm", profile: str = "default") -> dict[str, Any]:
    """A request to execute."""
    contract = sample_contract(task_id="t", task_type=task_type, inputs={}, expiry_ms=2**41)
    return execute_request(contract, execution_id=f"exec-{task_type}-{profile}", profile=profile)


def test_each_task_type_and_profile_has_its_function() -> None:
    """Others are refused for good, with what there is."""
    with in_process(an_executor()) as rt:
        assert rt.execute({}, task_type="swarm").output == {"answer": "swarm"}
        assert rt.execute({}, task_type="swarm", profile="cheap").output == {"answer": "hurried"}
        assert rt.execute({}, task_type="report").output == {"answer": "report"}
        with pytest.raises(UnknownTaskTypeError, match="no handler takes task type 'other'; there is swarm, report"):
            rt.execute({}, task_type="other")
        with pytest.raises(UnknownTaskTypeError, match="no profile 'slow'; there is default, fast, cheap"):
            rt.execute({}, task_type="swarm", profile="slow")


def test_capabilities_say_what_the_contract_wants_first() -> None:
    """And describe every handler."""
    with in_process(an_executor()) as rt:
        said = rt.capabilities()

    assert list(said)[:4] == ["task_types", "profiles", "provider_family", "model_id"]
    assert said["schema_version"] == 1  # of all that stands beyond those four
    assert said["task_types"] == ["swarm", "report"]
    assert said["profiles"] == ["default", "fast", "cheap"]
    assert said["handlers"][0]["description"] == "Answers by the default profile."
    assert [(one["timeout_s"], one["max_concurrency"]) for one in said["handlers"]] == [(25, None), (25, 2), (90, None)]


@pytest.mark.anyio
async def test_it_works_mounted_where_no_lifespan_reaches_it() -> None:
    """The first request starts what a server would have started."""
    app = Starlette(routes=[Mount("/executors/acme", an_executor())])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as http:
        client = ExecutorClient("http://host/executors/acme", http=http)
        await client.health()
        answer = await client.execute(body())

    assert answer["candidate_output"] == {"answer": "swarm"}


def test_it_can_be_served_again_after_it_was_stopped() -> None:
    """Each time with a fresh ledger, threads and slots."""
    executor = an_executor()
    for _ in range(2):
        with serve(executor) as served:
            first = httpx2.post(f"{served.url}/execute", json=body())
            again = httpx2.post(f"{served.url}/execute", json=body())
        assert first.status_code == 200
        assert first.content == again.content
        assert "executor-replayed" not in first.headers
        assert again.headers["executor-replayed"] == "true"


def test_health_is_the_authors_word() -> None:
    """True, False, details, or an exception."""
    answers: list[Any] = [True, None, {"model": "loaded"}, False, {"status": "loading"}, {"x": float("nan")}]
    executor = an_executor()

    @executor.health
    def check() -> Any:
        if not answers:
            raise ConnectionError
        return answers.pop(0)

    with serve(executor) as served:
        got = [httpx2.get(f"{served.url}/health") for _ in range(7)]

    assert [answer.status_code for answer in got] == [200, 200, 200, 503, 503, 503, 503]
    assert got[2].json()["model"] == "loaded"
    assert got[0].json()["status"] == "ok"


def test_settings_reach_their_places(tmp_path: Path) -> None:
    """Artifacts in a folder, files under a root, and a body that is too large."""
    (tmp_path / "sales.csv").write_bytes(b"rows")
    executor = Executor("acme", "m-1", artifacts_dir=tmp_path / "kept", file_roots=(tmp_path,), max_body_bytes=4000)

    @executor.execute
    async def copy(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        task.artifact(await task.fetch(inputs["url"]), "text/csv")
        return {"answer": "copied"}

    request = body()
    request["inputs"] = {"url": f"file://{tmp_path}/sales.csv"}
    with serve(executor) as served:
        answer = httpx2.post(f"{served.url}/execute", json=request)
        large = httpx2.post(f"{served.url}/execute", json={**request, "fill": "x" * 4000})

    assert answer.status_code == 200
    assert answer.json()["evidence_refs"][0]["digest"] == content_digest(b"rows")
    assert [path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()] == [b"rows"]
    assert large.status_code == 413


def test_an_application_that_does_not_start_is_told() -> None:
    """Instead of waiting for it."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no model"})

    with pytest.raises(NotStartedError), serve(broken, lifespan="on", log_level="critical"):
        pass


def test_a_ledger_that_cannot_be_opened_keeps_the_server_from_starting(tmp_path: Path) -> None:
    """A healthy server that fails every request would be worse."""
    (tmp_path / "ledger").write_bytes(b"no database" * 100)

    with pytest.raises(NotStartedError), serve(an_executor(ledger=tmp_path / "ledger"), log_level="critical"):
        pass


def test_what_is_no_uri_is_final_for_a_task_and_inconclusive_for_a_verifier() -> None:
    """The kernel must not try again what can never work; a candidate that cites it could not be judged."""
    executor = an_executor()

    @executor.execute("fetching")
    async def fetching(task: Task) -> dict[str, Any]:
        return {"answer": str(await task.fetch("sales.csv"))}

    @executor.verify
    async def verifier(candidate: Candidate[dict[str, Any]]) -> Verdict:
        return Verdict.failed(1001, str(await candidate.fetch("sales.csv")))

    asked = body("fetching")
    contract = asked["task_contract"]
    proposed = candidate(execution_id="exec-1", output={"answer": "x"}, output_ref=dict.fromkeys(
        ("uri", "digest", "mime", "producer"), "x") | {"size_bytes": 1, "created_at": 1})  # fmt: skip
    judging = verify_request(
        proposed, output_schema=contract["output_schema"], policy=contract["acceptance"]["verifier_policy"]
    )
    with serve(executor) as server, httpx2.Client(base_url=server.url, trust_env=False) as http:
        refused = http.post("/execute", json=asked)
        verdict = http.post("/verify", json=judging)

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "UNFETCHABLE")
    assert verdict.status_code == 200
    assert (verdict.json()["verification_status"], verdict.json()["reason_codes"]) == ("inconclusive", [200])
    assert "'sales.csv' is no http" in verdict.json()["message"]


def test_a_ledger_in_a_file_remembers_across_restarts(tmp_path: Path) -> None:
    """The same execution id is answered with the same bytes by another process too."""
    answers = []
    for _ in range(2):
        with serve(an_executor(ledger=tmp_path / "ledger.db")) as served:
            answers.append(httpx2.post(f"{served.url}/execute", json=body()))

    assert answers[0].content == answers[1].content
    assert answers[1].headers["executor-replayed"] == "true"


def test_a_verifier_reads_what_its_executor_kept() -> None:
    """By the reference, and by the URI in it."""
    executor = Executor("acme", "m-1")
    read: list[bytes] = []

    @executor.execute
    def produce(task: Task) -> dict[str, Any]:
        task.artifact(b"rows", "text/csv")
        return {"answer": "kept"}

    @executor.verify
    async def holds(found: Candidate[dict[str, Any]]) -> Verdict:
        [ref] = found.evidence_refs
        read.extend([await found.fetch(ref), await found.fetch(ref.uri)])
        return Verdict.passed()

    request = body()
    with serve(executor) as served:
        answer = httpx2.post(f"{served.url}/execute", json=request).json()
        contract = request["task_contract"]
        judged = httpx2.post(
            f"{served.url}/verify",
            json=verify_request(
                candidate(
                    execution_id=request["execution_id"],
                    output=answer["candidate_output"],
                    output_ref=answer["evidence_refs"][0],
                    evidence_refs=answer["evidence_refs"],
                ),
                output_schema=contract["output_schema"],
                policy=contract["acceptance"]["verifier_policy"],
            ),
        ).json()

    assert judged["verification_status"] == "passed"
    assert read == [b"rows", b"rows"]


def mounted_with_lifespan(executor: Executor) -> Starlette:
    """As the README of a project with an application of its own would have it."""
    return Starlette(routes=[Mount("/agents", executor)], lifespan=executor.lifespan)


def mounted(executor: Executor) -> Starlette:
    """Where no lifespan reaches it."""
    return Starlette(routes=[Mount("/agents", executor)])


@pytest.mark.parametrize(
    ("wrap", "path"), [(lambda executor: executor, ""), (mounted_with_lifespan, "/agents"), (mounted, "/agents")]
)
def test_the_environment_counts_however_it_is_served(
    wrap: Callable[[Executor], ASGIApp], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over what the author wrote; a variable that was set after the import counts too."""
    app = wrap(an_executor(max_body_bytes=100_000))
    monkeypatch.setenv("EXECUTOR_MAX_BODY_BYTES", "10")

    with serve(app) as served:
        answer = httpx2.post(f"{served.url}{path}/execute", json=body())

    assert answer.status_code == 413


def test_the_environment_does_not_count_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """They must hold on every machine."""
    monkeypatch.setenv("EXECUTOR_MAX_BODY_BYTES", "10")
    monkeypatch.setenv("EXECUTOR_THREADS", "many")

    with in_process(an_executor()) as rt:
        assert rt.execute({}, task_type="swarm").output == {"answer": "swarm"}


@pytest.mark.anyio
async def test_a_value_that_cannot_be_read_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sentence that names the variable; also the start of an application around the executor."""
    monkeypatch.setenv("EXECUTOR_THREADS", "many")
    sentence = "EXECUTOR_THREADS='many'; it must be a whole number, at least 1"

    with pytest.raises(LifespanError, match=sentence):
        async with running(an_executor()):
            pass
    with pytest.raises(DefinitionError, match=sentence):
        async with an_executor().lifespan():
            pass


@pytest.mark.anyio
async def test_a_mount_that_no_start_reaches_is_unhealthy_with_such_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the value is mended: each request tries to start it."""
    monkeypatch.setenv("EXECUTOR_THREADS", "many")

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(mounted(an_executor()))) as http:
        unhealthy = await http.get("http://host/agents/health")
        monkeypatch.delenv("EXECUTOR_THREADS")
        healthy = await http.get("http://host/agents/health")

    assert (unhealthy.status_code, healthy.status_code) == (503, 200)
    assert "EXECUTOR_THREADS='many'" in unhealthy.json()["message"]


def test_variables_that_nobody_reads_are_told_once_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In one warning, however many there are; none of them stops anything."""
    monkeypatch.setenv("EXECUTOR_TIMOUT_S", "5")
    monkeypatch.setenv("EXECUTOR_XYZZY", "")

    with caplog.at_level(logging.WARNING, "executor_sdk.executor"), serve(an_executor()) as served:
        for _ in range(2):
            assert httpx2.get(f"{served.url}/health").status_code == 200

    told = [record.getMessage() for record in caplog.records if record.name == "executor_sdk.executor"]
    assert told == [
        "no option of an executor is set by EXECUTOR_TIMOUT_S (did you mean EXECUTOR_TIMEOUT_S?), EXECUTOR_XYZZY"
    ]
