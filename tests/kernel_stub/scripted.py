"""An executor that does what the prompt orders, as the one did that was recorded with the kernel.

Orders are JSON: `out`, `refs` and `inline` make the answer, `status` and `body` an error, `delay` seconds pass before
it, `verdict` overrides parts of the verdict, `vstatus` fails the verification, `rounds` is a list of orders by attempt.
"""

from __future__ import annotations

import json
from typing import Any, Final

import anyio
import orjson

from executor_sdk.policies.builtin import evaluate
from executor_sdk.policies.verdicts import verdict_answer

TOLD_TO_FAIL: Final = {"error": {"code": "scripted", "message": "told to fail"}}


class Scripted:
    """A plain ASGI application; `calls` is what it was asked, `effects` how often each execution was really done."""

    def __init__(self, *, seconds: float = 1.0) -> None:
        #: How long one ordered second takes.
        self.seconds = seconds
        self.calls: list[tuple[str, bytes]] = []
        self.effects: dict[str, int] = {}
        #: Set once an execute or verify call is under way.
        self.called = anyio.Event()
        self._orders: dict[str, dict[str, Any]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = await self.answer(scope["path"], body)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": content})

    async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Status and body for one call."""
        if path == "/health":
            return 200, {"status": "ok"}
        if path == "/capabilities":
            return 200, {
                "task_types": ["swarm"],
                "profiles": ["default"],
                "provider_family": "scripted",
                "model_id": "scripted-1",
            }
        self.calls.append((path, body))
        self.called.set()
        request = orjson.loads(body)
        return await (self._execute(request) if path == "/execute" else self._verify(request))

    async def _execute(self, request: dict[str, Any]) -> tuple[int, Any]:
        orders = orders_of(request)
        self._orders[request["execution_id"]] = orders
        if "delay" in orders:
            await anyio.sleep(orders["delay"] * self.seconds)
        if "status" in orders:
            return orders["status"], orders.get("body", TOLD_TO_FAIL)
        self.effects[request["execution_id"]] = self.effects.get(request["execution_id"], 0) + 1
        return 200, {
            "candidate_output": orders.get("out", {"answer": "yes", "decision": "go"}),
            "evidence_inline": orders.get("inline", []),
            "evidence_refs": [_ref(digest) for digest in orders.get("refs", [])],
        }

    async def _verify(self, request: dict[str, Any]) -> tuple[int, Any]:
        candidate, policy = request["candidate"], request["policy"]
        orders = self._orders.get(candidate["execution_id"], {})
        if "vstatus" in orders:
            return orders["vstatus"], {"error": "told to fail"}
        found = evaluate(
            policy["policy_id"],
            schema=request["output_schema"],
            output=candidate["output"],
            params=policy["policy_params"],
        )
        verdict = verdict_answer(
            status="passed" if found.passed else "failed",
            score=found.score,
            reason_codes=found.reason_codes,
            candidate_id=candidate["candidate_id"],
            execution_id=candidate["execution_id"],
            policy_hash=policy["policy_hash"],
            provider_family="scripted",
            model_id="scripted-1",
        )
        return 200, {**verdict, **orders.get("verdict", {})}


class Crowded(Scripted):
    """Counts how many executions it has at once."""

    at_once = 0
    most = 0

    async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """As ever, counted."""
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            return await super().answer(path, body)
        finally:
            self.at_once -= 1


def orders_of(request: dict[str, Any]) -> dict[str, Any]:
    """The orders for this attempt; a prompt that is no JSON orders nothing."""
    try:
        orders = json.loads(request["inputs"]["prompt"])
    except ValueError:
        return {}
    rounds = orders.get("rounds")
    if rounds is None:
        return dict(orders)
    attempt = int(request["task_id"].rpartition("-")[2])
    return dict(rounds[min(attempt, len(rounds)) - 1])


def _ref(digest: str) -> dict[str, Any]:
    return {
        "uri": f"http://127.0.0.1/{digest}",
        "digest": digest,
        "size_bytes": 3,
        "mime": "text/plain",
        "created_at": 1_700_000_000_000,
        "producer": "scripted",
    }
