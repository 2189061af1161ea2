"""Runs told again from their events: what the tables keep is compared with what comes of that."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from executor_sdk.protocol.digests import output_digest
from executor_sdk.protocol.plain import Json, parse
from kernel_stub.errors import TablesDifferError
from kernel_stub.log.history import StoredRun, compare
from kernel_stub.rules.aggregation.conclusion import conclusion_of
from kernel_stub.rules.records import RunEvent, RunStatus, StepStatus
from kernel_stub.rules.result import step_result
from kernel_stub.rules.taskstate import TaskState
from tests.kernel_stub.rules.playing import NOW_MS, Played, make_spec

_RECORDED: Final = Path(__file__).parents[2] / "data" / "aggregation_runs.jsonl.gz"
_RUNS: Final = list(map(parse, gzip.decompress(_RECORDED.read_bytes()).splitlines()))
_PLAYED: Final = {run["case"]["spec"]["run_id"]: run["case"] for run in _RUNS if "rounds" in run["expected"]}


@dataclass
class Lived:
    """A run that a kernel played: its rows, its events, its tasks, and the outputs that were kept."""

    played: Played
    events: list[RunEvent] = field(default_factory=list)
    tasks: dict[str, TaskState] = field(default_factory=dict)
    outputs: dict[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Json) -> Lived:
        """The run of a specification, kicked off."""
        lived = cls(Played.of(spec))
        lived.tell("RUN_CREATED", {}, subject=output_digest(lived.played.run.spec))
        lived.tell("RUN_KICKOFF", {})
        return lived

    def tell(self, event_type: str, payload: Json, *, subject: str | None = None) -> None:
        """Append an event."""
        run_id = self.played.run.run_id
        self.events.append(RunEvent(run_id, event_type, payload, NOW_MS, len(self.events) + 1, subject))

    def claim(self, agent_id: str) -> None:
        """Begin the next attempt at a step."""
        step = self.played.steps[agent_id]
        attempt = step.attempt + 1
        task_id = f"run-{step.run_id}-{agent_id}-{attempt}"
        self.played.steps[agent_id] = replace(
            step, attempt=attempt, task_id=task_id, error=None, status=StepStatus.LEASED
        )
        self.tell("STEP_CLAIMED", {"step_id": step.step_id, "attempt": attempt, "task_id": task_id})

    def end(self, agent_id: str, output: Json = None, *evidence: str, error: str | None = None) -> None:
        """Claim a step and end it, with an output or an error."""
        self.claim(agent_id)
        step = self.played.steps[agent_id]
        result: dict[str, Json] = {} if error else step_result(step, self._final(step.task_id or "", output, evidence))
        status = StepStatus.FAILED if error else StepStatus.SUCCEEDED
        self.played.steps[agent_id] = replace(step, status=status, error=error, result=result)
        facts = {"step_id": step.step_id, "attempt": step.attempt, "task_id": step.task_id}
        subject = None if error else output_digest(result)
        self.tell("STEP_COMPLETED", {**facts, "status": status.value, "error": error}, subject=subject)

    def finish(self) -> None:
        """End the round."""
        for event in self.played.finish().run_events:
            self.tell(event.event_type, event.payload)

    @property
    def kept(self) -> StoredRun:
        """What the store keeps."""
        run = self.played.run
        finished_at = NOW_MS if run.finished_at else None
        return StoredRun(replace(run, finished_at=finished_at), tuple(self.played.steps.values()), self.events)

    def compare(self, kept: StoredRun | None = None) -> None:
        """Tell it again."""
        compare(kept or self.kept, self.tasks, self.outputs.__getitem__)

    def _final(self, task_id: str, output: Json, evidence: tuple[str, ...]) -> dict[str, Json]:
        digest = output_digest(output)
        self.outputs[digest] = output
        candidate: dict[str, Json] = {
            "candidate_id": f"c-{task_id}",
            "output_ref": {"digest": digest},
            "evidence_refs": [{"digest": item} for item in evidence],
        }
        self.tasks[task_id] = TaskState(
            task_id=task_id, candidates={candidate["candidate_id"]: candidate}, finalized=candidate["candidate_id"]
        )
        return {**candidate, "output": output, "provider_family": "acme", "model_id": "m-1"}


def make_lived(**spec: Json) -> Lived:
    """A run of three agents that agreed at once."""
    lived = Lived.of(make_spec(**spec))
    for agent in "abc":
        lived.end(agent, {"decision": "go", "answer": "yes"}, f"sha256:{agent}")
    lived.finish()
    return lived


@pytest.mark.parametrize("run_id", _PLAYED)
def test_every_recorded_run_is_told_again_round_by_round(run_id: str) -> None:
    """Ties, nulls, and each re-explore round with what it left for the next."""
    case = _PLAYED[run_id]
    lived = Lived.of(case["spec"])
    for ended in case["rounds"]:
        if lived.played.run.finished_at is not None:
            break
        for step in ended:
            error = None if step["status"] == "SUCCEEDED" else step.get("error") or "failed"
            lived.end(step["agent_id"], conclusion_of(step.get("result")), *_evidence(step), error=error)
        lived.finish()

    lived.compare()


def _evidence(step: dict[str, Any]) -> list[str]:
    result = step.get("result")
    digests = result.get("evidence_digests", []) if isinstance(result, dict) else []
    return [digest for digest in digests if isinstance(digest, str)]


def _run(**changes: Any) -> Callable[[StoredRun], StoredRun]:
    return lambda kept: replace(kept, run=replace(kept.run, **changes))


def _step(**changes: Any) -> Callable[[StoredRun], StoredRun]:
    return lambda kept: replace(kept, steps=(replace(kept.steps[0], **changes), *kept.steps[1:]))


def _forged(kept: StoredRun) -> StoredRun:
    aggregation = {**kept.run.result["aggregation"], "final_decision": "FORGED"}
    return _run(result={**kept.run.result, "aggregation": aggregation})(kept)


def _said(kept: StoredRun, **changes: Any) -> StoredRun:
    return _step(result={**kept.steps[0].result, **changes})(kept)


#: What somebody wrote into the tables, and how the report begins.
FORGERIES: Final[dict[str, tuple[Callable[[StoredRun], StoredRun], str]]] = {
    "a decision": (_forged, r'^run run-1 .*result.aggregation.final_decision is "FORGED", there it is "GO"'),
    "a status": (_run(status=RunStatus.FAILED), '^run run-1 .*status is "FAILED", there it is "FINALIZED"'),
    "a run that has not ended": (_run(status=RunStatus.RUNNING), "^run run-1 .*status is"),
    "a time": (_run(finished_at=1), "^run run-1 .*finished_at is 1"),
    "shared inputs": (_run(shared_inputs={"x": 1}), "^run run-1 .*shared_inputs.x is 1, there it is null"),
    "a task type": (_run(task_type="other"), "^run run-1 .*task_type"),
    "a specification": (_run(spec={}), "^run run-1 .*its specification is not the one that was submitted"),
    "a weight": (_step(weight=9.0), "^step run-1:a .*weight is 9.0, there it is 1.0"),
    "a priority": (_step(priority=3), "^step run-1:a .*priority is 3, there it is 0"),
    "an executor": (_step(executor="other"), "^step run-1:a .*executor"),
    "the status of a step": (_step(status=StepStatus.FAILED), "^step run-1:a .*status"),
    "an attempt": (_step(attempt=7), "^step run-1:a .*attempt is 7, there it is 1"),
    "an error": (_step(error="no"), "^step run-1:a .*error"),
    "a result": (_step(result={}), "^step run-1:a .*result"),
    "an output": (
        lambda kept: _said(kept, candidate_output={"decision": "stop", "answer": "yes"}),
        r'^step run-1:a .*result.candidate_output.decision is "stop", there it is "go"',
    ),
    "a vote": (lambda kept: _said(kept, final_decision="stop"), "^step run-1:a .*result.final_decision"),
    "a model": (lambda kept: _said(kept, model_id="m-2"), "^step run-1:a .*result is not the one that was signed"),
    "a step that is gone": (lambda kept: replace(kept, steps=kept.steps[1:]), "^run run-1 .*steps .*run-1:a$"),
    "no events": (lambda kept: replace(kept, events=()), "^run run-1 .*it was never created there"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_was_written_into_the_tables_is_named(name: str) -> None:
    """The run or the step, the field, and both values."""
    forge, sentence = FORGERIES[name]
    lived = make_lived()
    lived.compare()

    with pytest.raises(TablesDifferError, match=sentence):
        lived.compare(forge(lived.kept))


def test_an_event_that_tells_another_outcome_than_the_tasks_is_named() -> None:
    """Even one that the node's key signed."""
    lived = make_lived()
    last = lived.events[-1]
    aggregation = {**last.payload["aggregation"], "final_decision": "STOP"}
    lived.events[-1] = replace(last, payload={**last.payload, "aggregation": aggregation})

    with pytest.raises(TablesDifferError, match=r'RUN_FINALIZED of run run-1 .*final_decision is "STOP", there it is'):
        lived.compare()


def test_a_round_that_was_never_worth_it_is_named() -> None:
    """Everybody agreed, and yet an event says that they did not."""
    lived = make_lived()
    lived.events[-1] = replace(lived.events[-1], event_type="RUN_NULL_REEXPLORE_TRIGGERED")

    with pytest.raises(TablesDifferError, match=r"RUN_NULL_REEXPLORE_TRIGGERED of run run-1 .*event_type"):
        lived.compare()


def test_an_earlier_round_needs_the_outputs_that_it_counted() -> None:
    """A step keeps only its last result; what it said before is kept under its digest."""
    lived = Lived.of(make_spec(aggregation={"quorum": 2}))
    for agent, answer in zip("abc", ("x", "y", "z"), strict=True):
        lived.end(agent, {"answer": answer})
    lived.finish()
    for agent in "abc":
        lived.end(agent, {"answer": "x"}, "sha256:new")
    lived.finish()
    assert lived.played.run.status is RunStatus.FINALIZED
    lived.compare()

    del lived.outputs[output_digest({"answer": "y"})]

    with pytest.raises(TablesDifferError, match=r"step run-1:b .*its task run-run-1-b-1 is no longer kept"):
        lived.compare()


def test_a_cancelled_run_is_told_again() -> None:
    """No event tells how its steps ended; that they were cut short follows from the request."""
    lived = Lived.of(make_spec())
    lived.end("a", {"decision": "go", "answer": "yes"})
    lived.claim("b")
    lived.tell("RUN_CANCEL_REQUESTED", {})
    lived.played.run = replace(lived.played.run, status=RunStatus.CANCELLING)
    lived.played.steps["b"] = replace(lived.played.steps["b"], status=StepStatus.CANCELLED, error="was cut")
    lived.played.steps["c"] = replace(lived.played.steps["c"], status=StepStatus.CANCELLED)
    lived.finish()
    lived.tell("RUN_CANCEL_REQUESTED", {})

    assert lived.played.run.status is RunStatus.CANCELLED
    lived.compare()


def test_a_run_that_was_tried_again_is_told_again() -> None:
    """Its failed step ran once more; the others kept what they had said."""
    lived = Lived.of(make_spec())
    lived.end("a", {"decision": "go", "answer": "yes"})
    lived.end("b", {"decision": "go", "answer": "yes"})
    lived.end("c", error="no")
    lived.finish()
    lived.tell("RUN_RETRY_REQUESTED", {"steps_requeued": 1})
    lived.played.run = replace(lived.played.run, status=RunStatus.QUEUED, result={}, finished_at=None)
    lived.compare(replace(lived.kept, steps=tuple(_as_requeued(step) for step in lived.kept.steps)))

    lived.end("c", {"decision": "stop", "answer": "no"})
    lived.finish()

    lived.compare()


def _as_requeued(step: Any) -> Any:
    return replace(step, status=StepStatus.QUEUED) if step.status is StepStatus.FAILED else step


def test_a_run_under_way_has_not_ended_in_the_tables_either() -> None:
    """Neither it nor a step of it."""
    lived = Lived.of(make_spec())
    lived.end("a", {"decision": "go", "answer": "yes"})
    lived.claim("b")
    lived.compare()

    with pytest.raises(TablesDifferError, match=r"^run run-1 .*it has not ended there, and its row says FINALIZED"):
        lived.compare(_run(status=RunStatus.FINALIZED)(lived.kept))
    steps = (lived.kept.steps[0], replace(lived.kept.steps[1], status=StepStatus.SUCCEEDED), lived.kept.steps[2])
    with pytest.raises(TablesDifferError, match=r"^step run-1:b .*it has not ended there"):
        lived.compare(replace(lived.kept, steps=steps))


def test_an_event_without_the_shape_of_its_kind_is_named() -> None:
    """An older release may have been written by anybody before its events were signed."""
    lived = make_lived()
    lived.events[3] = replace(lived.events[3], payload={})

    with pytest.raises(TablesDifferError, match=r"^run run-1 .*its event 4 does not have the shape of its kind"):
        lived.compare()
