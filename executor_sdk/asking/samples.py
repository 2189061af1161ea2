"""Sample tasks: from a file, from the schema that an executor publishes, or as the kernel's documents show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from executor_sdk.asking.from_schema import sample_of
from executor_sdk.client.asks import handlers_of, offered
from executor_sdk.protocol.plain import Json, NotJsonError, parse

Origin = Literal["file", "schema", "documents"]

#: What the documents' three-analyst run sends one of its agents.
DOCUMENTS_INPUTS: Final[Mapping[str, Json]] = {
    "agent_id": "analyst-a",
    "data_url": "https://data.example.com/q3.json",
    "instructions": "Identify the top three revenue drivers and any anomalies.",
    "prompt": "Focus on geographic trends in the revenue data.",
    "topic": "quarterly-revenue-review",
}


class SamplesError(ValueError):
    """The samples file cannot be used; the message says why."""


@dataclass(frozen=True)
class Sample:
    """A task that the executor should be able to do, and where we have it from."""

    task_type: str
    profile: str
    inputs: Json
    origin: Origin


def read_samples(path: Path) -> tuple[Sample, ...]:
    """Samples from a file: `{"samples": [{"task_type"?, "profile"?, "inputs"}]}`; a blank type means the first offered.

    Raises:
        SamplesError: the file is missing, no JSON, or of another shape.
    """
    try:
        document = parse(path.read_bytes())
    except (OSError, NotJsonError) as error:
        raise SamplesError(f"{path}: {error}") from None
    samples = document.get("samples") if isinstance(document, dict) else None
    if not isinstance(samples, list) or not samples or not all(_is_sample(item) for item in samples):
        raise SamplesError(f'{path}: expected {{"samples": [{{"task_type", "profile", "inputs"}}, …]}}, not empty')
    return tuple(Sample(item.get("task_type", ""), item.get("profile", ""), item["inputs"], "file") for item in samples)


def choose(capabilities: Json, given: tuple[Sample, ...], *, task_type: str = "", profile: str = "") -> Sample:
    """The task to ask for: the first given one, or the wanted or first offered type with inputs from its schema."""
    wanted = given[0] if given else None
    task_type, profile = offered(
        capabilities,
        task_type=task_type or (wanted.task_type if wanted else ""),
        profile=profile or (wanted.profile if wanted else ""),
    )
    if wanted is not None:
        return Sample(task_type, profile, wanted.inputs, "file")
    schema = input_schema(capabilities, task_type, profile)
    if schema is None:
        return Sample(task_type, profile, dict(DOCUMENTS_INPUTS), "documents")
    return Sample(task_type, profile, sample_of(schema), "schema")


def input_schema(capabilities: Json, task_type: str, profile: str) -> Json | None:
    """The JSON Schema of the inputs that `/capabilities` publishes for a task type, where it does.

    Understood: `handlers: [{task_type, profiles?, input_schema}]`, and `schemas: {TASK_TYPE: {input}}`.
    """
    if not isinstance(capabilities, dict):
        return None
    for handler in handlers_of(capabilities, task_type):
        if profile in handler.get("profiles", [profile]):
            return _schema(handler, "input_schema", "inputs_schema")
    schemas = capabilities.get("schemas")
    entry = schemas.get(task_type) if isinstance(schemas, dict) else None
    return _schema(entry, "input", "inputs", "input_schema") if isinstance(entry, dict) else None


def _schema(entry: dict[str, Json], *names: str) -> Json | None:
    return next((entry[name] for name in names if isinstance(entry.get(name), dict)), None)


def _is_sample(item: Json) -> bool:
    return (
        isinstance(item, dict)
        and "inputs" in item
        and all(isinstance(item.get(name, ""), str) for name in ("task_type", "profile"))
    )
