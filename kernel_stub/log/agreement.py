"""Whether the queue's tables agree with the log: a step that succeeded holds what its task made final."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from executor_sdk.protocol.digests import output_digest
from kernel_stub.errors import TablesDifferError
from kernel_stub.rules.records import Step
from kernel_stub.rules.taskstate import TaskState


def compare(steps: Iterable[Step], tasks: Mapping[str, TaskState]) -> None:
    """Hold each succeeded step against its task, as the log made it.

    Raises:
        TablesDifferError: the first step that says something else.
    """
    for step in steps:
        if (reason := _difference(step, tasks)) is not None:
            raise TablesDifferError(step.step_id, reason)


def _difference(step: Step, tasks: Mapping[str, TaskState]) -> str | None:
    task = tasks.get(step.task_id or "")
    if task is None or task.finalized is None:
        return f"its task {step.task_id} has no final candidate there"
    if task.finalized != step.result["finalized_candidate_id"]:
        return f"another candidate of its task {step.task_id} is final there"
    if task.candidates[task.finalized]["output_ref"]["digest"] != output_digest(step.result["candidate_output"]):
        return "its result is not the output of its final candidate"
    return None
