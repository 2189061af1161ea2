"""Checks of `GET /health` and `GET /capabilities`."""

from __future__ import annotations

from typing import Final

from executor_sdk.conformance.results import BrokenError, NotTestableError, Requirement, Source
from executor_sdk.conformance.target import Probe
from executor_sdk.protocol.plain import Json

LISTS: Final = ("task_types", "profiles")
NAMES: Final = ("provider_family", "model_id")


@Requirement(
    id="EXC-HEALTH-001",
    title="GET /health answers 2xx",
    quote='Returns {"ok": true} if the executor responds with a 2xx status code.',
    source=Source.DOCUMENTS,
    mutant="answers GET /health with 500",
)
async def health_answers_2xx(probe: Probe) -> None:
    """The body is free; the kernel does not read it."""
    answer = await probe.get("/health")
    if not 200 <= answer.status < 300:
        raise BrokenError(f"GET /health answered {answer}")


@Requirement(
    id="EXC-CAPS-001",
    title="GET /capabilities answers the four fields with their types",
    quote="decoded; all four fields are required",
    source=Source.RECORDING,
    mutant="leaves model_id out of /capabilities",
)
async def the_four_fields_are_there(probe: Probe) -> None:
    """Further keys are free."""
    answer = await probe.get("/capabilities")
    if not 200 <= answer.status < 300 or not isinstance(answer.json, dict):
        raise BrokenError(f"GET /capabilities answered {answer}, expected a JSON object")
    lists = [name for name in LISTS if not _is_list_of_str(answer.json.get(name))]
    if lists:
        raise BrokenError(f"/capabilities: {' and '.join(lists)} must be an array of strings")
    names = [name for name in NAMES if not isinstance(answer.json.get(name), str)]
    if names:
        raise BrokenError(f"/capabilities: {' and '.join(names)} must be a string")


@Requirement(
    id="EXC-CAPS-002",
    title="None of the four fields is blank or empty",
    quote="stable id of the family; keys reputation together with model_id; must not be blank",
    source=Source.DOCUMENTS,
    prerequisite="EXC-CAPS-001",
    mutant="has provider_family of white space in /capabilities",
)
async def none_of_them_is_blank(probe: Probe) -> None:
    """A field that is missing altogether is not judged again here."""
    offered = await probe.capabilities()
    if not isinstance(offered, dict) or not any(name in offered for name in (*LISTS, *NAMES)):
        raise NotTestableError("GET /capabilities gives none of the four fields")
    blank = [name for name in (*LISTS, *NAMES) if name in offered and _is_blank(offered[name])]
    if blank:
        raise BrokenError(f"/capabilities: {' and '.join(blank)} must not be blank")


def _is_list_of_str(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_blank(value: Json) -> bool:
    if isinstance(value, list):
        return not value or any(_is_blank(item) for item in value)
    return isinstance(value, str) and not value.strip()
