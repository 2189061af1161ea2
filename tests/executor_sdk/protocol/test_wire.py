"""Typed views of recorded bodies, and of odd ones."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from executor_sdk.protocol.incoming import ExecuteRequest, VerifyRequest
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import (
    Capabilities,
    ExecuteAnswer,
    VerifyAnswer,
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
    views: dict[str, type] = {"/capabilities": Capabilities, "/execute": ExecuteAnswer, "/verify": VerifyAnswer}
    requests: dict[str, Callable[[bytes], object]] = {"/execute": ExecuteRequest, "/verify": VerifyRequest}

    if call["path"] in requests:
        requests[call["path"]](orjson.dumps(call["request"]))
    view(call["response"], views[call["path"]])


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


def test_a_wire_error_tells_its_facts() -> None:
    """Whoever answers a caller builds the sentence from them, and reads none apart."""
    with pytest.raises(WireError) as missing:
        view({}, VerifyAnswer)
    with pytest.raises(WireError) as mistyped:
        view({**_VERDICT, "score": "high"}, VerifyAnswer)

    assert (missing.value.missing, missing.value.path) == ("passed", "$")
    assert (mistyped.value.missing, mistyped.value.path) == (None, "$.score")
    assert mistyped.value.sentence == "Expected `float`, got `str`"
