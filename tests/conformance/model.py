"""A good executor in plain ASGI, modelled on what the reference runtime was recorded answering
(wattetheria/wattswarm at fafc797); it shares no code with the kit, so that the suite is tested against a stranger."""

from __future__ import annotations

import asyncio
import hashlib
import json
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Json = Any
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Built-in policies: hash of the specification, and the reason codes that belong to it.
POLICIES = {
    "vp.schema_only.v1": "a52d250d216f425973eb5a13c392d4dbc172357181b683e86caa4a5c64db94a7",
    "vp.schema_thresholds.v1": "052312b5f56ed81a7c6f693d5d24fde5dc42825ecc61c6f77bccf07c444c4edf",
    "vp.crosscheck.v1": "236ef6d386d272715034acda035ae212c85a87dd6a09958e781c5d0b6880846d",
}


class Refusal(Exception):  # noqa: N818 - what an executor answers, not a fault of this code
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ModelExecutor:
    """Each small method is a place where a mutant may err."""

    #: How long its work takes, so that copies overlap; longer in mutants that must be met while they work.
    work_s = 0.03

    def __init__(self) -> None:
        self.works: dict[str, tuple[Json, asyncio.Task[Json]]] = {}
        self.steps: dict[str, asyncio.Task[Json]] = {}
        self.done = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        body = await read(receive)
        try:
            status, answer = await self.route(scope["method"], scope["path"], body)
        except Refusal as refusal:
            status, answer = refusal.status, self.error(refusal)
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    async def live(self, receive: Receive, send: Send) -> None:
        """Start and stop."""
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    async def route(self, method: str, path: str, body: bytes) -> tuple[int, Json]:
        """The four endpoints."""
        match method, path:
            case "GET", "/health":
                return self.health()
            case "GET", "/capabilities":
                return 200, self.capabilities()
            case "POST", "/execute":
                return 200, await self.execute(body)
            case "POST", "/verify":
                return 200, self.verify(self.parse(body))
        raise Refusal(404, "NOT_FOUND", f"there is no {method} {path}")

    def health(self) -> tuple[int, Json]:
        """Healthy."""
        return 200, {"status": "ok"}

    def capabilities(self) -> dict[str, Json]:
        """What it offers."""
        return {
            "task_types": ["swarm"],
            "profiles": ["default"],
            "provider_family": "model-runtime",
            "model_id": "model-v1",
        }

    def parse(self, body: bytes) -> dict[str, Json]:
        """A JSON object, not too deep."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise Refusal(400, "MALFORMED_REQUEST", "the body is not JSON, or too deep") from None
        if not isinstance(value, dict):
            raise Refusal(400, "MALFORMED_REQUEST", "the body is no JSON object")
        return value

    async def execute(self, body: bytes) -> Json:
        """Join, replay or start the work of an execution id."""
        request = self.parse(body)
        for field in ("task_id", "execution_id", "task_type"):
            if not isinstance(request.get(field), str):
                raise Refusal(422, "MALFORMED_REQUEST", f"{field} must be a string")
        self.admit(request)
        identity = self.identity(request, body)
        before = self.works.get(request["execution_id"])
        if before is not None:
            if before[0] != identity:
                return self.other_body(request, before[1])
            return await self.copy(request, before[1])
        work = self.adopted(request) or asyncio.create_task(self.work(request))
        self.works[request["execution_id"]] = (identity, work)
        self.steps[self.step(request)] = work
        return await self.wait(request, work)

    def admit(self, request: dict[str, Json]) -> None:
        """Refuse what is not offered."""
        if request["task_type"] != "swarm":
            raise Refusal(404, "UNKNOWN_TASK_TYPE", f"no handler for {request['task_type']!r}")

    def step(self, request: dict[str, Json]) -> Json:
        """What is the same for all attempts at one step: the task id but for its last number, and the inputs."""
        return json.dumps([request["task_id"].rpartition("-")[0], request["inputs"]], sort_keys=True)

    def adopted(self, request: dict[str, Json]) -> asyncio.Task[Json] | None:
        """The work of an earlier attempt."""
        return self.steps.get(self.step(request))

    def identity(self, request: dict[str, Json], body: bytes) -> Json:
        """What must be the same under one execution id."""
        del body
        return request

    async def copy(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        """A copy of a request that came before."""
        return await self.wait(request, work)

    async def wait(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        """The answer of work that goes on whoever waits for it."""
        del request
        return await asyncio.shield(work)

    def other_body(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        """Another body under a known id."""
        raise Refusal(409, "BODY_DIFFERS", f"{request['execution_id']} came before with another body")

    async def work(self, request: dict[str, Json]) -> Json:
        """The work itself."""
        await asyncio.sleep(self.work_s)
        self.done += 1
        return self.answer(request)

    def answer(self, request: dict[str, Json]) -> dict[str, Json]:
        """The candidate."""
        execution_id = request["execution_id"]
        text = f"{request.get('profile')}::{request['inputs'].get('prompt')}"
        return {
            "candidate_output": {
                "answer": text,
                "confidence": 0.93,
                "check_summary": f"stage={request.get('stage')} attempt={execution_id} n={self.done}",
            },
            "evidence_inline": [{"mime": "text/plain", "content": f"trace:{execution_id}"}],
            "evidence_refs": [
                {
                    "uri": f"https://runtime.local/{request['task_id']}/{execution_id}",
                    "digest": f"sha256:{digest(text)}",
                    "size_bytes": len(text),
                    "mime": "application/json",
                    "created_at": 1_795_215_363_273,
                    "producer": "model-runtime/model-v1",
                }
            ],
        }

    def verify(self, request: dict[str, Json]) -> dict[str, Json]:
        """The verdict on a candidate."""
        policy, output = request["policy"], request["candidate"]["output"]
        self.bind(policy)
        passed, score, codes = self.judge(policy, output)
        return self.verdict(request, passed=passed, score=score, codes=codes)

    def bind(self, policy: dict[str, Json]) -> None:
        """Refuse a policy that is not known exactly."""
        known = POLICIES.get(policy["policy_id"])
        if known is None or policy["policy_version"] != "1" or not self.trusts(policy, known):
            raise Refusal(400, "UNKNOWN_POLICY", f"policy binding invalid: {policy['policy_id']} is not known so")

    def trusts(self, policy: dict[str, Json], known_hash: str) -> bool:
        """Whether the binding's hash is right."""
        return bool(policy["policy_hash"] == known_hash)

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        """Passed, score and reason codes by the three policies."""
        params = policy.get("policy_params") or {}
        fits = isinstance(output, dict) and isinstance(output.get("answer"), str)
        match policy["policy_id"]:
            case "vp.schema_only.v1":
                return (True, 1.0, [100]) if fits else (False, 0.0, [101])
            case "vp.schema_thresholds.v1":
                sure = fits and output.get("confidence", 0.0) >= params.get("min_confidence", 0.0)
                return (True, 1.0, [100]) if sure else (False, 0.2, [102])
            case _:
                summed = fits and bool(str(output.get("check_summary", "")).strip())
                return (True, 0.9, [100]) if summed else (False, 0.3, [104])

    def verdict(self, request: dict[str, Json], *, passed: bool, score: float, codes: list[int]) -> dict[str, Json]:
        """The answer of `/verify`."""
        hashed = {
            "candidate_id": request["candidate"]["candidate_id"],
            "execution_id": request["candidate"]["execution_id"],
            "model_id": "model-v1",
            "passed": passed,
            "policy_hash": request["policy"]["policy_hash"],
            "provider_family": "model-runtime",
            "reason_codes": codes,
            "score": score,
        }
        return {
            "verification_status": "passed" if passed else "failed",
            "passed": passed,
            "score": score,
            "reason_codes": codes,
            "verifier_result_hash": digest(json.dumps(hashed, separators=(",", ":"), sort_keys=True)),
            "provider_family": "model-runtime",
            "model_id": "model-v1",
        }

    def error(self, refusal: Refusal) -> Json:
        """The body of a refusal."""
        error = {"code": refusal.code, "message": str(refusal), "retryable": refusal.status >= 500}
        return {"error": error}

    def trace(self, refusal: Refusal) -> str:
        """The stack of a refusal, for the mutant that shows it."""
        return "".join(traceback.format_exception(refusal))


def digest(text: str) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


async def read(receive: Receive) -> bytes:
    """The whole request body."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
