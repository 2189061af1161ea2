"""Typed views of what crosses the wire: read-only, made from plain JSON, never sent themselves.

Unknown keys are allowed at every level and stay in the plain JSON beside the view. What is hashed, stored or
forwarded is that plain JSON. Fields without a default are required; a missing or wrong one is told with its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar

import msgspec

from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import INCONCLUSIVE

T = TypeVar("T")


class WireError(ValueError):
    """JSON does not have the shape of the view: what is wrong, where, and which field is missing (None: none is)."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        self.sentence, _, place = complaint.partition(" - at ")
        #: As `$.task_contract.budget`; `$` is the whole.
        self.path = place.strip("`") or "$"
        _, is_missing, field = self.sentence.partition("missing required field ")
        self.missing = field.strip("`") if is_missing else None


class EvidenceRef(msgspec.Struct, frozen=True):
    """A reference to evidence kept elsewhere; `size_bytes` in bytes, `created_at` in epoch milliseconds."""

    uri: str
    digest: str
    size_bytes: int
    mime: str
    created_at: int
    producer: str


class InlineEvidence(msgspec.Struct, frozen=True):
    """A short text that travels inside the candidate."""

    mime: str
    content: str


class PolicyBinding(msgspec.Struct, frozen=True):
    """Which verification policy judges a candidate, pinned by the hash of its specification."""

    policy_id: str
    policy_version: str
    policy_hash: str
    policy_params: Any = None


class ExecuteAnswer(msgspec.Struct, frozen=True):
    """The body of a 200 from `POST /execute`."""

    candidate_output: Any
    evidence_inline: list[InlineEvidence]
    evidence_refs: list[EvidenceRef]


class Metric(msgspec.Struct, frozen=True):
    """What was used on the way to an answer, added up under one name; `unit` is empty where none was given."""

    value: int | float
    unit: str = ""


VerificationStatus = Literal["passed", "failed", "inconclusive"]


class VerifyAnswer(msgspec.Struct, frozen=True):
    """The body of a 200 from `POST /verify`; the status is optional on the wire and derived where it is missing."""

    passed: bool
    score: float
    reason_codes: list[int]
    verifier_result_hash: str
    provider_family: str
    model_id: str
    verification_status: VerificationStatus | None = None


class Capabilities(msgspec.Struct, frozen=True):
    """The body of `GET /capabilities`; all four are required by the kernel, further keys are free."""

    task_types: list[str]
    profiles: list[str]
    provider_family: str
    model_id: str


def view(value: Json, kind: type[T]) -> T:
    """Read `value` as `kind`.

    Raises:
        WireError: a field is missing or has another type; the message ends with its path.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise WireError(str(error)) from None


def metrics_in(answer: Mapping[str, Json]) -> dict[str, Metric]:
    """The metrics of an answer to `/execute`, by name. The key is no part of the contract, so what another executor may
    mean by it is left out."""
    given = answer.get("metrics")
    metrics: dict[str, Metric] = {}
    for name, one in given.items() if isinstance(given, dict) else ():
        with suppress(WireError):
            metrics[name] = view(one, Metric)
    return metrics


def derived_status(answer: VerifyAnswer) -> VerificationStatus:
    """The status that `answer` states, or the one the kernel derives from `passed` and the reason codes."""
    if answer.verification_status is not None:
        return answer.verification_status
    if answer.passed:
        return "passed"
    return "inconclusive" if INCONCLUSIVE.intersection(answer.reason_codes) else "failed"
