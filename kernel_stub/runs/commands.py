"""What a person does to runs: submit, kickoff, watch, read the result and the events, cancel, retry, ask why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from anyio import CapacityLimiter, to_thread

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import InvalidSpecError, RunNotFoundError
from kernel_stub.rules import run as rules
from kernel_stub.rules.ids import id_breaches, too_many_agents
from kernel_stub.rules.records import Change, Run, RunEvent, Step
from kernel_stub.rules.spec import RunSpec, SpecError, new_run, parse_spec
from kernel_stub.rules.states import RunState
from kernel_stub.rules.why import explain
from kernel_stub.runs.rehearsal import rehearse
from kernel_stub.store.port import Runs

#: How many run events one answer holds at most.
MAX_EVENTS: Final = 1_000


class RunCommands:
    """The commands of one kernel. Each answers plain JSON in the documents' key order."""

    def __init__(self, runs: Runs, clock: Callable[[], int]) -> None:
        self._runs = runs
        self._clock = clock
        self._making = CapacityLimiter(1)

    async def submit(self, body: Json, *, kickoff: bool = False) -> dict[str, Json]:
        """Create the run that `body` specifies, and kick it off in the same transaction if asked to.

        `body` is a run specification, or an object that wraps one: `{"spec": …, "kickoff": true}`.

        Raises:
            InvalidSpecError: the specification breaks a rule, or no step of it could ever succeed.
            RunExistsError: its run id is taken.
            TaskIdTakenError: one of its task ids would be another run's.
        """
        wanted, at_once = _unwrapped(body)
        kicked_off = kickoff or at_once
        # In a thread, because a specification may have ten thousand agents; one at a time, because each takes memory.
        run, steps = await to_thread.run_sync(_made, wanted, self._clock(), limiter=self._making)
        await self._runs.change(run.run_id, lambda state: rules.create(state, run, steps, at_once=kicked_off))
        return {"run_id": run.run_id, "kicked_off": kicked_off}

    async def kickoff(self, run_id: str) -> None:
        """Make the run's steps due; no effect on a run that has ended."""
        await self._change(run_id, rules.kickoff)

    async def cancel(self, run_id: str) -> None:
        """Stop the run: what waits is cancelled, what runs may end."""
        await self._change(run_id, rules.cancel)

    async def retry(self, run_id: str) -> None:
        """Queue the run's failed steps again."""
        await self._change(run_id, rules.retry)

    async def watch(self, run_id: str) -> dict[str, Json]:
        """Where the run stands, and how many of its steps are in which state."""
        run = await self._run(run_id)
        return {
            "run_id": run.run_id,
            "status": run.status,
            "task_type": run.task_type,
            "created_at": run.created_at,
            "updated_at": run.updated_at,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "counts": await self._runs.counts(run_id),
        }

    async def result(self, run_id: str) -> dict[str, Json]:
        """What the run came to; the inner `result` is `{}` until it has ended."""
        run = await self._run(run_id)
        return {
            "run_id": run.run_id,
            "status": run.status,
            "finished_at": run.finished_at,
            "error": run.error,
            "result": run.result,
        }

    async def events(self, run_id: str, *, limit: int = 50) -> list[dict[str, Json]]:
        """The run's newest events first; none for an unknown run, as in the kernel."""
        return [shown(event) for event in await self._runs.events(run_id, limit=min(limit, MAX_EVENTS))]

    async def events_after(self, run_id: str, after_id: int) -> list[dict[str, Json]]:
        """The run's events since `after_id`, oldest first: to follow a run."""
        events = await self._runs.events(run_id, limit=MAX_EVENTS, after_id=after_id, newest_first=False)
        return [shown(event) for event in events]

    async def why(self, run_id: str) -> list[str]:
        """The run's outcome explained, a line each."""
        run = await self._run(run_id)
        return explain(run, await self._runs.steps(run_id), await self._all_events(run_id))

    async def dead_letters(self, *, limit: int = 50) -> list[dict[str, Json]]:
        """Steps that can never succeed as they stand, and one of each run that cannot be read, the newest first.

        A retry of their run queues them again.
        """
        return [asdict(letter) for letter in await self._runs.dead_letters(limit=min(limit, MAX_EVENTS))]

    async def _run(self, run_id: str) -> Run:
        run = await self._runs.find(run_id)
        if run is None:
            raise RunNotFoundError(run_id)
        return run

    async def _all_events(self, run_id: str) -> list[RunEvent]:
        events: list[RunEvent] = []
        after_id = 0
        while page := await self._runs.events(run_id, limit=MAX_EVENTS, after_id=after_id, newest_first=False):
            events += page
            after_id = page[-1].event_id or after_id
        return events

    async def _change(self, run_id: str, rule: Callable[[RunState, int], Change]) -> None:
        now_ms = self._clock()

        def think(state: RunState) -> Change:
            if state.run is None:
                raise RunNotFoundError(run_id)
            return rule(state, now_ms)

        await self._runs.change(run_id, think)


def shown(event: RunEvent) -> dict[str, Json]:
    """A run event by the documents' names."""
    return {
        "id": event.event_id,
        "run_id": event.run_id,
        "event_type": event.event_type,
        "payload": event.payload,
        "created_at": event.created_at,
    }


def _unwrapped(body: Json) -> tuple[Json, bool]:
    """The specification inside `body`, and whether it asks for a kickoff."""
    if not isinstance(body, dict):
        raise InvalidSpecError("a run specification is an object", [_field("$", "must be an object")])
    if "run_id" in body or "agents" in body:
        return body, False
    wrapped = body.get("spec") if body.get("spec") is not None else body.get("run_spec")
    if wrapped is None:
        raise InvalidSpecError("spec or run_spec is required", [_field("$.spec", "is required")])
    kickoff = body.get("kickoff")
    if not isinstance(kickoff, bool | None):
        raise InvalidSpecError("kickoff must be true or false", [_field("$.kickoff", "must be true or false")])
    return wrapped, bool(kickoff)


def _made(body: Json, now_ms: int) -> tuple[Run, tuple[Step, ...]]:
    """The run that `body` specifies, if a step of it could succeed."""
    run, steps = new_run(_spec(body), now_ms)
    if (hopeless := rehearse(run, steps, now_ms)) is not None:
        raise InvalidSpecError(hopeless.sentence, [_field(_rooted(hopeless.path), hopeless.sentence)])
    return run, steps


def _spec(body: Json) -> RunSpec:
    if isinstance(body, dict) and (complaint := too_many_agents(body)) is not None:
        raise InvalidSpecError(f"agents {complaint}", [_field("$.agents", complaint)])
    try:
        spec = parse_spec(body)
    except SpecError as error:
        raise InvalidSpecError(error.sentence, [_field(_rooted(path), said) for path, said in error.fields]) from None
    for path, complaint in id_breaches(spec):
        raise InvalidSpecError(f"{path} {complaint}", [_field(_rooted(path), complaint)])
    return spec


def _rooted(path: str) -> str:
    return path if path.startswith("$") else f"$.{path}"


def _field(path: str, message: str) -> dict[str, Json]:
    return {"path": path, "message": message}
