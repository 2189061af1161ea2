"""Runs played without a store: rows made from a specification, steps ended by hand, rounds finished one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.finalize import finish
from kernel_stub.rules.records import Change, Run, RunEvent, RunStatus, Step, StepStatus
from kernel_stub.rules.spec import new_run, parse_spec

NOW_MS = 1_800_000_000_000


def make_spec(**overrides: Json) -> dict[str, Json]:
    """A specification that is valid by default: agents a, b and c."""
    agents = [{"agent_id": name, "executor": "rt", "prompt": f"prompt of {name}"} for name in "abc"]
    return {"run_id": "run-1", "agents": agents, **overrides}


@dataclass
class Played:
    """A running run whose steps a test ends as it likes."""

    run: Run
    steps: dict[str, Step]
    past: list[RunEvent] = field(default_factory=list)

    @classmethod
    def of(cls, spec: Json) -> Played:
        """The run of a specification, running."""
        run, steps = new_run(parse_spec(spec), NOW_MS)
        return cls(replace(run, status=RunStatus.RUNNING), {step.agent_id: step for step in steps})

    def end(self, agent_id: str, result: Json = None, *, status: str = "SUCCEEDED", error: str | None = None) -> None:
        """End one step."""
        row = self.steps[agent_id]
        ended = {} if result is None else result
        self.steps[agent_id] = replace(row, status=StepStatus(status), result=ended, error=error)

    def say(self, agent_id: str, *evidence: str, **conclusion: Json) -> None:
        """End one step with a conclusion and the digests it cites."""
        self.end(agent_id, {"candidate_output": conclusion, "evidence_digests": list(evidence)})

    def finish(self) -> Change:
        """Finish the round and keep what it leaves."""
        change = finish(self.run, list(self.steps.values()), self.past, NOW_MS + 1)
        assert change.run is not None
        self.run = change.run
        self.steps |= {step.agent_id: step for step in change.steps}
        self.past += [event for event in change.run_events if "REEXPLORE" in event.event_type]
        return change
