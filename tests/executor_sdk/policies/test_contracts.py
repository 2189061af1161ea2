"""The kernel's rules on a task contract."""

from __future__ import annotations

import pytest

from executor_sdk.policies.contracts import contract_breaches
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import sample_contract
from tests.executor_sdk.protocol.recordings import recorded

_RECORDED = [case for case in recorded("contracts.jsonl") if isinstance(case["change"], dict)]


def make_changed(change: dict[str, Json]) -> dict[str, Json]:
    """The sample contract with values set at paths whose dots are written `__`."""
    contract = sample_contract(task_id="t", task_type="swarm", inputs={}, expiry_ms=1)
    for path, value in change.items():
        *parents, last = path.split("__")
        part = contract
        for parent in parents:
            part = part[parent]
        part[last] = value
    return contract


@pytest.mark.parametrize("case", _RECORDED, ids=range(len(_RECORDED)))
def test_a_recorded_contract_is_accepted_or_refused_with_the_kernels_sentence(case: Json) -> None:
    """Every change that was tried on a kernel."""
    assert contract_breaches(make_changed(case["change"])) == case["answer"].get("error")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"assignment__verify__max_verifiers": 0}, "invalid event: verify.max_verifiers must be > 0"),
        ({"assignment__explore__stop__no_new_evidence_rounds": 0}, "explore.stop.no_new_evidence_rounds must be > 0"),
        ({"budget__reuse_verify_cost_units": 1_001}, "reuse_verify_cost_units must be <= budget.cost_units"),
        ({"acceptance__settlement__implicit_weight": -0.1}, "settlement.implicit_weight must be within [0,1]"),
        ({"budget": 3}, "does not decode: Expected `object`, got `int` - at `$.budget`"),
        ({"budget__time_ms": -1}, "at `$.budget.time_ms`"),
        ({"task_mode": "SOMETIMES"}, "at `$.task_mode`"),
    ],
    ids=range(7),
)
def test_the_rules_that_were_not_recorded_have_a_sentence_too(change: dict[str, Json], sentence: str) -> None:
    """Same shape, with the path where the contract cannot be read."""
    assert sentence in str(contract_breaches(make_changed(change)))


def test_defaults_stand_in_for_what_may_be_left_out() -> None:
    """A contract without its optional parts is whole."""
    contract = make_changed({})
    for part in ("explore", "verify", "finalize"):
        del contract["assignment"][part]
    del contract["acceptance"]["da_quorum_threshold"], contract["task_mode"], contract["budget"]["mode"]

    assert contract_breaches(contract) is None


@pytest.mark.parametrize("contract", [None, [], "x", {}])
def test_what_is_no_contract_gets_a_sentence(contract: Json) -> None:
    """Whatever is sent, one sentence comes back."""
    assert str(contract_breaches(contract)).startswith("invalid event: task contract does not decode: ")
