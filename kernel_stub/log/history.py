"""A run told again from its signed events and those of its tasks, and held against what the tables keep of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.digests import output_digest
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import TablesDifferError
from kernel_stub.rules.aggregation.reexplore import EVENT_TYPES
from kernel_stub.rules.finalize import finish
from kernel_stub.rules.records import TERMINAL_RUN, TERMINAL_STEP, Run, RunEvent, RunStatus, Step, StepStatus
from kernel_stub.rules.result import step_result
from kernel_stub.rules.spec import SpecError, new_run, parse_spec
from kernel_stub.rules.taskstate import TaskState

#: The output with this digest; a KeyError where it is not kept.
OutputOf: TypeAlias = Callable[[str], Json]

#: Fields of a run that its end makes.
_RUN_ENDED: Final = ("status", "result", "error", "finished_at")

#: Fields of a step that its specification makes, and those that its end makes.
_MADE: Final = ("agent_id", "executor", "profile", "prompt", "weight", "priority")
_ENDED: Final = ("status", "attempt", "task_id", "error", "result")

_ROUND_ENDS: Final = frozenset({"RUN_FINALIZED", *EVENT_TYPES.values()})

#: Characters of a value that a sentence shows.
_SHOWN: Final = 80


class StoredRun(msgspec.Struct, frozen=True):
    """What the store keeps of one run: its row, its steps, and all its events, oldest first."""

    run: Run
    steps: tuple[Step, ...]
    events: Sequence[RunEvent]


def compare(stored_run: StoredRun, tasks: Mapping[str, TaskState], output_of: OutputOf) -> None:
    """Tell the run again, each of its rounds aggregated again, and hold its rows against that.

    Raises:
        TablesDifferError: the first thing that the tables, or an event of the run, say otherwise.
    """
    told = _Told(stored_run, tasks, output_of)
    for event in stored_run.events:
        try:
            told.take(event)
        except (LookupError, TypeError, ValueError, AttributeError):
            # Rightly signed when this log got its chain, by the one who wrote the row before.
            reason = f"its event {event.event_id} does not have the shape of its kind"
            raise TablesDifferError(f"run {stored_run.run.run_id}", reason) from None
    told.compare()


class _Told:
    """A run as far as its events have told it."""

    def __init__(self, stored_run: StoredRun, tasks: Mapping[str, TaskState], output_of: OutputOf) -> None:
        self._stored_run = stored_run
        self._tasks = tasks
        self._output_of = output_of
        self._what = f"run {stored_run.run.run_id}"
        self._run, steps = self._submitted()
        self._steps = {step.step_id: step for step in steps}
        self._stored = {step.step_id: step for step in stored_run.steps}
        self._past: list[RunEvent] = []

    def take(self, event: RunEvent) -> None:
        """Go on with the run's next event; kinds that move neither the run nor a step change nothing."""
        facts = event.payload
        match event.event_type:
            case "STEP_CLAIMED":
                self._move(facts, status=StepStatus.LEASED, task_id=facts["task_id"], error=None)
            case "STEP_RETRY_WAIT":
                self._move(facts, status=StepStatus.RETRY_WAIT, error=facts["error"])
            case "STEP_COMPLETED":
                self._complete(event)
            case "RUN_CANCEL_REQUESTED" if self._run.status not in TERMINAL_RUN:
                self._run = replace(self._run, status=RunStatus.CANCELLING)
            case "RUN_RETRY_REQUESTED" if facts["steps_requeued"]:
                self._requeue()
            case event_type if event_type in _ROUND_ENDS:
                self._end_round(event)

    def compare(self) -> None:
        """Hold the stored rows against what was told."""
        run, stored = self._run, self._stored_run.run
        self._same(self._what, {"task_type": stored.task_type}, {"task_type": run.task_type})
        self._same(self._what, {"shared_inputs": stored.shared_inputs}, {"shared_inputs": run.shared_inputs})
        if set(self._stored) != set(self._steps):
            names = ", ".join(sorted(set(self._stored) ^ set(self._steps)))
            raise TablesDifferError(self._what, f"its steps are not those of its specification: {names}")
        for step_id, step in self._steps.items():
            self._compare_step(self._stored[step_id], step)
        if run.status in TERMINAL_RUN:
            self._same(self._what, _fields(stored, _RUN_ENDED), _fields(run, _RUN_ENDED))
        elif stored.status in TERMINAL_RUN or stored.result:
            raise TablesDifferError(self._what, f"it has not ended there, and its row says {stored.status}")

    def _submitted(self) -> tuple[Run, tuple[Step, ...]]:
        """The run as it was created, from the specification whose digest its first event signed."""
        run = self._stored_run.run
        if not self._stored_run.events or self._stored_run.events[0].event_type != "RUN_CREATED":
            raise TablesDifferError(self._what, "it was never created there")
        created = self._stored_run.events[0]
        if created.subject is None or output_digest(run.spec) != created.subject:
            raise TablesDifferError(self._what, "its specification is not the one that was submitted")
        try:
            return new_run(parse_spec(run.spec), created.created_at)
        except SpecError as error:
            raise TablesDifferError(self._what, f"its specification cannot be read: {error.sentence}") from None

    def _move(self, facts: Mapping[str, Json], **changes: Json) -> None:
        step = self._step(facts["step_id"])
        self._steps[step.step_id] = replace(step, attempt=facts["attempt"], **changes)

    def _complete(self, event: RunEvent) -> None:
        facts = event.payload
        status = StepStatus(facts["status"])
        self._move(facts, status=status, task_id=facts["task_id"], error=facts["error"])
        if status is StepStatus.SUCCEEDED:
            step = self._steps[facts["step_id"]]
            self._steps[step.step_id] = replace(step, result=self._result(step, event.subject))

    def _result(self, step: Step, subject: str | None) -> dict[str, Json]:
        """What the step's task made final. Who proposed that no task event tells: the signed digest vouches for it."""
        what = f"step {step.step_id}"
        task = self._tasks.get(step.task_id or "")
        if task is None or task.finalized is None:
            raise TablesDifferError(what, f"its task {step.task_id} has no final candidate there")
        candidate = task.candidates[task.finalized]
        stored = self._stored.get(step.step_id)
        here = stored is not None and stored.task_id == step.task_id and isinstance(stored.result, dict)
        last: dict[str, Json] = stored.result if stored is not None and here else {}
        try:
            output = self._output(candidate["output_ref"]["digest"], last)
        except KeyError:
            reason = f"the output of its task {step.task_id} is no longer kept, or another one"
            raise TablesDifferError(what, reason) from None
        by = {name: last.get(name) for name in ("provider_family", "model_id")}
        result = step_result(step, {**candidate, **by, "output": output})
        if last and subject is not None and output_digest(result) != subject:
            raise TablesDifferError(what, "its result is not the one that was signed")
        return result

    def _output(self, digest: str, last: dict[str, Json]) -> Json:
        """The output with this digest: from the step itself where that still has it, or from where outputs are kept."""
        own = last.get("candidate_output")
        return own if output_digest(own) == digest else self._output_of(digest)

    def _requeue(self) -> None:
        again = {StepStatus.FAILED, StepStatus.RETRY_WAIT}
        for step in self._steps.values():
            if step.status in again:
                self._steps[step.step_id] = replace(step, status=StepStatus.QUEUED)
        self._run = replace(self._run, status=RunStatus.QUEUED, result={}, error=None, finished_at=None)

    def _end_round(self, event: RunEvent) -> None:
        """Aggregate the round once more; its event must say what comes of that."""
        if self._run.status is RunStatus.CANCELLING:
            self._steps = {step_id: self._cut(step) for step_id, step in self._steps.items()}
        change = finish(self._run, tuple(self._steps.values()), self._past, event.created_at)
        (recomputed,) = change.run_events
        what = f"{event.event_type} of {self._what}"
        self._same(what, {"event_type": event.event_type}, {"event_type": recomputed.event_type})
        self._same(what, event.payload, recomputed.payload)
        self._run = change.run or self._run
        self._steps |= {step.step_id: step for step in change.steps}
        if event.event_type in EVENT_TYPES.values():
            self._past.append(event)

    def _cut(self, step: Step) -> Step:
        """A step that a cancelled run ended with: no event tells its end, nor the error that it kept."""
        if step.status in TERMINAL_STEP:
            return step
        stored = self._stored.get(step.step_id)
        return replace(step, status=StepStatus.CANCELLED, error=None if stored is None else stored.error)

    def _compare_step(self, stored: Step, told: Step) -> None:
        what = f"step {told.step_id}"
        self._same(what, _fields(stored, _MADE), _fields(told, _MADE))
        if told.status in TERMINAL_STEP:
            self._same(what, _fields(stored, _ENDED), _fields(told, _ENDED))
        elif stored.status in {StepStatus.SUCCEEDED, StepStatus.FAILED} or stored.result:
            raise TablesDifferError(what, f"it has not ended there, and its row says {stored.status}")

    def _step(self, step_id: str) -> Step:
        step = self._steps.get(step_id)
        if step is None:
            raise TablesDifferError(f"step {step_id}", "its run has no such step")
        return step

    def _same(self, what: str, stored: Json, told: Json) -> None:
        """Compare as JSON: a tuple is a list, and 1 is not 1.0."""
        if sorted_bytes(stored) == sorted_bytes(told):
            return
        path, here, there = _difference(stored, told, ())
        raise TablesDifferError(what, f"{'.'.join(path)} is {_shown(here)}, there it is {_shown(there)}")


def _fields(row: Run | Step, names: Sequence[str]) -> dict[str, Json]:
    return {name: getattr(row, name) for name in names}


def _difference(stored: Json, told: Json, path: tuple[str, ...]) -> tuple[tuple[str, ...], Json, Json]:
    """The way to the first value that differs, and both values."""
    if isinstance(stored, dict) and isinstance(told, dict):
        for name in (*told, *(name for name in stored if name not in told)):
            if sorted_bytes(stored.get(name)) != sorted_bytes(told.get(name)) or (name in stored) != (name in told):
                return _difference(stored.get(name), told.get(name), (*path, name))
    elif isinstance(stored, list) and isinstance(told, list) and len(stored) == len(told):
        for n, (here, there) in enumerate(zip(stored, told, strict=True)):
            if sorted_bytes(here) != sorted_bytes(there):
                return _difference(here, there, (*path, str(n)))
    return path, stored, told


def _shown(value: Json) -> str:
    text = sorted_bytes(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
