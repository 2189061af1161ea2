"""Checks of `POST /execute`: what a kernel sends must be understood, and what comes back must be a candidate."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from executor_sdk.conformance import bodies
from executor_sdk.conformance.results import BrokenError, Level, NotTestableError, Requirement, Source
from executor_sdk.conformance.target import Probe
from executor_sdk.policies import candidates
from executor_sdk.protocol import wire
from executor_sdk.protocol.plain import Json

#: The stages that the public documentation names.
DOCUMENTED_STAGES: Final = ("explore", "verify", "finalize")


@Requirement(
    id="EXC-EXEC-001",
    title="POST /execute does a task of an offered type and answers the three fields",
    quote="Accepts a task contract and returns a candidate output.",
    source=Source.DOCUMENTS,
    prerequisite="EXC-CAPS-001",
    mutant="leaves evidence_refs out of the answer",
)
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


@Requirement(
    id="EXC-EXEC-002",
    title="The candidate output fits the contract's output_schema and 65,536 bytes",
    quote="compact JSON ≤ 65,536 bytes; must fit task_contract.output_schema",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="sends a word as confidence where the schema demands a number",
)
async def the_output_fits_the_contract(probe: Probe) -> None:
    """Judged by the contract's own schema, fully; by the rules that the kit shares, see `suite`."""
    await _no_breach(probe, evidence=False)


@Requirement(
    id="EXC-EXEC-003",
    title="The evidence keeps the rules of the contract's evidence policy",
    quote="inline mime not allowlisted",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="sends inline evidence of type text/html",
)
async def the_evidence_keeps_the_rules(probe: Probe) -> None:
    """Judged by the contract's evidence policy; by the rules that the kit shares, see `suite`."""
    await _no_breach(probe, evidence=True)


@Requirement(
    id="EXC-EXEC-004",
    title="Unknown keys in the request do no harm",
    quote="unknown keys may appear at every level",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="refuses a request with a key that it does not know",
)
async def unknown_keys_do_no_harm(probe: Probe) -> None:
    """The inputs are left as they are: those belong to the author, who may well refuse strangers."""
    body = bodies.with_strangers(await probe.request())
    await probe.candidate(body, "a request with keys that it does not know")


@Requirement(
    id="EXC-EXEC-005",
    title="The kernel's own keys in the inputs do no harm",
    quote="may also carry agent_id, swarm_scope, swarm_route, _aggregation_signal, _run_queue_coordination",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="refuses inputs with _aggregation_signal",
)
async def the_kernels_keys_in_the_inputs_do_no_harm(probe: Probe) -> None:
    """The sample's own values are kept where it has the same keys."""
    body = await probe.request(inputs={**bodies.KERNEL_INPUTS, **await probe.inputs()})
    await probe.candidate(body, "a request with the kernel's own keys in its inputs")


@Requirement(
    id="EXC-EXEC-006",
    title="A knowledge seed and the stage DECIDE are understood",
    quote="seed_bundle: object or null, always present",
    source=Source.RECORDING,
    prerequisite="EXC-EXEC-001",
    mutant="refuses a seed_bundle that is an object",
)
async def a_knowledge_seed_is_understood(probe: Probe) -> None:
    """What the seed says is advice; that it is there must not break the task."""
    done = await probe.done()
    seed = bodies.seed_bundle(await probe.sample(), done.answer["candidate_output"])
    await probe.candidate(await probe.request(seed_bundle=seed, stage="DECIDE"), "a seed bundle at stage DECIDE")


@Requirement(
    id="EXC-EXEC-007",
    level=Level.SHOULD,
    title="The stage may be spelled as documented",
    quote="Documentation: explore, verify, finalize. Accept any string",
    source=Source.DOCUMENTS,
    prerequisite="EXC-EXEC-001",
    mutant="refuses stages in lower case",
)
async def documented_stages_are_understood(probe: Probe) -> None:
    """The kernel of today writes EXPLORE, DECIDE and DIVERGE_MODE."""
    for stage in DOCUMENTED_STAGES:
        await probe.candidate(await probe.request(stage=stage), f"stage {stage!r}")


@Requirement(
    id="EXC-EXEC-008",
    title="A task type that is not offered is refused with a 4xx",
    quote="an executor must refuse unknown types itself (404 or 422)",
    source=Source.OURS,
    prerequisite="EXC-EXEC-001",
    mutant="does tasks of any type",
)
async def an_unknown_task_type_is_refused(probe: Probe) -> None:
    """Only the type differs from a task that was done."""
    body = await probe.request(task_type=f"conformance-unknown-{uuid4().hex[:8]}")
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
