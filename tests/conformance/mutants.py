"""One bad executor for each requirement: it errs in that one thing, and is good in everything else."""

from __future__ import annotations

import asyncio
import json

from tests.conformance.model import Json, ModelExecutor, Receive, Refusal, Scope, Send, read


class Sick(ModelExecutor):
    """EXC-HEALTH-001."""

    def health(self) -> tuple[int, Json]:
        return (500 if not self.works else 200), {"status": "sick"}


class Nameless(ModelExecutor):
    """EXC-CAPS-001."""

    def capabilities(self) -> dict[str, Json]:
        offered = super().capabilities()
        del offered["model_id"]
        return offered


class Blank(ModelExecutor):
    """EXC-CAPS-002."""

    def capabilities(self) -> dict[str, Json]:
        return super().capabilities() | {"provider_family": " "}


class WithoutRefs(ModelExecutor):
    """EXC-EXEC-001."""

    def answer(self, request: dict[str, Json]) -> dict[str, Json]:
        answer = super().answer(request)
        del answer["evidence_refs"]
        return answer


class WordAsConfidence(ModelExecutor):
    """EXC-EXEC-002. Its own verifier takes such an output, so that only the output is at fault."""

    def answer(self, request: dict[str, Json]) -> dict[str, Json]:
        answer = super().answer(request)
        return answer | {"candidate_output": answer["candidate_output"] | {"confidence": "high"}}

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        known = isinstance(output, dict) and output.get("confidence") == "high"
        return super().judge(policy, output | {"confidence": 0.9} if known else output)


class Html(ModelExecutor):
    """EXC-EXEC-003."""

    def answer(self, request: dict[str, Json]) -> dict[str, Json]:
        return super().answer(request) | {"evidence_inline": [{"mime": "text/html", "content": "<p>seen</p>"}]}


class Strict(ModelExecutor):
    """EXC-EXEC-004."""

    def admit(self, request: dict[str, Json]) -> None:
        super().admit(request)
        if any(key.startswith("x_") for key in request):
            raise Refusal(422, "UNKNOWN_KEY", "the request has a key that is not known")


class StrictInputs(ModelExecutor):
    """EXC-EXEC-005."""

    def admit(self, request: dict[str, Json]) -> None:
        super().admit(request)
        if "_aggregation_signal" in request["inputs"]:
            raise Refusal(422, "INVALID_INPUTS", "_aggregation_signal is not an input")


class Seedless(ModelExecutor):
    """EXC-EXEC-006."""

    def admit(self, request: dict[str, Json]) -> None:
        super().admit(request)
        if request.get("seed_bundle") is not None:
            raise Refusal(422, "MALFORMED_REQUEST", "seed_bundle must be null")


class LoudStages(ModelExecutor):
    """EXC-EXEC-007."""

    def admit(self, request: dict[str, Json]) -> None:
        super().admit(request)
        if str(request.get("stage")).islower():
            raise Refusal(422, "MALFORMED_REQUEST", "the stage is not known")


class Anything(ModelExecutor):
    """EXC-EXEC-008."""

    def admit(self, request: dict[str, Json]) -> None:
        del request


class Again(ModelExecutor):
    """EXC-IDEMP-001. Copies that overlap share one work; the evidence is the same each time."""

    work_s = 0.3

    async def copy(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        finished = work.done()
        answer = await super().copy(request, work)
        if not finished:
            return answer
        return answer | {"candidate_output": answer["candidate_output"] | {"confidence": 0.5}}


class RefusesOverlap(ModelExecutor):
    """EXC-IDEMP-002. A single copy that comes later is taken in, so that hanging up is survived."""

    work_s = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, int] = {}

    async def wait(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        execution_id = request["execution_id"]
        if self.waiting.get(execution_id, 0) > 1:
            raise Refusal(409, "RUNNING", "this execution still runs")
        self.waiting[execution_id] = self.waiting.get(execution_id, 0) + 1
        try:
            return await super().wait(request, work)
        finally:
            self.waiting[execution_id] -= 1


class AnyBody(ModelExecutor):
    """EXC-IDEMP-003."""

    def other_body(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        return work.result()


class ByteByByte(ModelExecutor):
    """EXC-IDEMP-004."""

    def identity(self, request: dict[str, Json], body: bytes) -> Json:
        return body


class NewTime(ModelExecutor):
    """EXC-IDEMP-005."""

    async def copy(self, request: dict[str, Json], work: asyncio.Task[Json]) -> Json:
        answer = json.loads(json.dumps(await super().copy(request, work)))
        answer["evidence_refs"][0]["created_at"] += 1
        return answer


class GivesUp(ModelExecutor):
    """EXC-IDEMP-006."""

    work_s = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.given_up: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] != "/execute":
            await super().__call__(scope, receive, send)
            return
        body = await read(receive)
        gone = asyncio.create_task(self.watch(body, receive))
        try:
            await super().__call__(scope, replay(body), send)
        finally:
            gone.cancel()

    async def watch(self, body: bytes, receive: Receive) -> None:
        """Wait for the caller to hang up."""
        await receive()
        try:
            self.given_up.add(json.loads(body)["execution_id"])
        except (ValueError, RecursionError, TypeError, KeyError):
            return

    def admit(self, request: dict[str, Json]) -> None:
        super().admit(request)
        if request["execution_id"] in self.given_up:
            raise Refusal(503, "CANCELLED", "the caller hung up, so this was given up")


class EachAttemptAgain(ModelExecutor):
    """EXC-ADOPT-001."""

    def adopted(self, request: dict[str, Json]) -> asyncio.Task[Json] | None:
        return None


class FailsOnBrokenBodies(ModelExecutor):
    """EXC-ERR-001."""

    def parse(self, body: bytes) -> dict[str, Json]:
        try:
            return super().parse(body)
        except Refusal as refusal:
            if len(body) > 1_000:
                raise
            raise Refusal(500, "INTERNAL", str(refusal)) from None


class Mute(ModelExecutor):
    """EXC-ERR-002. It keeps the kit's error body, but says nothing in its first 512 characters."""

    def error(self, refusal: Refusal) -> Json:
        return b" " + b'{"error":' + b" " * 600 + json.dumps(super().error(refusal)["error"]).encode() + b"}"


class Tracer(ModelExecutor):
    """EXC-ERR-003."""

    def error(self, refusal: Refusal) -> Json:
        body = super().error(refusal)
        return {"error": body["error"] | {"details": self.trace(refusal)}}


class WrongRetryable(ModelExecutor):
    """EXC-ERR-004."""

    def error(self, refusal: Refusal) -> Json:
        body = super().error(refusal)
        return {"error": body["error"] | {"retryable": True}}


class FailsOnDepth(ModelExecutor):
    """EXC-ERR-005."""

    def parse(self, body: bytes) -> dict[str, Json]:
        try:
            return super().parse(body)
        except Refusal as refusal:
            if len(body) < 1_000:
                raise
            raise Refusal(500, "INTERNAL", str(refusal)) from None


class HighScore(ModelExecutor):
    """EXC-VERIFY-001."""

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        passed, _, codes = super().judge(policy, output)
        return passed, 1.5, codes


class Contradicts(ModelExecutor):
    """EXC-VERIFY-002."""

    def verdict(self, request: dict[str, Json], *, passed: bool, score: float, codes: list[int]) -> dict[str, Json]:
        return super().verdict(request, passed=passed, score=score, codes=codes) | {"verification_status": "failed"}


class FailsAll(ModelExecutor):
    """EXC-VERIFY-003."""

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        return False, 0.0, [101]


class PassesAll(ModelExecutor):
    """EXC-VERIFY-004."""

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        if policy["policy_id"] == "vp.schema_only.v1":
            return True, 1.0, [100]
        return super().judge(policy, output)


class AnyHash(ModelExecutor):
    """EXC-VERIFY-005."""

    def trusts(self, policy: dict[str, Json], known_hash: str) -> bool:
        return True


class OwnHash(ModelExecutor):
    """EXC-VERIFY-006."""

    def verdict(self, request: dict[str, Json], *, passed: bool, score: float, codes: list[int]) -> dict[str, Json]:
        answer = super().verdict(request, passed=passed, score=score, codes=codes)
        return answer | {"verifier_result_hash": "abc123"}


class ForeignCode(ModelExecutor):
    """EXC-VERIFY-007."""

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        passed, score, codes = super().judge(policy, output)
        return passed, score, [*codes, 105]


class Moody(ModelExecutor):
    """EXC-VERIFY-008."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        self.asked += 1
        passed, score, codes = super().judge(policy, output)
        return passed, round(score / (1 + self.asked), 6), codes


class Unsure(ModelExecutor):
    """EXC-VERIFY-009."""

    def judge(self, policy: dict[str, Json], output: Json) -> tuple[bool, float, list[int]]:
        if policy["policy_id"] == "vp.schema_thresholds.v1":
            return True, 1.0, [100]
        return super().judge(policy, output)


class TwoPolicies(ModelExecutor):
    """EXC-VERIFY-010."""

    def bind(self, policy: dict[str, Json]) -> None:
        super().bind(policy)
        if policy["policy_id"] == "vp.crosscheck.v1":
            raise Refusal(400, "UNKNOWN_POLICY", "policy binding invalid: vp.crosscheck.v1 is not known here")


class TooMany(ModelExecutor):
    """EXC-LOAD-001."""

    work_s = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.running = 0

    async def work(self, request: dict[str, Json]) -> Json:
        if self.running >= 8:
            raise Refusal(429, "TOO_MANY", "more than eight executions run")
        self.running += 1
        try:
            return await super().work(request)
        finally:
            self.running -= 1


#: The bad executor of each requirement.
MUTANTS: dict[str, type[ModelExecutor]] = {
    str(mutant.__doc__).partition(".")[0]: mutant
    for mutant in (
        Sick,
        Nameless,
        Blank,
        WithoutRefs,
        WordAsConfidence,
        Html,
        Strict,
        StrictInputs,
        Seedless,
        LoudStages,
        Anything,
        Again,
        RefusesOverlap,
        AnyBody,
        ByteByByte,
        NewTime,
        GivesUp,
        EachAttemptAgain,
        FailsOnBrokenBodies,
        Mute,
        Tracer,
        WrongRetryable,
        FailsOnDepth,
        HighScore,
        Contradicts,
        FailsAll,
        PassesAll,
        AnyHash,
        OwnHash,
        ForeignCode,
        Moody,
        Unsure,
        TwoPolicies,
        TooMany,
    )
}


def replay(body: bytes) -> Receive:
    """A receive channel that gives `body` and then waits for ever."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Json]:
        if messages:
            return dict(messages.pop())
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets was set")

    return receive
