"""The four endpoints on a real server: bounds on what comes in, one shape for what goes out, an eye on who hangs up."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import anyio
import httpx2
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from executor_sdk.authoring.task import Task
from executor_sdk.errors import Refuse, TryLater
from executor_sdk.executor import Executor
from executor_sdk.protocol.requests import candidate, execute_request, sample_contract, verify_request
from executor_sdk.testing.server import Served, serve
from executor_sdk.transports.asgi.disconnects import WATCH_AFTER_S

WAIT_S = 5


def make_body(
    execution_id: str = "exec-p-1", *, prompt: str = "hello", task_type: str = "swarm", attempt: int = 1
) -> bytes:
    """The body of `POST /execute` for one attempt at a run step."""
    inputs = {"agent_id": "a", "prompt": prompt}
    task_id = f"run-r-a-{attempt}"
    contract = sample_contract(task_id=task_id, task_type=task_type, inputs=inputs, expiry_ms=9_999_999_999_999)
    return orjson.dumps(execute_request(contract, execution_id=execution_id))


def make_verify_body(execution_id: str, answer: dict[str, Any]) -> bytes:
    """The body of `POST /verify` for the candidate that `answer` becomes."""
    contract = sample_contract(task_id="t", task_type="swarm", inputs={}, expiry_ms=1)
    ref = {"uri": "u", "digest": "d", "size_bytes": 1, "mime": "application/json", "created_at": 1, "producer": "p"}
    made = candidate(execution_id=execution_id, output=answer["candidate_output"], output_ref=ref)
    policy = contract["acceptance"]["verifier_policy"]
    return orjson.dumps(verify_request(made, output_schema=contract["output_schema"], policy=policy))


class Hold:
    """An executor whose handler waits until it is told to go on, and tells when it started and stopped."""

    def __init__(self, **options: Any) -> None:
        self.started, self.stopped = threading.Semaphore(0), threading.Semaphore(0)
        self.go_on = threading.Event()
        self.executor = Executor(provider_family="test", model_id="hold-1", **options)

        @self.executor.execute("swarm")
        async def hold(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
            self.started.release()
            try:
                while not self.go_on.is_set():
                    await anyio.sleep(0.002)
            finally:
                self.stopped.release()
            return {"answer": inputs["prompt"]}


@pytest.fixture
def served() -> Iterator[Served]:
    """An executor that answers at once, with small limits."""
    executor = Executor(provider_family="test", model_id="quick-1", max_body_bytes=20_000, body_timeout_s=0.2)

    @executor.execute("swarm")
    def quick(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        if inputs["prompt"] == "later":
            raise TryLater("not now", after_s=2.5)
        return {"answer": inputs["prompt"]} if inputs["prompt"] != "wrong" else {"answer": 1}

    with serve(executor) as server:
        yield server


@contextmanager
def hung_up_on(server: Served, body: bytes, started: threading.Semaphore) -> Iterator[None]:
    """A caller that sends `body`, waits for the handler to start, and hangs up."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        assert started.acquire(timeout=WAIT_S)
        # Callers hang up after seconds; only within the first milliseconds nobody watches.
        time.sleep(10 * WATCH_AFTER_S)
    yield


def error_of(response: httpx2.Response) -> dict[str, Any]:
    """The error in a body, which must have the one shape."""
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert list(error)[:2] == ["code", "message"]
    assert error["retryable"] is (response.status_code >= 500)
    return error


def test_an_answer_has_the_three_fields(served: Served) -> None:
    """The contract's answer, in its order."""
    response = httpx2.post(f"{served.url}/execute", content=make_body())

    assert response.status_code == 200
    assert response.json() == {"candidate_output": {"answer": "hello"}, "evidence_inline": [], "evidence_refs": []}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/execute", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/capabilities", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("POST", "/execute/", 404, "NOT_FOUND"),
    ],
)
def test_wrong_paths_and_methods_are_told_in_json(
    served: Served, method: str, path: str, status: int, code: str
) -> None:
    """No plain text, whatever is asked."""
    response = httpx2.request(method, served.url + path)

    assert response.status_code == status
    assert error_of(response)["code"] == code


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "MALFORMED_REQUEST"),
        (b"", 400, "MALFORMED_REQUEST"),
        (b"[]", 400, "MALFORMED_REQUEST"),
        (b"[" * 200 + b"]" * 200, 400, "MALFORMED_REQUEST"),
        (b'{"task_id": 1}', 400, "MALFORMED_REQUEST"),
        (make_body(" "), 400, "MALFORMED_REQUEST"),
        (make_body().replace(b'"cost_units":1000', b'"cost_units":1e999'), 400, "MALFORMED_REQUEST"),
        (make_body("x" * 600), 400, "MALFORMED_REQUEST"),
        (make_body(task_type="unknown"), 404, "UNKNOWN_TASK_TYPE"),
        (b" " * 20_001, 413, "BODY_TOO_LARGE"),
        (make_body(prompt="wrong"), 500, "INVALID_OUTPUT"),
        (make_body(prompt="later"), 503, "TRY_LATER"),
    ],
)
def test_bad_requests_get_a_status_and_a_sentence(served: Served, body: bytes, status: int, code: str) -> None:
    """4xx is final for a kernel, 5xx is not."""
    response = httpx2.post(f"{served.url}/execute", content=body)

    assert response.status_code == status
    assert error_of(response)["code"] == code


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"candidate": {}}'])
def test_bad_verify_requests_are_refused(served: Served, body: bytes) -> None:
    """The same for `/verify`."""
    response = httpx2.post(f"{served.url}/verify", content=body)

    assert response.status_code == 400
    assert error_of(response)["code"] == "MALFORMED_REQUEST"


def test_bodies_on_their_way_take_no_more_memory_than_they_may() -> None:
    """The one that is too much is asked again later; a small one passes, and all do when the others are gone."""
    executor = Executor(
        provider_family="test", model_id="quick-1", max_body_bytes=450_000, max_unfinished_bytes=700_000
    )

    @executor.execute("swarm")
    async def quick(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": "here"}

    large = make_body("large", prompt="x" * 200_000)
    with serve(executor) as server, ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)) for _ in range(2)
        ]
        for connection in connections:
            connection.sendall(b"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(large))
            connection.sendall(large[:-1])
        (answered,), _, _ = select.select(connections, [], [], WAIT_S)
        refused = answered.recv(65_536)
        small = httpx2.post(f"{server.url}/execute", content=make_body("small"))
        stack.close()
        statuses = [httpx2.post(f"{server.url}/execute", content=large).status_code for _ in range(3)]

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in refused
    assert b'"code":"SATURATED"' in refused
    assert small.status_code == 200
    assert statuses[-1] == 200


def test_try_later_says_when(served: Served) -> None:
    """In whole seconds, rounded up; a replay says it again."""
    responses = [httpx2.post(f"{served.url}/execute", content=make_body(prompt="later")) for _ in range(2)]

    assert [response.headers["retry-after"] for response in responses] == ["3", "3"]
    assert responses[1].headers["executor-replayed"] == "true"


def test_an_execution_id_means_one_body(served: Served) -> None:
    """Another body is 409, the same one re-encoded by a gateway is a replay."""
    httpx2.post(f"{served.url}/execute", content=make_body())

    other = httpx2.post(f"{served.url}/execute", content=make_body(prompt="other"))
    spaced = httpx2.post(
        f"{served.url}/execute", content=orjson.dumps(orjson.loads(make_body()), option=orjson.OPT_INDENT_2)
    )

    assert other.status_code == 409
    assert error_of(other)["code"] == "BODY_DIFFERS"
    assert spaced.headers["executor-replayed"] == "true"


def test_reports_answer_get_and_head(served: Served) -> None:
    """Health and capabilities; a HEAD has no body."""
    health = httpx2.get(f"{served.url}/health")
    capabilities = httpx2.get(f"{served.url}/capabilities").json()

    assert health.json()["status"] == "ok"
    assert {"task_types", "profiles", "provider_family", "model_id"} <= set(capabilities)
    assert httpx2.head(f"{served.url}/health").content == b""


def test_a_body_that_says_it_is_too_large_is_refused_unread(served: Served) -> None:
    """The connection is closed, because the body may still be on its way."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT_S) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer


@pytest.mark.parametrize("sent", [b"", b"{"])
def test_a_stalled_body_is_given_up(served: Served, sent: bytes) -> None:
    """503 and not 4xx: the network was slow, the task is as good as before."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT_S) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n" + sent)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 503")
    assert b"BODY_STALLED" in answer


def test_a_caller_that_hangs_up_comes_back_to_the_same_work() -> None:
    """The work lingers; the copy brings its answer."""
    hold = Hold()
    with serve(hold.executor) as server, hung_up_on(server, make_body(), hold.started):
        hold.go_on.set()
        response = httpx2.post(f"{server.url}/execute", content=make_body())

        assert response.json()["candidate_output"] == {"answer": "hello"}
        assert not hold.started.acquire(blocking=False)


def test_a_success_is_kept_until_its_candidate_is_turned_down() -> None:
    """The work ends while no caller is there; attempts get its answer until a verdict on it is not `passed`."""
    hold = Hold()
    with serve(hold.executor) as server, hung_up_on(server, make_body(), hold.started):
        hold.go_on.set()
        assert hold.stopped.acquire(timeout=WAIT_S)

        heard = httpx2.post(f"{server.url}/execute", content=make_body("exec-p-2", attempt=2))
        assert not hold.started.acquire(blocking=False)
        good = httpx2.post(f"{server.url}/verify", content=make_verify_body("exec-p-2", heard.json()))
        again = httpx2.post(f"{server.url}/execute", content=make_body("exec-p-3", attempt=3))
        assert not hold.started.acquire(blocking=False)
        bad = httpx2.post(f"{server.url}/verify", content=make_verify_body("exec-p-3", {"candidate_output": {}}))
        after = httpx2.post(f"{server.url}/execute", content=make_body("exec-p-4", attempt=4))

        assert heard.json()["candidate_output"] == {"answer": "hello"}
        assert heard.content == again.content == after.content
        assert (good.json()["passed"], bad.json()["passed"]) == (True, False)
        assert "answer" in bad.json()["message"]
        assert hold.started.acquire(blocking=False)


def test_a_caller_may_ask_for_new_work() -> None:
    """Another executor turned the last down: the header says so, and nothing is adopted."""
    hold = Hold()
    hold.go_on.set()
    with serve(hold.executor) as server:
        for number, headers in ((1, {}), (2, {}), (3, {"executor-new-work": "true"})):
            url = f"{server.url}/execute"
            httpx2.post(url, content=make_body(f"exec-p-{number}", attempt=number), headers=headers)

    assert hold.started.acquire(blocking=False)
    assert hold.started.acquire(blocking=False)
    assert not hold.started.acquire(blocking=False)


def test_work_is_cancelled_when_nobody_comes_back() -> None:
    """After the linger time the handler is stopped; the same execution id hears it and may be attempted anew."""
    hold = Hold(linger_ms=50)
    with serve(hold.executor) as server, hung_up_on(server, make_body(), hold.started):
        assert hold.stopped.acquire(timeout=WAIT_S)
        hold.go_on.set()
        lost = httpx2.post(f"{server.url}/execute", content=make_body())
        again = httpx2.post(f"{server.url}/execute", content=make_body("exec-p-2", attempt=2))

        assert lost.status_code == 503
        assert error_of(lost)["code"] == "TASK_LOST"
        assert again.json()["candidate_output"] == {"answer": "hello"}


def test_a_full_house_says_503_and_when_to_come_back() -> None:
    """Never 429, which kernels take as final; health stays well, because copies need no slot."""
    hold = Hold(max_concurrency=1, max_queued=0)
    with serve(hold.executor) as server, hung_up_on(server, make_body(), hold.started):
        refused = httpx2.post(f"{server.url}/execute", content=make_body("exec-p-2", prompt="other"))

        assert refused.status_code == 503
        assert error_of(refused)["code"] == "SATURATED"
        assert refused.headers["retry-after"] == "1"
        health = httpx2.get(f"{server.url}/health")
        assert (health.status_code, health.json()["running"]) == (200, 1)
        hold.go_on.set()


def test_a_plain_function_past_its_deadline_holds_slot_and_step_until_it_returns() -> None:
    """The call is answered at its deadline; the next attempt waits for the thread, and none overlaps another."""
    release, running, overlaps, starts = threading.Event(), threading.Semaphore(1), list[int](), list[int]()
    executor = Executor("test", "blocking-1", timeout_s=0.1)

    @executor.execute("swarm")
    def block(task: Task) -> dict[str, Any]:
        starts.append(task.attempt)
        if not running.acquire(blocking=False):
            overlaps.append(task.attempt)
        release.wait(WAIT_S)
        running.release()
        return {"answer": "done"}

    with serve(executor) as server, ThreadPoolExecutor() as pool:
        overrun = httpx2.post(f"{server.url}/execute", content=make_body("exec-p-1", attempt=1))
        health = httpx2.get(f"{server.url}/health").json()
        second = pool.submit(httpx2.post, f"{server.url}/execute", content=make_body("exec-p-2", attempt=2))
        until(lambda: httpx2.get(f"{server.url}/health").json()["joined"] == 1)
        waited = list(starts)
        release.set()

        assert (overrun.status_code, error_of(overrun)["code"]) == (504, "TASK_TIMEOUT")
        assert (health["running"], health["overrunning"]) == (1, 1)
        assert waited == [1]
        assert second.result(WAIT_S).json()["candidate_output"] == {"answer": "done"}
        assert (starts, overlaps) == ([1, 2], [])


def test_a_stopping_server_cuts_what_does_not_end() -> None:
    """The drain has its time, then handlers are stopped, and the server goes down."""
    hold = Hold(drain_s=0.05)
    began = time.monotonic()
    with serve(hold.executor) as server, hung_up_on(server, make_body(), hold.started):
        pass

    assert hold.stopped.acquire(timeout=WAIT_S)
    assert time.monotonic() - began < WAIT_S


def test_connections_that_ask_nothing_hold_up_no_stop() -> None:
    """One that is kept for its next request, one that has asked nothing yet, and one that has begun to."""
    before = set(threading.enumerate())
    executor = Executor(provider_family="test", model_id="idle-1")
    with ExitStack() as stack, serve(executor, timeout_graceful_shutdown=60) as server:
        kept, _silent, begun = (
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)) for _ in range(3)
        )
        kept.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert kept.recv(65_536).startswith(b"HTTP/1.1 200")
        begun.sendall(b"GET /health HTTP/1.1\r\nhost:")
        # The loop has seen all three once it answers a fourth.
        assert httpx2.get(f"{server.url}/health").status_code == 200

    until(lambda: set(threading.enumerate()) <= before)


def test_a_crash_is_logged_once_and_a_refusal_not_at_all(caplog: pytest.LogCaptureFixture) -> None:
    """However many copies ask; the wire has the reference under which the log has the rest."""
    executor = Executor(provider_family="test", model_id="crashes-1")

    @executor.execute("swarm")
    async def crash(inputs: dict[str, Any]) -> dict[str, Any]:
        if inputs["prompt"] == "refused":
            raise Refuse("NO", "never")
        raise ValueError("password=hunter2")

    with serve(executor) as server:
        refused = httpx2.post(f"{server.url}/execute", content=make_body("exec-r-1", prompt="refused"))
        told = caplog.records[:]
        answers = [httpx2.post(f"{server.url}/execute", content=make_body()) for _ in range(3)]

    assert (refused.status_code, told) == (422, [])
    assert {answer.status_code for answer in answers} == {500}
    assert error_of(answers[0])["details"]["reference"] in caplog.records[0].getMessage()
    assert len(caplog.records) == 1
    assert "hunter2" in caplog.text
    assert "hunter2" not in answers[0].text
    assert "Traceback" not in answers[0].text


def test_a_caller_that_a_stopping_server_waits_for_no_longer_is_told() -> None:
    """503 in the one shape, so that it asks again; not the server's plain text."""
    hold = Hold(drain_s=0.05)
    told: list[httpx2.Response] = []
    with serve(hold.executor, timeout_graceful_shutdown=0.05, log_level="critical") as server:
        url = f"{server.url}/execute"
        caller = threading.Thread(target=lambda: told.append(httpx2.post(url, content=make_body(), timeout=WAIT_S)))
        caller.start()
        assert hold.started.acquire(timeout=WAIT_S)
    caller.join(WAIT_S)

    assert told[0].status_code == 503
    assert error_of(told[0])["code"] == "DRAINING"
    assert told[0].headers["retry-after"] == "1"


def test_a_mounted_executor_needs_no_lifespan() -> None:
    """Mounted applications never hear of the server's start."""
    executor = Executor(provider_family="test", model_id="mounted-1")

    @executor.execute("swarm")
    async def quick(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": inputs["prompt"]}

    with serve(Starlette(routes=[Mount("/agents", executor)])) as server:
        response = httpx2.post(f"{server.url}/agents/execute", content=make_body())
        missing = httpx2.get(f"{server.url}/agents/nothing")

    assert response.json()["candidate_output"] == {"answer": "hello"}
    assert error_of(missing)["code"] == "NOT_FOUND"


class Tenancy:
    """A middleware of a host: keeps whose call it is in a context variable."""

    tenant: ClassVar[ContextVar[str]] = ContextVar("tenant", default="nobody")

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.tenant.set(dict(scope.get("headers", ())).get(b"x-tenant", b"nobody").decode())
        await self.app(scope, receive, send)


def test_what_a_middleware_knows_of_a_caller_reaches_its_function() -> None:
    """Headers and claims by a context variable, in the loop and in threads: those of the call that opened the work."""
    executor = Executor(provider_family="test", model_id="tenants-1")

    @executor.execute("plain")
    def plain() -> dict[str, Any]:
        return {"answer": Tenancy.tenant.get()}

    @executor.execute("asynchronous")
    async def asynchronous() -> dict[str, Any]:
        return {"answer": Tenancy.tenant.get()}

    with serve(Tenancy(executor)) as server:
        answers = [
            httpx2.post(
                f"{server.url}/execute",
                content=make_body(f"exec-{task_type}-{tenant}", prompt=tenant, task_type=task_type),
                headers={"x-tenant": tenant},
            ).json()["candidate_output"]["answer"]
            for task_type in ("plain", "asynchronous")
            for tenant in ("acme", "bolt")
        ]

    assert answers == ["acme", "bolt"] * 2


@pytest.mark.anyio
async def test_a_server_that_says_the_body_again_holds_up_nobody() -> None:
    """Some gateways and harnesses never wait in `receive`: the handler has its turn all the same."""
    executor = Executor(provider_family="test", model_id="repeated-1")
    turns, most, said = 0, 1_000_000, list[Any]()

    @executor.execute("swarm")
    async def work(inputs: dict[str, Any]) -> dict[str, Any]:
        await anyio.sleep(2 * WATCH_AFTER_S)
        return {"answer": "a", "decision": "go"}

    async def receive() -> dict[str, Any]:
        nonlocal turns
        turns += 1
        if turns == most:
            raise ConnectionError
        return {"type": "http.request", "body": make_body(), "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    await executor({"type": "http", "method": "POST", "path": "/execute", "headers": []}, receive, send)

    assert said[0]["status"] == 200
    assert turns < most


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the server brings about."""
    give_up = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)
