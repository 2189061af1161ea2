"""The rehearsal of a run before it is taken: whether a task of it could live to its end at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from executor_sdk.policies.contracts import contract_breaches
from executor_sdk.protocol import requests
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import InvalidEventError
from kernel_stub.log.forms import unsigned_event
from kernel_stub.log.growth import MAX_EVENT_BYTES
from kernel_stub.rules.contract import step_contract
from kernel_stub.rules.records import EventDraft, Run, Step
from kernel_stub.rules.task import Claim, Create, Decide, Judge, Propose, Vote, decide
from kernel_stub.rules.taskstate import TaskState

_PROPOSING: Final = "exec-p-00000000-0000-0000-0000-000000000000"
_VERIFYING: Final = "exec-v-00000000-0000-0000-0000-000000000000"

#: An event's id and signature, with their names.
_SEAL_BYTES: Final = 240

#: Where a sentence about a shape ends, and the place begins.
_PLACE: Final = " - at `$"


class _Nobody:
    """Signs a rehearsal: nothing of it is kept."""

    node_id = "0" * 64

    def sign(self, _: bytes) -> str:
        return "0" * 128


@dataclass(frozen=True, slots=True)
class Hopeless:
    """No attempt at any step could succeed: the field that must change, and why."""

    path: str
    sentence: str


def rehearse(run: Run, steps: Sequence[Step], now_ms: int) -> Hopeless | None:
    """Play the life of the run's largest task through, from its contract to its final decision.

    An executor that answers perfectly is assumed; what it really answers is judged when it does.
    """
    step = max(steps, key=_size_of_its_own)
    contract = step_contract(run, step, task_id=f"run-{run.run_id}-{step.agent_id}-1", now_ms=now_ms)
    refusal = contract_breaches(contract)
    if refusal is not None:
        return Hopeless(_place_of(refusal), refusal)
    try:
        created = _life(contract, now_ms)[0]
        size_bytes = len(declared_bytes(_event(created))) + _SEAL_BYTES
    except InvalidEventError as error:
        return Hopeless("task_template", error.sentence)
    except orjson.JSONEncodeError:
        return Hopeless("task_template", "a number of the task contract is beyond 64 bits")
    if size_bytes <= MAX_EVENT_BYTES:
        return None
    return _too_large(run, step, size_bytes)


def _size_of_its_own(step: Step) -> int:
    """Bytes by which this step's task differs from the others': its prompt, and its agent's id three times."""
    return len(orjson.dumps(step.prompt)) + 3 * len(orjson.dumps(step.agent_id))


def _life(contract: dict[str, Json], now_ms: int) -> tuple[EventDraft, ...]:
    """The events of a task that goes well.

    Raises:
        InvalidEventError: one of them would break a rule of the contract.
    """
    ref = requests.output_ref({}, producer="nobody", created_at=now_ms)
    candidate = requests.candidate(execution_id=_PROPOSING, output={}, output_ref=ref)
    candidate_id = candidate["candidate_id"]
    verdict: dict[str, Json] = {
        "passed": True,
        "score": 1.0,
        "reason_codes": [100],
        "verifier_result_hash": "0",
        "provider_family": "none",
        "model_id": "none",
    }
    commands = (
        Create(contract),
        Claim("propose", _PROPOSING),
        Propose(candidate),
        Claim("verify", _VERIFYING),
        Judge(candidate_id, _VERIFYING, "passed", verdict),
        Vote(candidate_id, _VERIFYING, "0"),
        Decide(candidate_id),
    )
    drafts = decide(TaskState(), commands, _Nobody(), now_ms)
    for draft in drafts:
        declared_bytes(_event(draft))
    return drafts


def _event(draft: EventDraft) -> dict[str, Json]:
    return unsigned_event(draft, author=_Nobody.node_id)


def _too_large(run: Run, step: Step, size_bytes: int) -> Hopeless:
    """Names the largest part: it is what should go elsewhere."""
    parts = {
        "shared_inputs": len(orjson.dumps(run.shared_inputs)),
        f"agents[{_index_of(run, step)}].prompt": len(orjson.dumps(step.prompt)),
        "task_template": len(orjson.dumps(run.spec.get("task_template"))),
    }
    path = max(parts, key=lambda name: parts[name])
    made = f"{path} makes a task of {size_bytes} bytes"
    return Hopeless(path, f"{made}, and a signed event holds {MAX_EVENT_BYTES}: send a reference instead")


def _index_of(run: Run, step: Step) -> int:
    return [agent["agent_id"] for agent in run.spec["agents"]].index(step.agent_id)


def _place_of(refusal: str) -> str:
    """`task_template`, and the field inside it where the sentence names one."""
    _, found, place = refusal.rpartition(_PLACE)
    return f"task_template{place.rstrip('`')}" if found else "task_template"
