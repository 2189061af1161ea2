"""Calls to executors within an attempt, their failures in the kernel's sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.errors import ClientError, ExecutorRefusedError, ExecutorUnreachableError
from executor_sdk.policies.verdicts import verdict_answer
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.requests import NEW_WORK_HEADER
from executor_sdk.protocol.wire import Capabilities
from kernel_stub.errors import StepFailedError

#: Where the kernel's words for a status are not Python's, which changed with 3.13.
_KERNELS_PHRASES: Final[Mapping[int, str]] = {
    203: "Non Authoritative Information",
    413: "Payload Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
}

#: Another executor turned the work of the step down, which its own executor cannot know.
_NEW_WORK: Final = {NEW_WORK_HEADER: "true"}


@dataclass(frozen=True, slots=True)
class AnsweredVerdict:
    """A verdict, and whether an executor gave it."""

    verdict: dict[str, Json]
    answered: bool


async def probe(client: ExecutorClient) -> Capabilities:
    """Health and capabilities.

    Raises:
        StepFailedError: the executor is not there, not well, or answers something else.
    """
    path = "/health"
    try:
        await client.health()
        path = "/capabilities"
        capabilities = await client.capabilities()
    except ClientError as error:
        raise _failed(path, client, error, keep_body=False) from None
    # Every verdict and every reputation is kept under these two.
    for name in ("provider_family", "model_id"):
        if not getattr(capabilities, name).strip():
            raise StepFailedError(f"runtime /capabilities decode: {name} must not be blank")
    return capabilities


async def execute(client: ExecutorClient, body: bytes, *, new_work: bool = False) -> dict[str, Json]:
    """The answer to `/execute`; with `new_work`, the executor is told not to hand out what it has done for the step.

    Raises:
        StepFailedError: there is none; final if the executor answered 4xx.
    """
    try:
        return await client.execute(body, headers=_NEW_WORK if new_work else None)
    except ClientError as error:
        raise _failed("/execute", client, error, final=not error.retryable) from None


async def verify(client: ExecutorClient, body: bytes, candidate: dict[str, Json], policy_hash: str) -> AnsweredVerdict:
    """The answer to `/verify`; where the call fails, the kernel's own: nothing was judged, and why.

    `candidate` holds the family and model of its proposer, who is named as the author of such a verdict.
    """
    try:
        return AnsweredVerdict(await client.verify(body), answered=True)
    except ClientError as error:
        timed_out = _timed_out(error)
    verdict = verdict_answer(
        status="inconclusive",
        score=0.0,
        reason_codes=[ReasonCode.EVIDENCE_TIMEOUT if timed_out else ReasonCode.EVIDENCE_UNREACHABLE],
        candidate_id=candidate["candidate_id"],
        execution_id=candidate["execution_id"],
        policy_hash=policy_hash,
        provider_family=candidate["provider_family"],
        model_id=candidate["model_id"],
    )
    return AnsweredVerdict(verdict, answered=False)


def _timed_out(error: ClientError) -> bool:
    return isinstance(error, ExecutorUnreachableError) and error.timed_out


def _failed(
    path: str, client: ExecutorClient, error: ClientError, *, final: bool = False, keep_body: bool = True
) -> StepFailedError:
    sentence = _sentence(path, client, error, keep_body=keep_body)
    return StepFailedError(sentence, final=final, unanswered=_timed_out(error))


def _sentence(path: str, client: ExecutorClient, error: ClientError, *, keep_body: bool = True) -> str:
    match error:
        case ExecutorRefusedError(status=status) if not 200 <= status < 300:
            body = f"; body: {error.answer}" if keep_body and error.answer else ""
            return f"runtime {path} status: {status} {_phrase(status, error.reason_phrase)}{body}"
        case ExecutorUnreachableError(timed_out=True):
            return (
                f"runtime {path} request: error sending request for url ({client.base_url}{path}): operation timed out"
            )
        case ExecutorUnreachableError():
            return f"runtime {path} request: error sending request for url ({client.base_url}{path})"
        case _:
            return f"runtime {path} decode: {error.message}"


def _phrase(status: int, answered: str) -> str:
    """The standard words for a status, as the kernel prints them whatever was answered."""
    try:
        return _KERNELS_PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return answered
