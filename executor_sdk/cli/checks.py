"""What would go wrong with an executor behind a kernel, as far as its definition and options tell: one check each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import CodeType
from typing import Final

from msgspec import Struct

from executor_sdk.asking.from_schema import sample_of
from executor_sdk.authoring.handler import Handler
from executor_sdk.authoring.registry import HandlerRegistry
from executor_sdk.authoring.schema import always_has, properties_of
from executor_sdk.authoring.signature import Fact
from executor_sdk.authoring.task import Task
from executor_sdk.cli.blocking import blocking_calls
from executor_sdk.cli.serve import STOP_S
from executor_sdk.errors import InvalidInputsError
from executor_sdk.options.environment import unread, variable_of
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json, referenced
from executor_sdk.settings import OPTIONS, Settings

#: Seconds after which a kernel hangs up, and after which `docker stop` kills.
CALL_S: Final = 30.0
GRACE_S: Final = 10.0

#: Names that come from examples and templates.
PLACEHOLDERS: Final = frozenset(
    {"acme", "example", "test", "tests", "todo", "changeme", "change-me", "your-company", "my-company", "foo", "model"}
)

#: Where clouds hand out credentials to any process that asks.
METADATA_HOSTS: Final = frozenset({"169.254.169.254", "metadata.google.internal", "fd00:ec2::254", "[fd00:ec2::254]"})

#: Folders that hold secrets of the machine.
_SECRET: Final = (Path("/etc"), Path("/proc"), Path("/root"))


class Gravity(StrEnum):
    """How grave a finding is."""

    PROBLEM = "problem"
    ADVICE = "advice"
    FINE = "fine"


class Diagnosis(Struct, frozen=True):
    """What one check has to say, and what to do about it. The value of an option is never in it."""

    check: str
    level: Gravity
    sentence: str
    mend: str = ""


class Examined(Struct, frozen=True):
    """An executor that was loaded, with the options under which it would be served."""

    registry: HandlerRegistry
    settings: Settings
    environment: Mapping[str, str]


Found = Iterator[tuple[Gravity, str, str]]


class DefinitionCheck(Struct, frozen=True):
    """One check: its name, what is so if nothing is found, and the function that looks."""

    name: str
    fine: str
    look: Callable[[Examined], Found]


def findings(examined: Examined) -> Iterator[Diagnosis]:
    """What all checks have to say, in the order of the table."""
    for check in CHECKS:
        found = [Diagnosis(check.name, *told) for told in check.look(examined)]
        yield from found or [Diagnosis(check.name, Gravity.FINE, check.fine)]


def _handlers(examined: Examined) -> Found:
    if not examined.registry.handlers:
        yield (
            Gravity.PROBLEM,
            "there is no handler, so every task is refused with 404",
            "decorate a function with @executor.execute('swarm') in a module that is imported with the executor",
        )


def _identity(examined: Examined) -> Found:
    for name in ("provider_family", "model_id"):
        if getattr(examined.registry, name).strip().lower() in PLACEHOLDERS:
            told = f"{name} is a name from an example, and kernels keep reputation under it"
            yield Gravity.ADVICE, told, f"give Executor(...) a {name} of your own"


def _task_type(examined: Examined) -> Found:
    if examined.registry.handlers and "swarm" not in examined.registry.task_types:
        yield (
            Gravity.ADVICE,
            (
                f"no handler does 'swarm', which runs ask for unless they are told another task type; there is "
                f"{', '.join(examined.registry.task_types)}"
            ),
            "name the task type in the run specification, or let a handler do 'swarm'",
        )


def _vocabulary(examined: Examined) -> Found:
    for handler in examined.registry.handlers:
        decision = properties_of(handler.output_schema).get("decision")
        if decision is not None and _is_open(decision, handler.output_schema):
            yield (
                Gravity.ADVICE,
                f"{handler.name}: `decision` may be any text, and votes count together only if they are equal texts",
                "close the vocabulary: decision: Literal['GROWTH', 'DECLINE']",
            )


def _answer(examined: Examined) -> Found:
    for handler in examined.registry.handlers:
        if not handler.output_schema:
            told = f"{handler.name}: its output has no type, so what a contract misses is found only after the work"
            yield Gravity.ADVICE, told, "let it return a model with `answer: str`"
        elif not always_has(handler.output_schema, "answer"):
            told = f"{handler.name}: its output has no `answer`, which the contract of every run demands"
            yield Gravity.ADVICE, told, "add `answer: str` if a run may use this task type"


def _sample(examined: Examined) -> Found:
    mend = "give the fields Field(examples=[...])"
    for handler in examined.registry.handlers:
        schema = handler.input_schema
        sample = sample_of(schema)
        try:
            handler.read(sample, declared_bytes(sample))
        except InvalidInputsError as error:
            told = f"{handler.name}: the schema does not tell what inputs may be ({error.message}), so `executor call` "
            yield Gravity.ADVICE, told + "and the conformance suite need a sample from you", mend
            continue
        except Exception as error:  # noqa: BLE001 - a validator of the author, which may raise anything
            told = f"{handler.name}: its own inputs made it raise {type(error).__name__}, which is answered 500"
            yield Gravity.PROBLEM, told, "raise ValueError for inputs that do not fit"
            continue
        for name in _made_up_urls(schema):
            told = (
                f"{handler.name}: `{name}` is a URL, and nothing can be fetched from the one that the schema makes up"
            )
            yield Gravity.ADVICE, told, mend


def _blocking(examined: Examined) -> Found:
    for handler in examined.registry.handlers:
        if not handler.signature.shape.is_asynchronous:
            continue
        for found in blocking_calls(handler.function):
            told = f"{handler.name} is an `async def` and calls {found.call} ({found.place}): nothing else is answered"
            yield Gravity.PROBLEM, f"{told} meanwhile, not even /health", f"write {found.instead}, or a plain `def`"


def _thread(examined: Examined) -> Found:
    for handler in examined.registry.handlers:
        is_plain = not handler.signature.shape.is_asynchronous
        if is_plain and handler.timeout_s(examined.settings) > CALL_S and not _takes_task(handler):
            yield (
                Gravity.ADVICE,
                (
                    f"{handler.name} is a plain `def` that may work for more than {CALL_S:g} s and cannot hear that "
                    "nobody wants its work: Python stops no thread"
                ),
                "take `task: Task` and call task.check() now and then, or write `async def`",
            )


def _health(examined: Examined) -> Found:
    if examined.registry.lifespans and examined.registry.health_check is None:
        yield (
            Gravity.ADVICE,
            "there is a state of the process and no health check: /health is fine although the state may be broken",
            "decorate a function that asks the state with @executor.health",
        )


def _ledger(examined: Examined) -> Found:
    long = [one.name for one in examined.registry.handlers if one.timeout_s(examined.settings) > CALL_S]
    if long and examined.settings.ledger is None:
        yield (
            Gravity.ADVICE,
            (
                f"{', '.join(long)}: the work may outlast a call of {CALL_S:g} s, and a ledger in memory forgets at a "
                "restart what was done meanwhile, so it is done twice"
            ),
            f"set {variable_of('ledger')}=/path/to/ledger.sqlite",
        )


def _artifacts(examined: Examined) -> Found:
    keeping = [one.name for one in examined.registry.handlers if "artifact" in _names_in(one.function)]
    if keeping and examined.settings.artifacts_dir is None:
        yield (
            Gravity.ADVICE,
            f"{', '.join(keeping)}: artifacts are kept in memory, and after a restart nobody can follow a reference",
            f"set {variable_of('artifacts_dir')}=/path/to/artifacts",
        )


def _drain(examined: Examined) -> Found:
    longest_s = max((one.timeout_s(examined.settings) for one in examined.registry.handlers), default=0.0)
    stop_s = min(longest_s, STOP_S + examined.settings.drain_s)
    if stop_s > GRACE_S:
        yield (
            Gravity.ADVICE,
            (
                f"a stop lets work end for up to {stop_s:g} s, but `docker stop` kills after {GRACE_S:g} s, Kubernetes "
                "after 30 s"
            ),
            (
                f"give the container {stop_s + 5:g} s (docker stop --time, terminationGracePeriodSeconds), or shorten "
                f"{variable_of('timeout_s')} and {variable_of('drain_s')}"
            ),
        )


def _hosts(examined: Examined) -> Found:
    for entry in examined.settings.allow_hosts:
        host = entry.lower()
        if host in METADATA_HOSTS or host.rpartition(":")[0] in METADATA_HOSTS:
            told = f"allow_hosts has {host}, where any caller may have the credentials of this machine fetched"
            yield Gravity.PROBLEM, told, "take it out"
        elif host.startswith("*."):
            told = (
                f"allow_hosts has {host}: callers may have anything fetched from any private address with such a name"
            )
            yield Gravity.ADVICE, told, "name each host, with its port"


def _files(examined: Examined) -> Found:
    for root in examined.settings.file_roots:
        if any(secret.is_relative_to(root.resolve()) for secret in (*_SECRET, Path.home())):
            told = f"file_roots has {root}: callers may have passwords and keys of this machine read"
            yield Gravity.PROBLEM, told, "name the one folder that holds the data"


def _variables(examined: Examined) -> Found:
    if (told := unread(examined.environment, OPTIONS)) is not None:
        yield Gravity.ADVICE, told, "correct the names; `executor describe --settings` shows all of them"


CHECKS: Final = (
    DefinitionCheck("handlers", "there is something to do", _handlers),
    DefinitionCheck("identity", "provider_family and model_id are names of their own", _identity),
    DefinitionCheck("task-type", "runs find a handler without naming a task type", _task_type),
    DefinitionCheck("vocabulary", "votes can be equal", _vocabulary),
    DefinitionCheck("answer", "each output has the `answer` that runs demand", _answer),
    DefinitionCheck("sample", "sample inputs can be made from each schema", _sample),
    DefinitionCheck("blocking", "no `async def` makes a call that is known to hold up the loop", _blocking),
    DefinitionCheck("thread", "long work can hear that nobody wants it any more", _thread),
    DefinitionCheck("health-check", "nothing is opened that no health check looks at", _health),
    DefinitionCheck("ledger", "no work outlasts what the ledger remembers", _ledger),
    DefinitionCheck("artifacts", "no reference is lost with the process", _artifacts),
    DefinitionCheck("stop", "a stop is over before a container is killed", _drain),
    DefinitionCheck("hosts", "fetches reach no more private hosts than those named", _hosts),
    DefinitionCheck("files", "fetches read no secrets of this machine", _files),
    DefinitionCheck("variables", "every EXECUTOR_ variable means something", _variables),
)


def _is_open(part: Json, schema: Json) -> bool:
    """Whether a value may be any text."""
    while isinstance(part, dict) and "$ref" in part:
        part = referenced(schema, part["$ref"])
    if not isinstance(part, dict):
        return False
    choices = part.get("anyOf") or part.get("oneOf")
    if choices:
        return any(_is_open(one, schema) for one in choices)
    return part.get("type") == "string" and part.keys().isdisjoint({"enum", "const", "pattern"})


def _made_up_urls(schema: Json) -> Iterator[str]:
    for name in schema.get("required", ()):
        part = schema.get("properties", {}).get(name, {})
        is_url = part.get("format") in {"uri", "url"} or name.lower().endswith(("url", "uri"))
        if is_url and part.get("type") == "string" and part.keys().isdisjoint({"examples", "default", "const", "enum"}):
            yield name


def _takes_task(handler: Handler) -> bool:
    sources = (one.source for one in handler.signature.parameters)
    return any(isinstance(source, Fact) and source.kind is Task for source in sources)


def _names_in(function: object) -> set[str]:
    """The names that a function uses, and those that functions inside of it do."""
    codes = [getattr(function, "__code__", None)]
    names: set[str] = set()
    while codes:
        code = codes.pop()
        if isinstance(code, CodeType):
            names.update(code.co_names)
            codes += [one for one in code.co_consts if isinstance(one, CodeType)]
    return names
