"""The run specification: what may be submitted, with its defaults, and the rows that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.folding import trimmed
from kernel_stub.rules.records import Run, RunStatus, Step, StepStatus
from kernel_stub.rules.spec_sentences import path_of, sentence_of

#: How many wrong fields one error names; a list of ten thousand bad agents needs no ten thousand sentences.
MAX_FIELDS: Final = 20

_SHORTEST_BACKOFF_MS: Final = 200
#: About three thousand years: any sum with a time of today stays within 64 bits.
_LONGEST_BACKOFF_MS: Final = 10**14
_MAX_DOUBLINGS: Final = 16

UInt32: TypeAlias = Annotated[int, Field(ge=0, le=2**32 - 1)]
UInt64: TypeAlias = Annotated[int, Field(ge=0, le=2**64 - 1)]
Int32: TypeAlias = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Int64: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]

OpenEnd: TypeAlias = Literal["TIE", "EMPTY", "QUORUM_NULL"]
TieResolver: TypeAlias = Literal["REEXPLORE", "CONFIDENCE_WEIGHTED", "REPUTATION_WEIGHTED", "STOCHASTIC"]
NullResolver: TypeAlias = Literal["REEXPLORE", "FINALIZE_NULL"]


class SpecError(ValueError):
    """A run specification is refused: `sentence` says why, `fields` names each wrong place with its own sentence."""

    def __init__(self, sentence: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.fields = fields


class _Part(BaseModel):
    # Strict: "2" is no number and 1 is no text. Unknown keys are kept, so that the stored spec is what was submitted.
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Retry(_Part):
    """How often a failed step is tried again, and how long it waits."""

    max_attempts: UInt32 = 2
    backoff_ms: UInt64 = 1500


class Reexplore(_Part):
    """When another round is worth it."""

    max_tie_iterations: UInt32 = 1
    no_new_evidence_rounds: UInt32 = 1
    require_new_evidence: bool = True


class ConfidenceWeighted(_Part):
    """Where a conclusion keeps its confidence."""

    decision_confidence_field: str = "decision_confidence"
    answer_confidence_field: str = "answer_confidence"
    confidence_field: str = "confidence"
    default_confidence: float = 0.5


class ReputationWeighted(_Part):
    """Units of reputation by agent, and what an agent without any counts."""

    agent_reputation_units: dict[str, Int64] = Field(default_factory=dict)
    missing_reputation: Literal["SKIP", "UNIFORM"] = "SKIP"


class TiePolicy(_Part):
    """What happens when several values have the most votes."""

    enabled_on: list[OpenEnd] = Field(default=["TIE"])
    chain: list[TieResolver] = Field(default=["STOCHASTIC"])
    reexplore: Reexplore = Field(default_factory=Reexplore)
    confidence_weighted: ConfidenceWeighted = Field(default_factory=ConfidenceWeighted)
    reputation_weighted: ReputationWeighted = Field(default_factory=ReputationWeighted)


class NullPolicy(_Part):
    """What happens when no value has enough votes."""

    enabled_on: list[OpenEnd] = Field(default=["EMPTY", "QUORUM_NULL"])
    chain: list[NullResolver] = Field(default=["REEXPLORE", "FINALIZE_NULL"])
    reexplore: Reexplore = Field(default_factory=Reexplore)


class Aggregation(_Part):
    """How the conclusions of the steps become one decision. `mode` is a label."""

    mode: str = "all_done"
    quorum: UInt32 | None = None
    tie_policy: TiePolicy = Field(default_factory=TiePolicy)
    null_policy: NullPolicy = Field(default_factory=NullPolicy)


class AgentSpec(_Part):
    """One agent: a step of the run. An absent required text is as wrong as a blank one, and gets the same sentence."""

    agent_id: str = ""
    executor: str = ""
    profile: str = "default"
    prompt: str = ""
    weight: float = 1.0
    priority: Int32 = 0
    verifier: str | None = None


class RunSpec(_Part):
    """What is submitted as a run. `verifier` and `task_template` are additions of this kernel."""

    run_id: str = ""
    task_type: str = "swarm"
    shared_inputs: Json = Field(default_factory=dict)
    agents: list[AgentSpec] = Field(default_factory=list, fail_fast=True)
    retry: Retry = Field(default_factory=Retry)
    aggregation: Aggregation = Field(default_factory=Aggregation)
    verifier: str | None = None
    task_template: dict[str, Json] | None = None
    market_task_id: str | None = None
    feed_key: str | None = None
    scope_hint: str | None = None
    round_policy: dict[str, Json] | None = None


def parse_spec(body: Json) -> RunSpec:
    """Read a run specification from plain JSON.

    Raises:
        SpecError: something is missing, of a wrong type, or against a rule.
    """
    try:
        spec = RunSpec.model_validate(body)
    except ValidationError as error:
        raise _shape_error(error) from None
    broken = tuple(islice(_breaches(spec), MAX_FIELDS))
    if broken:
        raise SpecError(broken[0][1], broken)
    return spec


def new_run(spec: RunSpec, now_ms: int) -> tuple[Run, tuple[Step, ...]]:
    """The rows of a run that was just submitted: nothing is due before its kickoff."""
    run = Run(
        run_id=spec.run_id,
        status=RunStatus.CREATED,
        task_type=spec.task_type,
        spec=spec.model_dump(),
        shared_inputs=spec.shared_inputs,
        result={},
        error=None,
        created_at=now_ms,
        updated_at=now_ms,
    )
    return run, tuple(_new_step(spec.run_id, agent, now_ms) for agent in spec.agents)


def step_inputs(run: Run, step: Step) -> dict[str, Json]:
    """What the step's task gets: the run's shared inputs as they stand now, then its own prompt and agent id."""
    shared = as_object(run.shared_inputs)
    return {**shared, "prompt": step.prompt, "agent_id": step.agent_id}


def as_object(shared_inputs: Json) -> dict[str, Json]:
    """Shared inputs that are no object stand under a key of that name."""
    return shared_inputs if isinstance(shared_inputs, dict) else {"shared_inputs": shared_inputs}


def aggregation_of(run: Run) -> Aggregation:
    """The aggregation policy of a stored run."""
    return Aggregation.model_validate(run.spec.get("aggregation", {}))


def max_attempts(run: Run) -> int:
    """How many attempts each step of the run has."""
    return Retry.model_validate(run.spec.get("retry", {})).max_attempts


def backoff_ms(run: Run, attempt: int) -> int:
    """How long to wait after the failed attempt `attempt` (from 1) before the next."""
    backoff = Retry.model_validate(run.spec.get("retry", {})).backoff_ms
    doublings = min(max(attempt - 1, 0), _MAX_DOUBLINGS)
    return min(max(_SHORTEST_BACKOFF_MS, backoff << doublings), _LONGEST_BACKOFF_MS)


def verifiers_of(run: Run) -> dict[str, str]:
    """The executors that verify, by agent, where they are others than those that execute."""
    of_all = run.spec.get("verifier")
    agents = run.spec.get("agents", ())
    return {agent["agent_id"]: name for agent in agents if (name := agent.get("verifier") or of_all)}


def _new_step(run_id: str, agent: AgentSpec, now_ms: int) -> Step:
    return Step(
        step_id=f"{run_id}:{agent.agent_id}",
        run_id=run_id,
        agent_id=agent.agent_id,
        executor=agent.executor,
        profile=agent.profile,
        prompt=agent.prompt,
        weight=agent.weight,
        priority=agent.priority,
        status=StepStatus.CREATED,
        created_at=now_ms,
        next_run_at=now_ms,
    )


def _breaches(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """Rules beyond types, in the kernel's order and words."""
    if _blank(spec.run_id):
        yield "run_id", "run_id is required"
    if spec.round_policy is not None:
        yield from _market_breaches(spec)
        yield "round_policy", "round_policy: open-market runs are not offered by this kernel; name the agents instead"
    elif not spec.agents:
        yield "agents", "agents cannot be empty"
    yield from _agent_breaches(spec.agents)
    if spec.retry.max_attempts == 0:
        yield "retry.max_attempts", "retry.max_attempts must be > 0"


def _market_breaches(spec: RunSpec) -> Iterator[tuple[str, str]]:
    places = {"market_task_id": spec.market_task_id, "feed_key": spec.feed_key, "scope_hint": spec.scope_hint}
    for name, text in places.items():
        if text is None or _blank(text):
            yield name, f"{name} is required for stigmergy runs"


def _agent_breaches(agents: list[AgentSpec]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for n, agent in enumerate(agents):
        if _blank(agent.agent_id):
            yield f"agents[{n}].agent_id", "agent_id is required"
        elif agent.agent_id in seen:
            yield f"agents[{n}].agent_id", f"duplicate agent_id: {agent.agent_id}"
        if _blank(agent.executor):
            yield f"agents[{n}].executor", f"executor is required for agent {agent.agent_id}"
        if _blank(agent.prompt):
            yield f"agents[{n}].prompt", f"prompt is required for agent {agent.agent_id}"
        seen.add(agent.agent_id)


def _blank(text: str) -> bool:
    return not trimmed(text)


def _shape_error(error: ValidationError) -> SpecError:
    details = error.errors(include_url=False)[:MAX_FIELDS]
    fields = tuple((path_of(detail["loc"]), sentence_of(detail)) for detail in details)
    return SpecError(fields[0][1], fields)
