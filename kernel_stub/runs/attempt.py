"""An attempt at a step: committed before every call, so that another worker sends the same bytes.

    T2 open      task created and claimed, the request's bytes      then POST /execute
    T3 propose   candidate proposed, the verify request's bytes     then POST /verify
    T4 settle    verdict, vote, decision; the step ended; the last step ends the run's round

T1, the claim, is the worker's. Each transaction is fenced by the lease: a late worker writes nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
import orjson
from msgspec.structs import replace

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.policies.candidates import proposal_breaches
from executor_sdk.policies.contracts import contract_breaches
from executor_sdk.policies.verdicts import verdict_breaches
from executor_sdk.protocol import requests
from executor_sdk.protocol.canonical import declared_bytes, sorted_bytes
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import Capabilities, PolicyBinding, VerifyAnswer, derived_status, view
from kernel_stub.errors import ExecutorNotFoundError, InvalidEventError, LeaseLostError, StepFailedError, StoreError
from kernel_stub.fleet.clients import Clients
from kernel_stub.fleet.registry import ExecutorRegistry
from kernel_stub.log.identity import Identity
from kernel_stub.rules import run as run_rules
from kernel_stub.rules.contract import step_contract
from kernel_stub.rules.records import Attempt, Change, Phase, Run, Step
from kernel_stub.rules.result import step_result
from kernel_stub.rules.spec import verifiers_of
from kernel_stub.rules.states import EndingState, StepState
from kernel_stub.rules.task import Claim, Command, Create, Propose, decide, fold, life_of_a_verdict
from kernel_stub.runs import calls
from kernel_stub.runs.answering import Answering
from kernel_stub.runs.probing import Remembered
from kernel_stub.settings import KernelSettings
from kernel_stub.store.port import Queue

_log: Final = logging.getLogger("kernel_stub.runs")

#: Runs whose verifiers stay known: each may have ten thousand agents, and one verifier for each of them.
_KNOWN_RUNS: Final = 8


def no_failpoint(_: str) -> None:
    """Where tests kill the process, everybody else goes on."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A step in hand: what was claimed, under which lease, and the client to its executor."""

    run: Run
    step: Step
    lease_id: str
    client: ExecutorClient


class Attempts:
    """Carries claimed steps through their attempts; one for all steps of a worker."""

    def __init__(
        self,
        queue: Queue,
        registry: ExecutorRegistry,
        clients: Clients,
        signer: Identity,
        settings: KernelSettings,
        *,
        clock: Callable[[], int],
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self._queue = queue
        self._registry = registry
        self._clients = clients
        self._signer = signer
        self._clock = clock
        self._failpoint = failpoint
        self._outputs = FolderArtifacts(settings.outputs_dir)
        self._connected = Remembered[ExecutorClient](settings.probe_ttl_ms, clock)
        self._probed = Remembered[Capabilities](settings.probe_ttl_ms, clock)
        self._verifiers: dict[str, dict[str, str]] = {}
        #: The executors that answer, as far as these attempts have heard.
        self.answering = Answering(silent_after=settings.silent_after)

    async def run(self, claimed: StepState) -> bool:
        """Take the step from where its attempt stands to its settlement, or to the failure of this attempt.

        False if the store failed: nothing was written, and the attempt is to be resumed with the same bytes.
        """
        step = claimed.step
        try:
            await self._go(claimed)
        except LeaseLostError as lost:
            _log.info("let go of a step: %s", lost)
        except StoreError:
            _log.exception("store failed in an attempt at step %s", step.step_id)
            return False
        except StepFailedError as failed:
            if failed.unanswered:
                self.answering.was_silent(step.executor)
            return await self._fail(step, failed.sentence, final=failed.final)
        except (ExecutorNotFoundError, InvalidEventError) as error:
            return await self._fail(step, error.sentence, final=False)
        except Exception as error:  # noqa: BLE001 - a step must end, whatever is wrong with it
            _log.exception("attempt at step %s broke", step.step_id)
            return await self._fail(step, f"kernel failure: {type(error).__name__}: {error}", final=False)
        return True

    async def abandon(self, step: Step) -> bool:
        """End a step whose call was cut because its run is being cancelled; nothing happens to any other.

        False if the store failed.
        """
        now_ms, lease_id = self._clock(), step.lease_id or ""
        return await self._end("cancellation", step, lambda state: run_rules.abandon(state, lease_id, now_ms))

    async def _go(self, claimed: StepState) -> None:
        attempt = claimed.attempt
        if attempt is None or claimed.step.lease_id is None:
            raise LeaseLostError(claimed.step.step_id, "none")
        client = await self._client(claimed.step.executor)
        held = _Held(claimed.run, claimed.step, claimed.step.lease_id, client)
        if attempt.phase is Phase.PROBING:
            attempt = await self._open(held, attempt)
        if attempt.phase is Phase.EXECUTING:
            attempt = await self._propose(held, attempt)
        if attempt.phase is Phase.VERIFYING:
            await self._settle(held, attempt)

    async def _open(self, held: _Held, attempt: Attempt) -> Attempt:
        """T2: create and claim the task, and commit the request."""
        step = held.step
        capabilities = await self._capabilities(held.client)
        self.answering.is_there(step.executor)
        if step.profile not in capabilities.profiles:
            raise StepFailedError(f"profile '{step.profile}' not supported by executor '{step.executor}'")
        now_ms = self._clock()
        contract = step_contract(held.run, step, task_id=attempt.task_id, now_ms=now_ms)
        if (refusal := contract_breaches(contract)) is not None:
            raise StepFailedError(refusal, final=True)
        request = requests.execute_request(contract, execution_id=attempt.execution_id, profile=step.profile)
        # Who does it is known now; to ask again behind the answer could lose finished work to a failing probe.
        by = _author(capabilities)
        opened = replace(attempt, phase=Phase.EXECUTING, execute_body=declared_bytes(request), candidate=by)
        commands = (Create(contract), Claim("propose", attempt.execution_id))
        await self._advance("T2", held, opened, commands, now_ms)
        return opened

    async def _propose(self, held: _Held, attempt: Attempt) -> Attempt:
        """Have the step done; T3: propose the candidate, and commit the request to verify it."""
        body = attempt.execute_body or b""
        self._failpoint("execute:before")
        try:
            answer = await calls.execute(held.client, body, new_work=attempt.new_work)
        except StepFailedError as failed:
            if not failed.unanswered:
                self.answering.answered(held.step.executor)
            raise
        self.answering.answered(held.step.executor)
        self._failpoint("execute:after")
        contract = orjson.loads(body)["task_contract"]
        if found := proposal_breaches(answer, contract):
            raise StepFailedError(f"invalid event: {found[0].rule}")
        await self._keep_output(answer["candidate_output"])
        now_ms = self._clock()
        candidate = requests.propose(
            answer, execution_id=attempt.execution_id, producer=self._signer.node_id, created_at=now_ms
        )
        request = requests.verify_request(
            candidate, output_schema=contract["output_schema"], policy=contract["acceptance"]["verifier_policy"]
        )
        by = attempt.candidate or _author(await self._capabilities(held.client))
        # Its answer is committed with it: the request for it will not be sent again, and is kept no longer.
        proposed = replace(
            attempt,
            phase=Phase.VERIFYING,
            execute_body=None,
            verify_body=declared_bytes(request),
            candidate={**candidate, **by},
        )
        commands = (Propose(candidate), Claim("verify", attempt.verify_execution_id))
        await self._advance("T3", held, proposed, commands, now_ms)
        return proposed

    async def _keep_output(self, output: Json) -> None:
        """Write the output under its digest, before an event says that it is there.

        Raises:
            StoreError: the disk did not take it; the same bytes are asked for again later.
        """
        try:
            await anyio.to_thread.run_sync(self._outputs.write, sorted_bytes(output))
        except OSError as error:
            raise StoreError(f"an output could not be written: {error}") from error

    async def _settle(self, held: _Held, attempt: Attempt) -> None:
        """Have the candidate judged; T4: settle the step by the verdict."""
        candidate, body = attempt.candidate or {}, attempt.verify_body or b""
        request = orjson.loads(body)
        binding = view(request["policy"], PolicyBinding)
        client = await self._verifying_client(held)
        self._failpoint("verify:before")
        judged = await calls.verify(client, body, candidate, binding.policy_hash)
        self._failpoint("verify:after")
        refusals = verdict_breaches(
            judged.verdict, binding=binding, output_schema=request["output_schema"], output=candidate["output"]
        )
        if refusals:
            raise StepFailedError(f"invalid event: {refusals[0]}")
        now_ms, salt = self._clock(), str(uuid.uuid4())
        # Of its own verdict an executor knows; what was not judged was turned down by nobody.
        by_another = judged.answered and client.base_url != held.client.base_url
        await self._settle_by(
            "T4",
            held.step.step_id,
            lambda state: self._settled(state, held.lease_id, judged.verdict, salt, now_ms, by_another=by_another),
        )

    def _settled(
        self, state: EndingState, lease_id: str, verdict: dict[str, Json], salt: str, now_ms: int, *, by_another: bool
    ) -> Change:
        attempt = run_rules.fence(state, lease_id)
        candidate = attempt.candidate or {}
        status = derived_status(view(verdict, VerifyAnswer))
        task = fold(state.task_events)
        commands = life_of_a_verdict(
            task,
            candidate_id=candidate["candidate_id"],
            execution_id=attempt.verify_execution_id,
            status=status,
            verdict=verdict,
            salt=salt,
        )
        drafts = decide(task, commands, self._signer, now_ms)
        if status == "passed":
            return run_rules.succeed(state, lease_id, step_result(state.step, candidate), drafts, now_ms)
        error = f"verifier did not pass candidate; reason_codes={verdict['reason_codes']}"
        return run_rules.fail(
            state, lease_id, error, final=False, now_ms=now_ms, task_events=drafts, turned_down=by_another
        )

    async def _fail(self, step: Step, error: str, *, final: bool) -> bool:
        now_ms, lease_id = self._clock(), step.lease_id or ""
        return await self._end(
            "failure", step, lambda state: run_rules.fail(state, lease_id, error, final=final, now_ms=now_ms)
        )

    async def _end(self, name: str, step: Step, think: Callable[[EndingState], Change]) -> bool:
        """Settle a step whose attempt came to nothing; False if that could not be saved."""
        try:
            await self._settle_by(name, step.step_id, think)
        except LeaseLostError as lost:
            _log.info("let go of a step: %s", lost)
        except Exception:  # noqa: BLE001 - the step is handed back; the worker must outlive it
            _log.exception("the %s of step %s could not be saved", name, step.step_id)
            return False
        return True

    async def _advance(
        self, name: str, held: _Held, attempt: Attempt, commands: tuple[Command, ...], now_ms: int
    ) -> None:
        def think(state: StepState) -> Change:
            run_rules.fence(state, held.lease_id)
            drafts = decide(fold(state.task_events), commands, self._signer, now_ms)
            return run_rules.advance(state, held.lease_id, attempt, drafts)

        self._failpoint(f"{name}:before")
        await self._queue.advance(held.step.step_id, think)
        self._failpoint(f"{name}:after")

    async def _settle_by(self, name: str, step_id: str, think: Callable[[EndingState], Change]) -> None:
        self._failpoint(f"{name}:before")
        await self._queue.settle(step_id, think)
        self._failpoint(f"{name}:after")

    async def _client(self, executor: str) -> ExecutorClient:
        return await self._connected.get(executor, lambda: self._new_client(executor))

    async def _new_client(self, executor: str) -> ExecutorClient:
        entry = await self._registry.find(executor)
        if entry.remote:
            raise StepFailedError(f"executor '{executor}' is remote, and this kernel has no network", final=True)
        return self._clients.to(entry)

    async def _verifying_client(self, held: _Held) -> ExecutorClient:
        """The client of the verifier: the executor itself, unless the specification names another."""
        known = self._verifiers.get(held.run.run_id)
        if known is None:
            if len(self._verifiers) >= _KNOWN_RUNS:
                self._verifiers.clear()
            known = self._verifiers[held.run.run_id] = verifiers_of(held.run)
        name = known.get(held.step.agent_id)
        return held.client if name is None else await self._client(name)

    async def _capabilities(self, client: ExecutorClient) -> Capabilities:
        return await self._probed.get(client.base_url, lambda: calls.probe(client))


def _author(capabilities: Capabilities) -> dict[str, Json]:
    return {"provider_family": capabilities.provider_family, "model_id": capabilities.model_id}
