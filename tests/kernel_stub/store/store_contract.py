"""What every store must do, whatever it keeps its rows in; a store's own test subclasses it and gives a connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import anyio
import pytest
from msgspec.structs import replace

from kernel_stub.errors import LeaseLostError, RunExistsError, StepNotFoundError, TaskIdTakenError
from kernel_stub.log.walk import Walk
from kernel_stub.rules import run as rules
from kernel_stub.rules.records import Change, EventDraft, ExecutorEntry, Phase, RunStatus, StepStatus
from kernel_stub.rules.spec import new_run, parse_spec
from kernel_stub.rules.states import RunState, StepState
from kernel_stub.store.claims import ClaimOrder
from kernel_stub.store.port import DeadLetter, Store

#: No lock has such a name: whoever holds steps under it is dead.
DEAD: Final = "a worker that died"

_workers: Final[WeakKeyDictionary[Store, str]] = WeakKeyDictionary()

RESULT: Final = {"candidate_output": {"answer": "yes", "decision": "go"}}


def spec(run_id: str = "r", agents: int = 3, **extra: Any) -> dict[str, Any]:
    """A run specification whose agents only vote; no second round."""
    return {
        "run_id": run_id,
        "agents": [{"agent_id": f"a{n}", "executor": "x", "prompt": "p"} for n in range(agents)],
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
        **extra,
    }


async def submitted(store: Store, body: dict[str, Any], *, now_ms: int = 1) -> None:
    """Create the run and kick it off."""

    def create(state: RunState) -> Change:
        if state.run is not None:
            raise RunExistsError(body["run_id"])
        run, steps = new_run(parse_spec(body), now_ms)
        return Change(run=run, steps=steps)

    await store.runs.change(body["run_id"], create)
    await store.runs.change(body["run_id"], lambda state: rules.kickoff(state, now_ms))


@asynccontextmanager
async def with_a_worker(store: Store) -> AsyncIterator[Store]:
    """A worker lives as long as the block; `claimed` claims in its name."""
    async with store.queue.holder() as holder:
        _workers[store] = holder
        yield store


async def claimed(
    store: Store, *, limit: int = 100, now_ms: int = 10, owner: str = "w", holder: str | None = None, **order: Any
) -> list[StepState]:
    """Claiming as a worker that lives, or in the name of `holder`."""
    return await store.queue.claim(
        ClaimOrder(owner, holder or _workers[store], limit, now_ms, max_recoveries=2, **order),
    )


async def succeeded(store: Store, held: StepState, *, now_ms: int = 20) -> Change:
    """Settle a step with success, under the lease it was claimed with."""
    lease_id = held.step.lease_id or ""
    return await store.queue.settle(held.step.step_id, lambda state: rules.succeed(state, lease_id, RESULT, (), now_ms))


def _of_types(events: list[Any], event_type: str) -> int:
    return sum(event.event_type == event_type for event in events)


class StoreContract:
    """Subclass it, and give `connect`: each call opens the same store anew."""

    def connect(self, place: Any) -> AbstractAsyncContextManager[Store]:
        """Open the store kept at `place`."""
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self, place: Any) -> AsyncIterator[Store]:
        """The open store, with a worker that lives."""
        async with self.connect(place) as store, with_a_worker(store):
            yield store

    async def test_what_was_saved_is_loaded(self, place: Any) -> None:
        """Runs, steps and executors come back as the records they were, in another process too."""
        entry = ExecutorEntry("x", "http://x", remote=True, target_node_id="n", scope_hint="s")
        async with self.opened(place) as store:
            await submitted(store, spec(shared_inputs={"a": [1, 2.5, None, "ü"]}))
            await store.executors.put(entry)
            run, steps = await store.runs.find("r"), await store.runs.steps("r")

        async with self.opened(place) as store:
            assert (await store.runs.find("r"), await store.runs.steps("r")) == (run, steps)
            assert await store.executors.all() == [entry]
            assert await store.executors.find("x") == entry
            assert run is not None
            assert run.shared_inputs == {"a": [1, 2.5, None, "ü"]}
            assert [run.run_id for run in await store.runs.newest(limit=5)] == ["r"]

    async def test_what_is_not_there_is_told(self, place: Any) -> None:
        """Reads say nothing; changes of steps raise."""
        async with self.opened(place) as store:
            assert await store.runs.find("nope") is None
            assert await store.runs.steps("nope") == ()
            assert await store.runs.events("nope", limit=5) == []
            assert await store.executors.find("nope") is None
            assert sum((await store.runs.counts("nope")).values()) == 0
            with pytest.raises(StepNotFoundError, match="step not found: nope"):
                await store.queue.settle("nope", lambda state: Change())

    async def test_what_think_raises_passes_and_nothing_is_written(self, place: Any) -> None:
        """Neither by it nor by the changes beside it in the same commit."""
        async with self.opened(place) as store:
            await submitted(store, spec())
            with pytest.raises(RunExistsError):
                await submitted(store, spec())

            def broken(_: RunState) -> Change:
                raise ValueError("no")

            async with anyio.create_task_group() as group:
                for n in range(20):
                    group.start_soon(submitted, store, spec(f"r{n}", agents=1))
                for _ in range(20):
                    with pytest.raises(ValueError, match=r"^no$"):
                        await store.runs.change("r", broken)

            assert len(await store.runs.newest(limit=100)) == 21
            assert (await store.runs.counts("r"))["queued"] == 3

    async def test_a_change_that_fails_while_it_is_saved_leaves_nothing(self, place: Any) -> None:
        """An event larger than the protocol allows is found late, after rows were written."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=1))
            [held] = await claimed(store)
            huge = EventDraft("TASK_CREATED", "t", {"task_id": "t", "inputs": "x" * 200_000}, 1)

            def think(state: StepState) -> Change:
                return Change(steps=(replace(state.step, error="written"),), task_events=(huge,))

            with pytest.raises(Exception, match="at most 131072"):
                await store.queue.settle(held.step.step_id, think)

            assert (await store.runs.steps("r"))[0].error is None
            assert (await store.log.head()).events == 0

    async def test_claims_come_by_priority_then_by_due_time(self, place: Any) -> None:
        """A step that is not due yet is not taken, however important."""
        body = spec(agents=4)
        for agent, priority in zip(body["agents"], (0, 5, 0, 9), strict=True):
            agent["priority"] = priority
        async with self.opened(place) as store:
            await submitted(store, body)
            await store.queue.settle(
                "r:a3",
                lambda state: Change(
                    steps=(replace(state.step, status=StepStatus.RETRY_WAIT, next_run_at=500),),
                ),
            )

            first = [state.step.agent_id for state in await claimed(store, limit=2)]
            second = [state.step.agent_id for state in await claimed(store)]
            late = [state.step.agent_id for state in await claimed(store, now_ms=500)]

        assert (first, second, late) == (["a1", "a0"], ["a2"], ["a3"])

    async def test_a_step_is_claimed_once_by_however_many(self, place: Any) -> None:
        """Twenty workers over two openings of the store take thirty steps, each once."""
        taken: list[str] = []

        async def take(store: Store, owner: str) -> None:
            while found := await claimed(store, limit=3, owner=owner):
                taken.extend(state.step.step_id for state in found)

        async with self.opened(place) as one, self.opened(place) as two:
            await submitted(one, spec(agents=30))
            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    for n in range(20):
                        group.start_soon(take, one if n % 2 else two, f"w{n}")

        assert len(taken) == len(set(taken)) == 30

    async def test_a_claim_starts_the_run_and_counts_the_attempt(self, place: Any) -> None:
        """The claimed state is what was committed, ids included."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=1))
            [held] = await claimed(store)
            run, [step] = await store.runs.find("r"), await store.runs.steps("r")

        assert run is not None
        assert (run.status, step.status, step.attempt) == (RunStatus.RUNNING, StepStatus.LEASED, 1)
        assert held.step == step
        assert held.attempt is not None
        assert (held.attempt.task_id, held.attempt.phase) == ("run-r-a0-1", Phase.PROBING)
        assert held.attempt.execution_id.startswith("exec-p-")
        assert held.attempt.verify_execution_id.startswith("exec-v-")

    @pytest.mark.parametrize("moved_ms", [0, 10**12, -(10**12)], ids=["", "clock set forward", "clock set back"])
    async def test_what_a_dead_worker_held_is_resumed_with_the_same_attempt(self, place: Any, moved_ms: int) -> None:
        """Same number, same ids, another lease, whatever the clock says; the first holder writes nothing any more."""
        async with self.opened(place) as store, self.connect(place) as elsewhere:
            await submitted(store, spec(agents=1))
            async with elsewhere.queue.holder() as living:
                [first] = await claimed(elsewhere, owner="one", holder=living)
                assert await claimed(store, now_ms=10 + moved_ms, owner="two") == []

            [second] = await claimed(store, now_ms=10 + moved_ms, owner="two")
            with pytest.raises(LeaseLostError):
                await succeeded(store, first)
            await succeeded(store, second)
            events = await store.runs.events("r", limit=50)

        assert second.attempt == first.attempt
        assert (second.step.recoveries, second.step.lease_owner) == (1, "two")
        assert second.step.lease_id != first.step.lease_id
        assert _of_types(events, "STEP_LEASE_EXPIRED") == 1
        assert _of_types(events, "RUN_FINALIZED") == 1

    async def test_two_workers_of_one_process_are_two_holders(self, place: Any) -> None:
        """What one of them left is resumed while the other lives."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=2))
            async with store.queue.holder() as other:
                [left] = await claimed(store, limit=1, holder=other)
            [kept] = await claimed(store, limit=1, owner="three", holder=DEAD)

            assert kept.step.step_id == left.step.step_id

    async def test_a_step_that_loses_too_many_workers_is_a_dead_letter(self, place: Any) -> None:
        """It ends its run, can be read with its reason, and can be queued again."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=1))
            for n in range(3):
                assert len(await claimed(store, holder=f"{DEAD} {n}")) == 1
            assert await claimed(store) == []
            letters = await store.runs.dead_letters(limit=5)
            run = await store.runs.find("r")

            await store.runs.change("r", lambda state: rules.retry(state, 10))
            [again] = await claimed(store)

            assert run is not None
            assert letters == [DeadLetter("r", "r:a0", "x", 1, "gave up after 2 lost workers")]
            assert run.status is RunStatus.FAILED
            assert (again.step.attempt, again.step.recoveries) == (2, 0)
            assert await store.runs.dead_letters(limit=5) == []

    async def test_a_worker_is_told_what_it_has_to_let_go(self, place: Any) -> None:
        """What is held under another lease, and what belongs to a run that is being cancelled."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=2))
            mine, other = await claimed(store)
            leases = {mine.step.step_id: mine.step.lease_id or "", other.step.step_id: "another"}

            assert await store.queue.lost(leases) == {other.step.step_id}
            await store.runs.change("r", lambda state: rules.cancel(state, 30))
            assert await store.queue.lost({mine.step.step_id: mine.step.lease_id or ""}) == {mine.step.step_id}

    async def test_an_executor_that_is_full_or_silent_holds_up_no_other(self, place: Any) -> None:
        """However many steps it has, and however important they are."""
        body = spec(agents=8)
        for n, agent in enumerate(body["agents"]):
            agent.update(executor="xyz"[n % 3], priority=9 - n)
        async with self.opened(place) as store:
            await submitted(store, body)

            first = await claimed(store, per_executor=2, in_flight={"x": 1}, answering=frozenset("xy"))
            second = await claimed(store, per_executor=2, in_flight={"x": 2, "y": 2}, answering=frozenset("xy"))
            rest = await claimed(store, per_executor=3, limit=3)

        assert [state.step.agent_id for state in first] == ["a0", "a1", "a4"]
        assert second == []
        assert [state.step.agent_id for state in rest] == ["a2", "a3", "a5"]

    async def test_what_a_dead_worker_left_waits_for_room_at_its_executor(self, place: Any) -> None:
        """Its steps at a silent executor must not take every place of the next worker."""
        body = spec(agents=3)
        body["agents"][2]["executor"] = "y"
        async with self.opened(place) as store:
            await submitted(store, body)
            await claimed(store, holder=DEAD)

            taken = await claimed(store, per_executor=1, limit=3)

        assert [state.step.agent_id for state in taken] == ["a0", "a2"]

    async def test_runs_whose_tasks_would_share_an_id_are_refused(self, place: Any) -> None:
        """In the transaction that creates the run, so that two submits at once cannot both pass."""
        first, second = spec("a", agents=0), spec("a-b", agents=0)
        first["agents"] = [{"agent_id": "b-c", "executor": "x", "prompt": "p"}]
        second["agents"] = [{"agent_id": agent, "executor": "x", "prompt": "p"} for agent in ("0", "c")]
        async with self.opened(place) as store:
            await submitted(store, first)
            with pytest.raises(TaskIdTakenError, match="of run a-b would have the id of a task of step a:b-c"):
                await submitted(store, second)

            assert await store.runs.find("a-b") is None
            assert await store.runs.steps("a-b") == ()

    async def test_a_released_step_is_resumed_at_once(self, place: Any) -> None:
        """A worker that stops makes nobody wait until its process has ended."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=1))
            [held] = await claimed(store)
            await store.queue.release({held.step.step_id: held.step.lease_id or ""})

            assert [state.attempt for state in await claimed(store, now_ms=11)] == [held.attempt]

    async def test_two_workers_that_settle_the_last_two_steps_at_once_finalize_once(self, place: Any) -> None:
        """Neither leaves the run unfinished, nor do both finalize it; fifty runs, two openings of the store."""
        async with self.opened(place) as one, self.opened(place) as two:
            for n in range(50):
                await submitted(one, spec(f"r{n}", agents=2))
            held = await claimed(one)
            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    for n, state in enumerate(held):
                        group.start_soon(succeeded, one if n % 2 else two, state)

            for n in range(50):
                run = await one.runs.find(f"r{n}")
                assert run is not None
                assert run.status is RunStatus.FINALIZED
                events = await one.runs.events(f"r{n}", limit=50)
                assert _of_types(events, "RUN_FINALIZED") == 1
                assert _of_types(events, "STEP_COMPLETED") == 2

    async def test_a_step_claimed_while_its_run_is_cancelled_ends_unrun(self, place: Any) -> None:
        """Here: resumed after its worker was lost. It is the last one, so the run ends with it."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=2))
            held = await claimed(store, limit=1)
            await store.runs.change("r", lambda state: rules.cancel(state, 20))
            cancelling = await store.runs.find("r")

            await store.queue.release({held[0].step.step_id: held[0].step.lease_id or ""})
            assert await claimed(store) == []
            cancelled = await store.runs.find("r")

            assert cancelling is not None
            assert cancelled is not None
            assert (cancelling.status, cancelled.status) == (RunStatus.CANCELLING, RunStatus.CANCELLED)
            assert (await store.runs.counts("r"))["cancelled"] == 2
            with pytest.raises(LeaseLostError):
                await succeeded(store, held[0])

    async def test_counts_follow_every_move_of_a_step(self, place: Any) -> None:
        """They are kept, not counted: they must agree with the rows at any time."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=5, retry={"max_attempts": 1}))
            for held in await claimed(store, limit=2):
                await succeeded(store, held)
            [failing] = await claimed(store, limit=1)
            lease_id = failing.step.lease_id or ""
            await store.queue.settle(
                failing.step.step_id, lambda state: rules.fail(state, lease_id, "no", final=True, now_ms=20)
            )
            counts, steps = await store.runs.counts("r"), await store.runs.steps("r")

        assert {name: n for name, n in counts.items() if n} == {"succeeded": 2, "failed": 1, "queued": 2}
        assert list(counts) == [status.value.lower() for status in StepStatus]
        assert sum(counts.values()) == len(steps)

    async def test_run_events_page_both_ways(self, place: Any) -> None:
        """Newest first to look, oldest first to follow."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=3))
            await claimed(store)
            newest = await store.runs.events("r", limit=2)
            oldest = await store.runs.events("r", limit=2, newest_first=False)
            rest = await store.runs.events("r", limit=9, after_id=oldest[-1].event_id or 0, newest_first=False)

        ids = [event.event_id or 0 for event in (*oldest, *rest)]
        assert ids == sorted(ids)
        assert [event.event_id for event in newest] == [ids[-1], ids[-2]]

    async def test_signed_events_are_numbered_from_one_without_gaps(self, place: Any) -> None:
        """What was rolled back leaves no hole, and the log verifies."""
        async with self.opened(place) as store:
            await submitted(store, spec(agents=1))
            [held] = await claimed(store)

            async def append(n: int) -> None:
                draft = EventDraft("TASK_ANNOUNCED", f"t{n}", {"task_id": f"t{n}"}, n)

                def think(_: StepState) -> Change:
                    if n % 3 == 0:
                        raise LeaseLostError("s", "l")
                    return Change(task_events=(draft,))

                try:
                    await store.queue.settle(held.step.step_id, think)
                except LeaseLostError:
                    return

            async with anyio.create_task_group() as group:
                for n in range(30):
                    group.start_soon(append, n)

            head, stray = await store.log.standing()
            page = await store.log.entries(0, 100)
            assert [entry.number for entry in page if entry.source == "event"] == list(range(1, 21))
            assert (head.events, head.entries, stray) == (20, len(page), None)
            assert await store.log.entries(18, 100) == page[18:]
            walk = Walk(frozenset({store.identity.node_id}), head=head)
            await walk.along(store.log.entries)
            walk.finish()

    async def test_whoever_waits_for_work_is_woken_by_a_change_in_its_process(self, place: Any) -> None:
        """Polling is for other processes."""
        async with self.opened(place) as store:
            woken = store.queue.changed
            await submitted(store, spec())

            with anyio.fail_after(5):
                await woken.wait()
