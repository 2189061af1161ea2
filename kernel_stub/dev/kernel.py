"""The kernel of `executor dev`: embedded, with one executor, for as long as the command runs."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import orjson

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.asking.trial import Said, Tell, Trial
from executor_sdk.protocol.plain import Json
from kernel_stub.dev.story import FinalCandidate, Story
from kernel_stub.errors import KernelError
from kernel_stub.fleet.entries import valid_entry
from kernel_stub.kernel import Kernel, open_kernel
from kernel_stub.log.chain import TaskRow
from kernel_stub.log.walk import PAGE_EVENTS
from kernel_stub.rules.records import TERMINAL_RUN, ExecutorEntry, RunEvent
from kernel_stub.settings import KernelSettings
from kernel_stub.store.port import Store

#: The name under which the kernel knows the executor.
EXECUTOR: Final = "dev"

#: Attempts at a step, as kernels give by default; the wait between them is the shortest, because a person watches.
MAX_ATTEMPTS: Final = 2
BACKOFF_MS: Final = 200

#: Seconds after which a run is given up: a call may take 30 s, and is sent five times.
RUN_S: Final = 300.0

#: Seconds between two looks at a run.
_LOOK_EVERY_S: Final = 0.05

#: Events of one look.
_PAGE: Final = 1_000


@asynccontextmanager
async def open_trial_kernel(folder: Path, executor_url: str) -> AsyncIterator[LocalTrialKernel]:
    """A kernel that keeps all its state in `folder` and calls the executor at `executor_url`."""
    async with open_kernel(KernelSettings(state_dir=folder)) as kernel:
        await kernel.registry.add(valid_entry(ExecutorEntry(EXECUTOR, executor_url)))
        yield LocalTrialKernel(kernel)


class LocalTrialKernel:
    """Runs trials on an open kernel and tells their stories."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        # Ids that no other session has used: an executor with a ledger on disk would hand out what it did then.
        self._session = secrets.token_hex(4)
        self._runs = 0

    async def run(self, trial: Trial, tell: Tell) -> None:
        """Have the trial done, and tell what happened and why; cancelled, the run is cancelled too."""
        self._runs += 1
        run_id = f"dev-{self._session}-{self._runs}"
        if not isinstance(trial.inputs, dict):
            tell(Said("warning", "inputs that are no object reach a step as `shared_inputs`", "give an object"))
        before = (await self._kernel.store.log.head()).entries
        candidates = _Candidates(self._kernel.store, FolderArtifacts(self._kernel.settings.outputs_dir), before)
        try:
            await self._kernel.runs.submit(run_spec(trial, run_id), kickoff=True)
        except KernelError as error:
            tell(Said("bad", f"the kernel takes no such run: {error.sentence}", "give other inputs with --input"))
            return
        agents = "one agent does" if trial.agents == 1 else f"{trial.agents} agents do"
        tell(Said("fact", f"{agents} {trial.task_type} with {_inputs(trial.inputs)}"))
        has_ended = False
        try:
            with anyio.move_on_after(RUN_S):
                # A worker of its own: what the executor said of itself before the last save is not remembered.
                async with anyio.create_task_group() as group:
                    group.start_soon(self._kernel.worker().run)
                    await self._follow(run_id, trial, candidates, tell)
                    has_ended = True
                    group.cancel_scope.cancel()
            if not has_ended:
                tell(Said("bad", f"the run did not end within {RUN_S:g} s and is cancelled"))
        finally:
            if not has_ended:
                with anyio.CancelScope(shield=True):
                    await self._kernel.runs.cancel(run_id)

    async def _follow(self, run_id: str, trial: Trial, candidates: _Candidates, tell: Tell) -> None:
        story = Story(max_attempts=MAX_ATTEMPTS, quorum=quorum_of(trial.agents))
        seen = 0
        while True:
            run = await self._kernel.store.runs.find(run_id)
            for event in await self._events(run_id, seen):
                seen = event.event_id or seen
                await candidates.read_on()
                for said in story.take(event, candidates.of):
                    tell(said)
            # The state first, the events second: the last events are there once the state is terminal.
            if run is not None and run.status in TERMINAL_RUN:
                return
            await anyio.sleep(_LOOK_EVERY_S)

    async def _events(self, run_id: str, after_id: int) -> list[RunEvent]:
        return await self._kernel.store.runs.events(run_id, limit=_PAGE, after_id=after_id, newest_first=False)


class _Candidates:
    """The candidates of tasks, read from the signed log as it grows."""

    def __init__(self, store: Store, outputs: FolderArtifacts, after: int) -> None:
        self._log = store.log
        self._outputs = outputs
        self._after = after
        self._proposed: dict[str, dict[str, Json]] = {}
        self._verdicts: dict[str, dict[str, Json]] = {}

    async def read_on(self) -> None:
        """Read what has come since."""
        while page := await self._log.entries(self._after, PAGE_EVENTS):
            self._after = page[-1].entry
            for row in (entry.event for entry in page if isinstance(entry.event, TaskRow)):
                if row.task_id is None:
                    continue
                if row.kind == "CANDIDATE_PROPOSED":
                    self._proposed[row.task_id] = _payload(row)["candidate"]
                elif row.kind == "VERIFIER_RESULT_SUBMITTED":
                    self._verdicts[row.task_id] = _payload(row)["result"]

    def of(self, task_id: str) -> FinalCandidate:
        """The candidate of a task that was passed."""
        candidate = self._proposed[task_id]
        return FinalCandidate(
            output=orjson.loads(self._outputs.read(candidate["output_ref"]["digest"])),
            cited=len(candidate["evidence_refs"]),
            inline=len(candidate["evidence_inline"]),
            score=self._verdicts[task_id]["score"],
        )


def run_spec(trial: Trial, run_id: str) -> dict[str, Json]:
    """The specification of a trial: two have to agree; all else is as kernels do it by default."""
    # The kernel gives each step its agent's prompt in place of the inputs' own.
    prompt = trial.inputs.get("prompt") if isinstance(trial.inputs, dict) else None
    has_prompt = isinstance(prompt, str) and prompt.strip()
    agent = {"executor": EXECUTOR, "profile": trial.profile, "prompt": prompt if has_prompt else "Do your part."}
    return {
        "run_id": run_id,
        "task_type": trial.task_type,
        "shared_inputs": trial.inputs,
        "agents": [{"agent_id": f"agent-{n}", **agent} for n in range(1, trial.agents + 1)],
        "retry": {"max_attempts": MAX_ATTEMPTS, "backoff_ms": BACKOFF_MS},
        "aggregation": {"quorum": quorum_of(trial.agents)},
    }


def quorum_of(agents: int) -> int:
    """Equal votes that a trial wants: two, as the run of the documents does."""
    return min(2, agents)


def _payload(row: TaskRow) -> dict[str, Json]:
    payload: dict[str, Json] = orjson.loads(row.body)["payload"]["payload"]
    return payload


def _inputs(inputs: Json) -> str:
    text = orjson.dumps(inputs).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
