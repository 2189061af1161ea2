"""The report of a run: verdicts as one JSON document and as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from executor_sdk.conformance.manifest import REQUIREMENTS
from executor_sdk.conformance.results import Grade, Requirement, Result
from executor_sdk.protocol.plain import Json

#: Version of the report's shape; a reader checks it first.
SCHEMA_VERSION: Final = 1

#: What a reader wants to see first.
_ORDER: Final = (Grade.ERROR, Grade.NOT_TESTED, Grade.FAIL, Grade.WARN, Grade.PASS)

_IDENTITY: Final = ("provider_family", "model_id", "task_types", "profiles")


def complete(results: Mapping[str, Result]) -> list[tuple[Requirement, Result]]:
    """Every requirement of the manifest with its result; what was not selected is not tested."""
    return [
        (requirement, results.get(requirement.id, Result(requirement.id, Grade.NOT_TESTED, "not selected")))
        for requirement in REQUIREMENTS
    ]


def document(results: Mapping[str, Result], *, address: str, capabilities: Json) -> dict[str, Json]:
    """The report as plain JSON."""
    lines = complete(results)
    counts = Counter(result.verdict for _, result in lines)
    known = capabilities if isinstance(capabilities, dict) else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "suite_version": _suite_version(),
        "executor": {"address": address} | {field: known.get(field) for field in _IDENTITY},
        "conforms": conforms(results),
        "score": {"passed": counts[Grade.PASS], "of": len(lines)},
        "totals": {str(verdict): counts[verdict] for verdict in Grade},
        "requirements": [_line(requirement, result) for requirement, result in lines],
    }


def conforms(results: Mapping[str, Result]) -> bool:
    """Whether everything was tested and no MUST is broken; warnings are allowed."""
    return all(result.verdict in (Grade.PASS, Grade.WARN) for _, result in complete(results))


def unpassed(results: Mapping[str, Result]) -> list[tuple[Requirement, Result]]:
    """Everything that is no pass, the gravest first."""
    lines = complete(results)
    return [line for verdict in _ORDER[:-1] for line in lines if line[1].verdict is verdict]


def summary(results: Mapping[str, Result]) -> Sequence[str]:
    """What a terminal shows: everything that is no pass, the gravest first, and the score."""
    lines = complete(results)
    told = [
        f"{result.verdict.upper():<10} {requirement.id}  {requirement.title}\n{'':<11}{result.reason}"
        for requirement, result in unpassed(results)
    ]
    counts = Counter(str(result.verdict) for _, result in lines)
    tally = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    verdict = "the executor conforms" if conforms(results) else "the executor does NOT conform"
    return [*told, f"{verdict}: {counts['pass']} of {len(lines)} requirements passed ({tally})"]


def facts(requirement: Requirement) -> dict[str, Json]:
    """A requirement as plain JSON."""
    return {key: None if value is None else str(value) for key, value in asdict(requirement).items()}


def _line(requirement: Requirement, result: Result) -> dict[str, Json]:
    outcome = result.document()
    del outcome["requirement_id"]
    return facts(requirement) | outcome


def _suite_version() -> str:
    try:
        return version("executor-sdk")
    except PackageNotFoundError:
        return "unknown"
