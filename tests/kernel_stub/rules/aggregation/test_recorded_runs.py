"""The aggregation against 400 runs recorded from the WattSwarm kernel (wattetheria/wattswarm at fafc797)."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest

from executor_sdk.protocol.plain import Json, parse
from kernel_stub.rules.records import Change, RunStatus
from kernel_stub.rules.spec import SpecError, parse_spec
from tests.kernel_stub.rules.playing import Played

_LINES = gzip.decompress((Path(__file__).parents[3] / "data" / "aggregation_runs.jsonl.gz").read_bytes()).splitlines()
_RUNS = {run["case"]["spec"]["run_id"]: run for run in map(parse, _LINES)}
_REFUSED = [run_id for run_id, run in _RUNS.items() if "submit_error" in run["expected"]]
_PLAYED = [run_id for run_id, run in _RUNS.items() if "rounds" in run["expected"]]


def test_every_recorded_run_is_tested_one_way_or_the_other() -> None:
    """No line of the recording is left out."""
    assert (len(_RUNS), len(_REFUSED), len(_PLAYED)) == (400, 21, 379)
    assert sum(len(_RUNS[run_id]["expected"]["rounds"]) for run_id in _PLAYED) == 506


@pytest.mark.parametrize("run_id", _REFUSED)
def test_a_refused_run_gets_the_recorded_sentence(run_id: str) -> None:
    """What the kernel refuses at submit is refused with the same words."""
    with pytest.raises(SpecError) as refused:
        parse_spec(_RUNS[run_id]["case"]["spec"])

    assert _RUNS[run_id]["expected"]["submit_error"] == refused.value.sentence


@pytest.mark.parametrize("run_id", _PLAYED)
def test_a_run_goes_as_recorded_round_by_round(run_id: str) -> None:
    """After each round: the run's status, the event, the shared inputs, the states of the steps, the result."""
    recorded = _RUNS[run_id]
    played = Played.of(recorded["case"]["spec"])

    for ended, expected in zip(recorded["case"]["rounds"], recorded["expected"]["rounds"], strict=False):
        for step in ended:
            result = _sorted_digests(step.get("result"))
            played.end(step["agent_id"], result, status=step["status"], error=step.get("error"))
        assert json.dumps(expected, sort_keys=True) == json.dumps(_seen(played, played.finish()), sort_keys=True)

    assert played.run.status is RunStatus(recorded["expected"]["rounds"][-1]["run_status"])


def _seen(played: Played, change: Change) -> dict[str, Json]:
    """What the recording shows of a round, as our rows have it."""
    (event,) = change.run_events
    return {
        "run_status": str(played.run.status),
        "event": {"event_type": event.event_type, "payload": event.payload},
        "shared_inputs": played.run.shared_inputs,
        "steps": [[step.agent_id, str(step.status)] for _, step in sorted(played.steps.items())],
        "result": _as_the_kernel_shows_it(played.run.result),
    }


def _as_the_kernel_shows_it(result: dict[str, Json]) -> Json:
    """Without the two keys that are documented for the result, and that the kernel leaves to the event."""
    shown = copy.deepcopy(result)
    if shown:
        del shown["aggregation"]["resolution_paths"], shown["aggregation"]["null_resolution"]
    return shown or None


def _sorted_digests(result: Json) -> Json:
    """The step's result with its digest lists sorted, as the recording has them wherever it shows a result."""
    if isinstance(result, list):
        return [_sorted_digests(item) for item in result]
    if not isinstance(result, dict):
        return result
    return {
        key: sorted(value) if key == "evidence_digests" else _sorted_digests(value) for key, value in result.items()
    }
