"""The task contract of a step's attempt: the built-in sample, with what the run's template says otherwise."""

from __future__ import annotations

from typing import Final

from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import EXPIRY_AFTER_MS, sample_contract
from kernel_stub.rules.records import Run, Step
from kernel_stub.rules.spec import step_inputs

#: What a template cannot say: these belong to the attempt.
_OF_THE_ATTEMPT: Final = frozenset({"protocol_version", "task_id", "task_type", "inputs", "expiry_ms"})

#: Parts of a contract that are generic JSON: a template replaces them whole.
_WHOLE: Final = frozenset({"output_schema", "policy_params"})


def step_contract(run: Run, step: Step, *, task_id: str, now_ms: int) -> dict[str, Json]:
    """The contract that this attempt's task is created with."""
    contract = sample_contract(
        task_id=task_id,
        task_type=run.task_type,
        inputs=step_inputs(run, step),
        expiry_ms=now_ms + EXPIRY_AFTER_MS,
    )
    template = run.spec.get("task_template") or {}
    merged: dict[str, Json] = _merged(
        contract, {name: part for name, part in template.items() if name not in _OF_THE_ATTEMPT}
    )
    return merged


def _merged(value: Json, over: Json) -> Json:
    """`over` laid upon `value`, records key by key; anything else replaces."""
    if not (isinstance(value, dict) and isinstance(over, dict)):
        return over
    merged = dict(value)
    for name, part in over.items():
        merged[name] = part if name in _WHOLE or name not in value else _merged(value[name], part)
    return merged
