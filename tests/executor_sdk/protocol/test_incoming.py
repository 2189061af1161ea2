"""Bodies as they come: what is read of them, what is refused, and which of them are the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from executor_sdk.protocol.incoming import ExecuteRequest, VerifyRequest
from executor_sdk.protocol.plain import Json, NotJsonError
from executor_sdk.protocol.requests import execute_request, sample_contract
from executor_sdk.protocol.wire import WireError


def make_body(**changes: Json) -> dict[str, Json]:
    """The body of a request, with `changes` of its fields; those of the contract begin with `contract_`."""
    inputs = changes.pop("inputs", {"prompt": "p", "rows": [1.5, 2]})
    contract = sample_contract(task_id="run-r-a-1", task_type="swarm", inputs=inputs, expiry_ms=9)
    contract |= {name.removeprefix("contract_"): changes.pop(name) for name in list(changes) if name[:9] == "contract_"}
    return {**execute_request(contract, execution_id="exec-p-1"), **changes}


def digest_of(body: bytes) -> bytes:
    """What all copies of the request in `body` have in common."""
    request = ExecuteRequest(body)
    return request.digest(request.step_digest("", "stem", "schema"))


def reencoded(value: Json) -> bytes:
    """The same JSON with keys in another order, white space, and escapes in place of characters."""
    import json

    def turned(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: turned(part[key]) for key in reversed(part)}
        return [turned(item) for item in part] if isinstance(part, list) else part

    return json.dumps(turned(value), indent=2, ensure_ascii=True).encode()


@pytest.mark.parametrize(
    "body",
    [
        make_body(),
        make_body(inputs={"prompt": "Größe 1\u0000", "deep": [[[{"a": {"b": [1]}}]]]}),
        make_body(seed_bundle={"hits": [{"x": 1}], "constraints": {}}),
        make_body(contract_output_schema={"type": "object", "properties": {str(n): {} for n in range(900)}}),
        make_body(contract_inputs={"other": 1}),
        make_body(other={"b": 1, "a": "ö"}, contract_other=[1]),
    ],
    ids=["plain", "text", "seeds", "large part", "other inputs", "unknown keys"],
)
def test_another_encoding_is_the_same_request(body: dict[str, Json]) -> None:
    """Gateways re-encode: order of keys, white space and escapes say nothing."""
    assert digest_of(orjson.dumps(body)) == digest_of(reencoded(body))


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"prompt": "q"}},
        {"task_id": "run-r-a-2"},
        {"execution_id": "exec-p-2"},
        {"profile": "fast"},
        {"task_type": "other"},
        {"stage": "DECIDE"},
        {"attempt_id": None},
        {"seed_bundle": {"hits": []}},
        {"contract_expiry_ms": 10},
        {"contract_inputs": {"prompt": "q"}},
        {"contract_budget": {"time_ms": 1}},
        {"contract_evidence_policy": {}},
        {"contract_acceptance": None},
        {"other": 1},
        {"contract_other": 1},
    ],
    ids=str,
)
def test_whatever_is_said_otherwise_makes_another_request(change: dict[str, Json]) -> None:
    """Each part of a body counts."""
    assert digest_of(orjson.dumps(make_body(**change))) != digest_of(orjson.dumps(make_body()))


def test_large_parts_stay_text_until_somebody_asks() -> None:
    """And are plain JSON then, unknown keys among them."""
    body = {**make_body(later=[1]), "task_contract": {**make_body()["task_contract"], "later": {"a": 1}}}
    request = ExecuteRequest(orjson.dumps(body))

    assert request.contract == body["task_contract"]
    assert request.inputs == body["inputs"]
    assert orjson.loads(request.inputs_text) == body["inputs"]
    assert orjson.loads(request.output_schema_text) == body["task_contract"]["output_schema"]
    assert request.seed_bundle is None


def test_a_contract_without_schema_and_policy_has_null_for_both() -> None:
    """So that whoever reads rules from them need not ask."""
    request = ExecuteRequest.of({**make_body(), "task_contract": {}})

    assert (request.output_schema_text, request.evidence_policy_text) == (b"null", b"null")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", NotJsonError),
        (b"", NotJsonError),
        (b"\xff", NotJsonError),
        (orjson.dumps(make_body(inputs="@")).replace(b"@", b"\xff"), NotJsonError),
        (orjson.dumps(make_body(inputs="@")).replace(b"@", b"\\ud800"), NotJsonError),
        (orjson.dumps(make_body(inputs=7)).replace(b":7", b":1e999"), NotJsonError),
        (orjson.dumps(make_body(inputs=7)).replace(b":7", b":NaN"), NotJsonError),
        (orjson.dumps(make_body(later="@")).replace(b"@", b"\\udc00"), NotJsonError),
        (orjson.dumps(make_body(inputs=[[[[[[[[[[[[]]]]]]]]]]]])), NotJsonError),
        (b"[]", WireError),
        (b"{}", WireError),
        (orjson.dumps(make_body(task_contract=None)), WireError),
        (orjson.dumps(make_body(task_id=1)), WireError),
    ],
)
def test_what_is_no_request_is_refused_at_once(body: bytes, error: type[Exception]) -> None:
    """Also where the fault is in a part that nobody may ever look at."""
    with pytest.raises(error):
        ExecuteRequest(body, max_depth=12)


def test_a_candidate_is_read_with_its_output_as_text() -> None:
    """Policies judge texts."""
    candidate = {"candidate_id": "c", "execution_id": "e", "output": {"answer": "x"}, "later": 1}
    policy = {"policy_id": "p", "policy_version": "1", "policy_hash": "h", "policy_params": {"min_confidence": 2**70}}
    request = VerifyRequest(
        orjson.dumps({"candidate": candidate, "output_schema": {}, "policy": {**policy, "policy_params": 1}})
    )

    assert (request.output_text, request.output_schema_text) == (b'{"answer":"x"}', b"{}")
    assert request.candidate.evidence_refs == []
    assert request.policy.policy_params == 1
    with pytest.raises(WireError) as error:
        VerifyRequest(b'{"candidate": {}, "output_schema": {}, "policy": {}}')
    assert error.value.missing == "candidate_id"


def test_copies_of_a_deep_body_are_the_same_under_a_higher_limit() -> None:
    """Depth is judged once, by the limit of whoever serves."""
    deep: Json = "end"
    for _ in range(80):
        deep = {"b": deep, "a": 1}
    body = make_body(inputs={"deep": deep})

    def digest(text: bytes) -> bytes:
        request = ExecuteRequest(text, max_depth=100)
        return request.digest(request.step_digest("", "stem", "schema"))

    assert digest(orjson.dumps(body)) == digest(reencoded(body))
