"""Typed views of recorded bodies, and of odd ones."""

from __future__ import annotations

import pytest

from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import (
    Capabilities,
    ExecuteAnswer,
    ExecuteRequest,
    VerifyAnswer,
    VerifyRequest,
    WireError,
    derived_status,
    view,
)
from tests.executor_sdk.protocol.recordings import recorded

_CALLS = recorded("reference_calls.jsonl")
_VERDICT = {
    "passed": False,
    "score": 0.0,
    "reason_codes": [101],
    "verifier_result_hash": "h",
    "provider_family": "f",
    "model_id": "m",
}


@pytest.mark.parametrize("call", _CALLS, ids=range(len(_CALLS)))
def test_every_recorded_call_to_the_reference_runtime_is_understood(call: Json) -> None:
    """What a kernel sent, and what its reference runtime answered."""
    views: dict[str, tuple[type | None, type]] = {
        "/capabilities": (None, Capabilities),
        "/execute": (ExecuteRequest, ExecuteAnswer),
        "/verify": (VerifyRequest, VerifyAnswer),
    }
    request_view, answer_view = views[call["path"]]

    if request_view is not None:
        view(call["request"], request_view)
    view(call["response"], answer_view)


def test_unknown_keys_are_passed_over_and_missing_ones_told_with_their_path() -> None:
    """Additions of another kernel must not break this one's executor."""
    view({**_VERDICT, "later": 1}, VerifyAnswer)

    with pytest.raises(WireError, match="missing required field `model_id`"):
        view({key: value for key, value in _VERDICT.items() if key != "model_id"}, VerifyAnswer)
    with pytest.raises(WireError, match=r"\$\.evidence_inline\[0\]\.content"):
        view(
            {"candidate_output": 1, "evidence_inline": [{"mime": "m", "content": 3}], "evidence_refs": []},
            ExecuteAnswer,
        )


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"passed": True, "reason_codes": [100]}, "passed"),
        ({}, "failed"),
        ({"reason_codes": [101, 202]}, "inconclusive"),
        ({"reason_codes": [203]}, "failed"),
        ({"verification_status": "inconclusive"}, "inconclusive"),
    ],
)
def test_a_missing_status_is_derived_as_the_kernel_does(change: dict[str, Json], status: str) -> None:
    """Passed, else inconclusive by codes 200 to 202, else failed; a stated status stands."""
    assert derived_status(view({**_VERDICT, **change}, VerifyAnswer)) == status
