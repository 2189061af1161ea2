"""Run specifications that nobody should send: each gets a sentence with its place, none a crash."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random

import orjson
import pytest

from executor_sdk.protocol.plain import Json, parse
from kernel_stub.rules.spec import MAX_FIELDS, SpecError, new_run, parse_spec
from tests.kernel_stub.rules.playing import NOW_MS, make_spec

_EVERYTHING: Json = {
    "run_id": "r",
    "task_type": "swarm",
    "shared_inputs": {"topic": "t"},
    "agents": [
        {
            "agent_id": "a",
            "executor": "rt",
            "profile": "default",
            "prompt": "p",
            "weight": 1.0,
            "priority": 0,
            "verifier": "v",
        }
    ],
    "retry": {"max_attempts": 2, "backoff_ms": 1500},
    "aggregation": {
        "mode": "all_done",
        "quorum": 2,
        "tie_policy": {
            "enabled_on": ["TIE"],
            "chain": ["STOCHASTIC"],
            "reexplore": {"max_tie_iterations": 1, "no_new_evidence_rounds": 1, "require_new_evidence": True},
            "confidence_weighted": {
                "decision_confidence_field": "d",
                "answer_confidence_field": "a",
                "confidence_field": "c",
                "default_confidence": 0.5,
            },
            "reputation_weighted": {"agent_reputation_units": {"a": 1}, "missing_reputation": "SKIP"},
        },
        "null_policy": {
            "enabled_on": ["EMPTY"],
            "chain": ["FINALIZE_NULL"],
            "reexplore": {"max_tie_iterations": 1, "no_new_evidence_rounds": 1, "require_new_evidence": True},
        },
    },
    "verifier": "v",
    "task_template": {},
}

_MISFITS: list[Json] = [
    None,
    True,
    0,
    -1,
    2**64 - 1,
    2.0**64,
    1e308,
    0.5,
    "",
    "x",
    "\x00",
    [],
    [None],
    {},
    {"a": None},
    [[[]]],
]

#: Places where anything may stand.
_FREE = "shared_inputs"


def _places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _with(place: tuple[str | int, ...], misfit: Json) -> Json:
    spec = copy.deepcopy(_EVERYTHING)
    part = spec
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = misfit
    return spec


def _written(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


def _refusal(spec: Json) -> SpecError | None:
    """How a specification is refused; None if a run can be made and stored of it."""
    try:
        run, _ = new_run(parse_spec(spec), NOW_MS)
    except SpecError as refused:
        return refused
    orjson.dumps(run.spec)
    return None


@pytest.mark.parametrize("place", list(_places(_EVERYTHING)), ids=_written)
def test_a_wrong_value_anywhere_is_told_with_its_place_or_taken(place: tuple[str | int, ...]) -> None:
    """Every key gets every misfit: either a valid run comes of it, or one sentence that names the place."""
    refusals = [refused for misfit in _MISFITS if (refused := _refusal(_with(place, misfit)))]

    for refused in refusals:
        assert refused.sentence == refused.fields[0][1]
        assert len(refused.sentence) < 300
        assert all(path.startswith((_written(place), "agents")) for path, _ in refused.fields), refused.fields
    free = _written(place).startswith(_FREE)
    assert free == (not refusals)


def test_whatever_shape_a_specification_has_it_is_refused_in_words() -> None:
    """Bodies that are no object at all."""
    for body in _MISFITS:
        with pytest.raises(SpecError) as refused:
            parse_spec(body)

        assert refused.value.sentence


@pytest.mark.parametrize(
    ("change", "path", "sentence"),
    [
        ({"run_id": 7}, "run_id", "run_id must be text, not 7"),
        ({"agents": [1]}, "agents[0]", "agents[0] must be an object, not 1"),
        ({"agents": {"a": 1}}, "agents", "agents must be an array, not an object"),
        ({"retry": {"max_attempts": "2"}}, "retry.max_attempts", 'retry.max_attempts must be a whole number, not "2"'),
        ({"retry": {"max_attempts": 1.5}}, "retry.max_attempts", "retry.max_attempts must be a whole number, not 1.5"),
        (
            {"retry": {"max_attempts": True}},
            "retry.max_attempts",
            "retry.max_attempts must be a whole number, not true",
        ),
        (
            {"retry": {"max_attempts": 2**32}},
            "retry.max_attempts",
            "retry.max_attempts must be at most 4294967295, not 4294967296",
        ),
        ({"retry": {"backoff_ms": -1}}, "retry.backoff_ms", "retry.backoff_ms must be at least 0, not -1"),
        ({"retry": []}, "retry", "retry must be an object, not an array"),
        ({"retry": None}, "retry", "retry must be an object, not null"),
        ({"aggregation": {"mode": None}}, "aggregation.mode", "aggregation.mode must be text, not null"),
        (
            {"aggregation": {"null_policy": {"chain": ["COIN"]}}},
            "aggregation.null_policy.chain[0]",
            "unknown variant `COIN`, expected `REEXPLORE` or `FINALIZE_NULL`",
        ),
        (
            {"aggregation": {"null_policy": {"chain": [3]}}},
            "aggregation.null_policy.chain[0]",
            "aggregation.null_policy.chain[0] must be one of `REEXPLORE`, `FINALIZE_NULL`, not 3",
        ),
        (
            {"aggregation": {"tie_policy": {"reputation_weighted": {"agent_reputation_units": {"a": 0.5}}}}},
            "aggregation.tie_policy.reputation_weighted.agent_reputation_units.a",
            "aggregation.tie_policy.reputation_weighted.agent_reputation_units.a must be a whole number, not 0.5",
        ),
        (
            {"aggregation": {"tie_policy": {"reexplore": {"require_new_evidence": "yes"}}}},
            "aggregation.tie_policy.reexplore.require_new_evidence",
            'aggregation.tie_policy.reexplore.require_new_evidence must be true or false, not "yes"',
        ),
    ],
)
def test_a_wrong_type_is_told_with_what_belongs_there(change: Json, path: str, sentence: str) -> None:
    """The sentence says where, what belongs there, and what came."""
    with pytest.raises(SpecError) as refused:
        parse_spec(make_spec(**change))

    assert refused.value.fields == ((path, sentence),)


def test_numbers_that_are_no_numbers_are_refused() -> None:
    """JSON cannot say them, but a caller inside this process can."""
    for odd in (float("nan"), float("inf")):
        with pytest.raises(SpecError, match="must be a finite number"):
            parse_spec(make_spec(agents=[{"agent_id": "a", "executor": "rt", "prompt": "p", "weight": odd}]))


def test_an_integer_beyond_64_bits_is_a_float_as_everywhere() -> None:
    """A weight may be one, a count may not."""
    huge = parse(b"123456789012345678901234567890")
    agent = {"agent_id": "a", "executor": "rt", "prompt": "p", "weight": huge}

    assert parse_spec(make_spec(agents=[agent])).agents[0].weight == 1.2345678901234568e29
    with pytest.raises(SpecError, match="must be a whole number"):
        parse_spec(make_spec(aggregation={"quorum": huge}))


def test_ten_thousand_wrong_places_give_a_handful_of_sentences() -> None:
    """An answer stays small however much is wrong."""
    blank = [{"agent_id": "", "executor": "", "prompt": ""}] * 10_000
    units = {f"agent-{n}": "x" for n in range(10_000)}
    policy = {"tie_policy": {"reputation_weighted": {"agent_reputation_units": units}}}

    for spec in (make_spec(agents=blank), make_spec(agents=[1] * 100_000), make_spec(aggregation=policy)):
        with pytest.raises(SpecError) as refused:
            parse_spec(spec)

        assert 1 <= len(refused.value.fields) <= MAX_FIELDS


def test_long_values_are_cut_in_sentences() -> None:
    """A megabyte where a number belongs is not sent back."""
    with pytest.raises(SpecError) as refused:
        parse_spec(make_spec(retry={"max_attempts": "x" * 1_000_000}))
    assert len(refused.value.sentence) < 120

    with pytest.raises(SpecError) as refused:
        parse_spec(make_spec(aggregation={"tie_policy": {"chain": ["x" * 1_000_000]}}))
    assert len(refused.value.sentence) < 200


def test_random_rubbish_never_crashes_the_parser() -> None:
    """Two thousand specifications with several misfits each, from a fixed seed."""
    dice = Random(17)
    places = list(_places(_EVERYTHING))
    for _ in range(2_000):
        spec = copy.deepcopy(_EVERYTHING)
        for place in dice.sample(places, 3):
            part: Json = spec
            try:
                for key in place[:-1]:
                    part = part[key]
                part[place[-1]] = copy.deepcopy(dice.choice(_MISFITS))
            except (TypeError, KeyError, IndexError):
                continue  # an earlier misfit has taken the place away

        refused = _refusal(spec)

        assert refused is None or refused.fields
