"""Replaying a log: every task folded from its checked events alone, each held against the rules of a task's life."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import BrokenLogError
from kernel_stub.log.identity import is_signed_by
from kernel_stub.log.verify import name_of
from kernel_stub.log.walk import Checked
from kernel_stub.rules.append import breach
from kernel_stub.rules.records import RunEvent
from kernel_stub.rules.task import finality_message
from kernel_stub.rules.taskstate import TaskState, evolve


@dataclass(slots=True)
class Replay:
    """A replay under way; feed it what a walk has checked, in order."""

    #: How many task events were taken, by kind.
    events: Counter[str] = field(default_factory=Counter)
    #: Every task seen, by id.
    tasks: dict[str, TaskState] = field(default_factory=dict)
    #: How many events of each run were taken.
    runs: Counter[str] = field(default_factory=Counter)

    def take(self, number: int, checked: Checked) -> None:
        """Go on with one more entry.

        Raises:
            BrokenLogError: the event cannot follow the ones before it.
        """
        if isinstance(checked, RunEvent):
            self.runs[checked.run_id] += 1
        else:
            self._take(number, checked)

    def finalized(self) -> int:
        """How many tasks have a final candidate."""
        return sum(task.finalized is not None for task in self.tasks.values())

    def _take(self, seq: int, event: dict[str, Json]) -> None:
        kind, task_id, author = event["event_kind"], event["task_id"], event["author_node_id"]
        self.events[kind] += 1
        if task_id is None:
            return
        payload = event["payload"]["payload"]
        state = self.tasks.get(task_id, TaskState())
        try:
            reason = breach(state, kind, payload, author=author, created_at=event["created_at"])
            if reason is None and kind == "DECISION_FINALIZED":
                reason = _finality_breach(event)
            evolved = evolve(state, kind, payload, author=author, created_at=event["created_at"])
        except (LookupError, TypeError, AttributeError):
            # Rightly signed by somebody whose payloads are not ours.
            reason = "its payload does not have the shape of its kind"
        if reason is not None:
            raise BrokenLogError(seq, name_of(event), reason)
        self.tasks[task_id] = evolved


def _finality_breach(event: dict[str, Json]) -> str | None:
    payload = event["payload"]["payload"]
    message = finality_message(payload["task_id"], payload["epoch"], payload["candidate_id"])
    for signature in payload["finality_proof"]["signatures"]:
        if not is_signed_by(signature["signer_node_id"], message, signature["signature_hex"]):
            return "a signature of its finality proof is not its signer's"
    return None
