"""A handler: one function of an author behind a task type, with its schemas and its limits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Self, get_origin

from msgspec import Struct
from msgspec.structs import replace

from executor_sdk.authoring.again import Again
from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.calling import Surroundings, call
from executor_sdk.authoring.schema import (
    InputShape,
    OutputShape,
    always_has,
    kinds_of,
    may_be,
    properties_of,
    refuse_huge_integers,
)
from executor_sdk.authoring.signature import ANYTHING, Reader, Signature
from executor_sdk.authoring.streams import collected, result_type
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.verdict import Candidate, Verdict
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import DefinitionError, HandlerSignatureError
from executor_sdk.misuse import named
from executor_sdk.options.option import options_of, settle
from executor_sdk.protocol.plain import Json
from executor_sdk.settings import Settings


class Produced(Struct, frozen=True):
    """What a handler has produced: its output as plain JSON, and the evidence given on the way."""

    output: Json
    evidence_inline: list[dict[str, Json]]
    evidence_refs: list[dict[str, Json]]
    #: What was used on the way, by name.
    metrics: dict[str, Json]


class Limits(Struct, frozen=True, kw_only=True):
    """What the decorator said; None leaves it to the settings. A value that does not fit is a DefinitionError."""

    timeout_s: float | None = None
    max_concurrency: int | None = None
    adopt: bool | None = None
    linger_s: float | None = None
    #: How often the function is called again after an error that may pass, and the pause before the first time.
    retries: int = 0
    backoff_s: float = 1.0

    def __post_init__(self) -> None:
        settle(self, _LIMITS)

    def left_to(self, options: Collection[str]) -> Self:
        """The same, but what the `options` of the settings say too is left to them."""
        return replace(self, **{limit: None for option, limit in _SETTLED_BY.items() if option in options})


_LIMITS: Final = options_of(Limits, {"timeout_s": 0.001, "max_concurrency": 1})

#: Which option of the settings holds where a limit is None.
_SETTLED_BY: Final = {
    "timeout_s": "timeout_s", "max_concurrency": "max_concurrency", "adopt": "adopt", "linger_ms": "linger_s",
}  # fmt: skip


class Handler(Struct, frozen=True, eq=False):
    """One function behind a task type and some profiles. Equal to itself only, so it can be a key."""

    function: Callable[..., Any]
    task_type: str
    profiles: tuple[str, ...]
    limits: Limits
    signature: Signature
    input_shape: InputShape | None
    output_shape: OutputShape

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    def timeout_s(self, settings: Settings) -> float:
        """Seconds that the function may take."""
        return settings.timeout_s if self.limits.timeout_s is None else self.limits.timeout_s

    def linger_s(self, settings: Settings) -> float:
        """Seconds that the work goes on when nobody asks for it."""
        return settings.linger_ms / 1000 if self.limits.linger_s is None else self.limits.linger_s

    def adopts(self, settings: Settings) -> bool:
        """Whether a later attempt takes over the work of its step."""
        return settings.adopt if self.limits.adopt is None else self.limits.adopt

    @property
    def max_concurrency(self) -> int | None:
        """Works of this handler that may run at once; None: as many as the executor takes."""
        return self.limits.max_concurrency

    @property
    def input_schema(self) -> Json:
        """The JSON Schema of the inputs."""
        return {"type": "object"} if self.input_shape is None else self.input_shape.schema

    @property
    def output_schema(self) -> Json:
        """The JSON Schema of the output."""
        return self.output_shape.schema

    def read(self, inputs: Json, text: bytes) -> Any:
        """`inputs`, which came as `text`, as the author's type.

        Raises:
            InvalidInputsError: they do not fit, or hold an integer beyond 64 bits.
        """
        refuse_huge_integers(text)
        return inputs if self.input_shape is None else self.input_shape.read(inputs, text)

    async def call(self, inputs: Any, task: Task, around: Surroundings, alarms: Alarms) -> Produced:
        """Let the function do `task` before the alarm rings.

        Raises:
            TaskError, Refuse, FetchError: as the author raised them, or TaskTimeoutError, HandlerCrashedError,
                InvalidOutputError.
            TaskCancelled: it stopped because nobody wants the work.
        """
        shape = self.signature.shape
        function = collected(self.function, shape, task) if shape.is_generator else self.function
        again = Again(self.limits.retries, self.limits.backoff_s) if self.limits.retries else None
        facts: dict[type, object] = {Task: task}
        try:
            value = await call(
                function,
                self.signature,
                around,
                facts=facts,
                inputs=inputs,
                alarms=alarms,
                again=again,
                forget=task.forget,
            )
        finally:
            task.end()
        return Produced(self.output_shape.plain(value), task.evidence_inline, task.evidence_refs, task.metrics)


def define(
    function: Callable[..., Any],
    reader: Reader,
    *,
    task_type: str,
    profiles: Sequence[str],
    limits: Limits,
    needs_answer: bool,
) -> Handler:
    """The handler of `function`, or a DefinitionError that says what to write instead."""
    _check_names(function, task_type, profiles)
    if not isinstance(needs_answer, bool):
        raise DefinitionError(
            f"{name_of(function)}: needs_answer is {needs_answer!r:.80}; it must be True or False: leave it out, or "
            "write needs_answer=False"
        )
    signature = reader.handler(function)
    if (
        signature.inputs is not None
        and (get_origin(signature.inputs.annotation) or signature.inputs.annotation) is Candidate
    ):
        raise HandlerSignatureError(
            f"{name_of(function)} takes a candidate, so it is a verifier; put @executor.verify above it"
        )
    returns = result_type(function, signature.returns) if signature.shape.is_generator else signature.returns
    if returns is Verdict:
        raise HandlerSignatureError(
            f"{name_of(function)} returns a verdict, so it is a verifier; put @executor.verify above it"
        )
    output = OutputShape(returns, function)
    if returns is type(None):
        raise HandlerSignatureError(f"{name_of(function)} returns None; return the output: a model or a dict")
    if returns is not ANYTHING and needs_answer:
        _check_answer(function, output.schema)
    inputs = InputShape(signature.inputs.annotation, function) if signature.inputs else None
    return Handler(function, task_type, tuple(profiles), limits, signature, inputs, output)


#: What the contract of every run demands of an output: the JSON type of these properties, where they are there.
_RUN_PROPERTIES: Final = {"answer": "string", "check_summary": "string", "confidence": "number"}

_PYTHON_NAMES: Final = {"string": "str", "number": "float"}


def _check_answer(function: Callable[..., Any], schema: Json) -> None:
    if not may_be(schema, "object"):
        raise DefinitionError(
            f"{name_of(function)}: its output is no object, but every run's contract demands one with a string "
            "`answer`; return a model with `answer: str`, or say needs_answer=False if no run uses this task type"
        )
    properties = properties_of(schema)
    if properties and not always_has(schema, "answer"):
        raise DefinitionError(
            f"{name_of(function)}: its output has no `answer`, which every run's contract demands; "
            "add `answer: str` to it, or say needs_answer=False if no run uses this task type"
        )
    for name, kind in _RUN_PROPERTIES.items():
        found = kinds_of(properties.get(name), schema)
        if found is not None and {kind, "null"} <= found:
            raise DefinitionError(
                f"{name_of(function)}: `{name}` of its output may be null, but every run's contract wants a {kind}; "
                f"write `{name}: {_PYTHON_NAMES[kind]}`, or say needs_answer=False if no run uses this task type"
            )
        if found is not None and found.isdisjoint({kind, "integer" if kind == "number" else kind}):
            kinds = " or ".join(sorted(found))
            raise DefinitionError(
                f"{name_of(function)}: `{name}` of its output is {kinds}, but every run's contract wants a {kind}; "
                f"send it as a {kind}, or say needs_answer=False if no run uses this task type"
            )


def _check_names(function: Callable[..., Any], task_type: str, profiles: Sequence[str]) -> None:
    if not isinstance(task_type, str):
        raise DefinitionError(
            f"{name_of(function)}: a task type is text, not {named(task_type)}; name one, as "
            "@executor.execute('swarm'), and decorate a function of several task types several times"
        )
    if not task_type.strip():
        raise DefinitionError(f"{name_of(function)}: the task type is blank; name one, as @executor.execute('swarm')")
    if isinstance(profiles, str):
        raise DefinitionError(f"{name_of(function)}: profiles is a tuple; write profiles=({profiles!r},)")
    if not isinstance(profiles, list | tuple | None) or not all(isinstance(one, str) for one in profiles or ()):
        raise DefinitionError(
            f"{name_of(function)}: profiles is a tuple of texts, not {profiles!r:.80}; write profiles=('fast',)"
        )
    if not profiles or not all(one.strip() for one in profiles):
        raise DefinitionError(f"{name_of(function)}: profiles has a blank name or none; leave it out for 'default'")
