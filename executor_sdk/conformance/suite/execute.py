"""Checks of `POST /execute`: what a kernel sends must be understood, and what comes back must be a candidate."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from executor_sdk.conformance import bodies
from executor_sdk.conformance.results import BrokenError, NotTestableError
from executor_sdk.conformance.target import Probe, proves
from executor_sdk.policies import candidates
from executor_sdk.protocol import wire
from executor_sdk.protocol.plain import Json

#: The stages that the public documentation names.
DOCUMENTED_STAGES: Final = ("explore", "verify", "finalize")


@proves("EXC-EXEC-001")
async def a_task_of_an_offered_type_is_done(probe: Probe) -> None:
    """A sample that we had to guess is the suite's weakness, not the executor's: then this is not tested."""
    sample = await probe.sample()
    try:
        done = await probe.done()
    except NotTestableError as error:
        if sample.origin == "file":
            raise BrokenError(str(error)) from None
        raise
    try:
        wire.view(done.answer, wire.ExecuteAnswer)
    except wire.WireError as error:
        raise BrokenError(f"the answer of /execute: {error}") from None


@proves("EXC-EXEC-002")
async def the_output_fits_the_contract(probe: Probe) -> None:
    """Judged by the contract's own schema, fully; by the rules that the kit shares, see `suite`."""
    await _no_breach(probe, evidence=False)


@proves("EXC-EXEC-003")
async def the_evidence_keeps_the_rules(probe: Probe) -> None:
    """Judged by the contract's evidence policy; by the rules that the kit shares, see `suite`."""
    await _no_breach(probe, evidence=True)


@proves("EXC-EXEC-004")
async def unknown_keys_do_no_harm(probe: Probe) -> None:
    """The inputs are left as they are: those belong to the author, who may well refuse strangers."""
    await probe.done()
    body = bodies.with_strangers(bodies.ask(await probe.sample()))
    await _is_done(probe, body, "a request with keys that it does not know")


@proves("EXC-EXEC-005")
async def the_kernels_keys_in_the_inputs_do_no_harm(probe: Probe) -> None:
    """The sample's own values are kept where it has the same keys."""
    await probe.done()
    sample = await probe.sample()
    if not isinstance(sample.inputs, dict):
        raise NotTestableError("the sample's inputs are no object, so a kernel cannot add keys to them")
    body = bodies.ask(sample, inputs={**bodies.KERNEL_INPUTS, **sample.inputs})
    await _is_done(probe, body, "inputs with the kernel's own keys in them")


@proves("EXC-EXEC-006")
async def a_knowledge_seed_is_understood(probe: Probe) -> None:
    """What the seed says is advice; that it is there must not break the task."""
    done = await probe.done()
    sample = await probe.sample()
    seed = bodies.seed_bundle(sample, done.answer["candidate_output"])
    await _is_done(probe, bodies.ask(sample, seed_bundle=seed, stage="DECIDE"), "a seed bundle at stage DECIDE")


@proves("EXC-EXEC-007")
async def documented_stages_are_understood(probe: Probe) -> None:
    """The kernel of today writes EXPLORE, DECIDE and DIVERGE_MODE."""
    await probe.done()
    for stage in DOCUMENTED_STAGES:
        await _is_done(probe, bodies.ask(await probe.sample(), stage=stage), f"stage {stage!r}")


@proves("EXC-EXEC-008")
async def an_unknown_task_type_is_refused(probe: Probe) -> None:
    """Only the type differs from a task that was done."""
    await probe.done()
    body = bodies.ask(await probe.sample(), task_type=f"conformance-unknown-{uuid4().hex[:8]}")
    answer = await probe.post("/execute", body)
    if not 400 <= answer.status < 500:
        raise BrokenError(f"task type {body['task_type']!r} is not offered, and was answered {answer}, expected a 4xx")


async def _no_breach(probe: Probe, *, evidence: bool) -> None:
    done = await probe.done()
    whole: dict[str, Json] = {"evidence_inline": [], "evidence_refs": []} | done.answer
    breaches = [
        breach
        for breach in candidates.OutputRules.of(done.request["task_contract"]).breaches(whole)
        if breach.path.lstrip("$.").startswith("evidence") is evidence
    ]
    if breaches:
        raise BrokenError("; ".join(f"{breach.path}: {breach.rule}" for breach in breaches))


async def _is_done(probe: Probe, body: Json, what: str) -> None:
    answer = await probe.post("/execute", body)
    if answer.status != 200 or not isinstance(answer.json, dict) or answer.json.get("candidate_output") is None:
        raise BrokenError(f"{what}: answered {answer}, expected 200 with a candidate, as without it")
