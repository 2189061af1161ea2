"""The kernel's rules on a candidate."""

from __future__ import annotations

import orjson
import pytest

from executor_sdk.policies.candidates import Breach, OutputRules, proposal_breaches
from executor_sdk.policies.schemas import UnusableSchemaError
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import sample_contract
from tests.executor_sdk.protocol.recordings import recorded

_RECORDED = recorded("candidates.jsonl")


def make_contract(**changes: Json) -> dict[str, Json]:
    """The contract of every run step, with whole fields changed."""
    return {**sample_contract(task_id="t", task_type="swarm", inputs={}, expiry_ms=1), **changes}


def breaches(answer: dict[str, Json], contract: dict[str, Json]) -> list[Breach]:
    """What `contract` finds wrong in `answer`."""
    return OutputRules.of(contract).breaches(answer)


def make_answer(**changes: Json) -> dict[str, Json]:
    """An answer that may go out, with whole fields changed."""
    return {"candidate_output": {"answer": "x"}, "evidence_inline": [], "evidence_refs": [], **changes}


def make_ref(**changes: Json) -> dict[str, Json]:
    """A well-formed evidence reference, with fields changed."""
    ref = {
        "uri": "https://x",
        "digest": "sha256:a",
        "size_bytes": 1,
        "mime": "text/csv",
        "created_at": 1,
        "producer": "p",
    }
    return {**ref, **changes}


def _text(content: str, mime: str = "text/plain") -> dict[str, Json]:
    return make_answer(evidence_inline=[{"mime": mime, "content": content}])


def _played(case: Json) -> tuple[dict[str, Json], dict[str, Json]]:
    """A recorded case as answer and contract; long texts are written out."""
    output = case.get("candidate_output", {"answer": "x"})
    if isinstance(output, dict) and "length" in output:
        output = {"answer": "x" * output["length"]}
    inline = [
        {"mime": item["mime"], "content": _written_out(item["content"])} for item in case.get("evidence_inline", [])
    ]
    refs = [make_ref(digest=digest) for digest in case.get("evidence_digests", [])]
    contract = make_contract(output_schema=case["output_schema"]) if "output_schema" in case else make_contract()
    return make_answer(candidate_output=output, evidence_inline=inline, evidence_refs=refs), contract


def _written_out(content: Json) -> Json:
    if isinstance(content, str):
        return content
    return (content["repeat"] * content["length"])[: content["length"]]


@pytest.mark.parametrize("case", _RECORDED, ids=lambda case: case["what"])
def test_a_recorded_candidate_is_accepted_or_refused_with_the_kernels_sentence(case: Json) -> None:
    """Every output and evidence that was tried on a kernel."""
    found = breaches(*_played(case))

    expected = [] if case["error"] is None else [case["error"].removeprefix("invalid event: ")]
    assert [breach.rule for breach in found] == expected


@pytest.mark.parametrize("case", [case for case in _RECORDED if case["error"]], ids=lambda case: case["what"])
def test_what_a_kernel_refuses_when_proposed_is_apart_from_what_its_verifier_fails(case: Json) -> None:
    """A kernel still has the misfit verified; only breaches of the proposal's own rules end it at once."""
    found = proposal_breaches(*_played(case))

    assert [breach.rule for breach in found] == [
        case["error"].removeprefix("invalid event: ") for _ in range(case["error"].startswith("invalid event: "))
    ]


def test_an_author_hears_where_and_what_to_do() -> None:
    """Path and sentence for each misfit, ready for the details of an error body."""
    [missing, wrong] = sorted(
        breaches(make_answer(candidate_output={"confidence": "high"}), make_contract()), key=lambda breach: breach.path
    )

    assert (missing.path, wrong.path) == ("candidate_output", "candidate_output.confidence")
    assert wrong.details() == {
        "path": "candidate_output.confidence",
        "rule": "verifier did not pass candidate; reason_codes=[101]",
        "advice": 'make it fit output_schema: "high" is not of type "number"',
    }
    assert str(missing).endswith('make it fit output_schema: "answer" is a required property')


def test_every_breach_is_told_not_only_the_first() -> None:
    """One round of corrections should do."""
    answer = make_answer(
        candidate_output={},
        evidence_inline=[{"mime": "image/png", "content": ""}],
        evidence_refs=[make_ref(digest=" ")],
    )

    assert [breach.path for breach in breaches(answer, make_contract())] == [
        "evidence_inline[0]",
        "evidence_refs[0].digest",
        "candidate_output",
    ]


def test_a_list_is_an_output_where_the_schema_asks_for_one() -> None:
    """Only a schema that asks for nothing leaves a list without an answer; null is never an output."""
    listing = make_contract(output_schema={"type": "array"})

    assert breaches(make_answer(candidate_output=[1]), listing) == []
    assert len(breaches(make_answer(candidate_output=None), make_contract(output_schema={"type": "null"}))) == 1


@pytest.mark.parametrize(
    ("ref", "rule"),
    [
        (3, "artifact_ref.uri required"),
        ({"digest": "sha256:a"}, "artifact_ref.uri required"),
        (make_ref(mime=None), "artifact_ref.mime required"),
        (make_ref(size_bytes=-1), "artifact_ref.size_bytes required"),
        (make_ref(size_bytes=True), "artifact_ref.size_bytes required"),
        (make_ref(created_at=1.5), "artifact_ref.created_at required"),
        (make_ref(created_at=2**64), "artifact_ref.created_at required"),
    ],
    ids=range(7),
)
def test_a_malformed_reference_is_told_by_its_field(ref: Json, rule: str) -> None:
    """Sizes and times are unsigned 64-bit integers for the kernel."""
    [breach] = breaches(make_answer(evidence_refs=[make_ref(), ref]), make_contract())

    assert (breach.rule, breach.path) == (rule, "evidence_refs[1]")


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"candidate_output": {"answer": "x"}}, "evidence_inline"),
        (make_answer(evidence_refs=None), "evidence_refs"),
        (make_answer(evidence_inline=[3]), "evidence_inline[0]"),
        (make_answer(evidence_inline=[{"mime": "text/plain"}]), "evidence_inline[0]"),
        (_text("\ud800"), "evidence_inline[0]"),
        (_text("[" * 128 + "]" * 128, "application/json"), "evidence_inline[0]"),
        (make_answer(candidate_output={"answer": "\ud800"}), "candidate_output"),
        (make_answer(candidate_output={"answer": object()}), "candidate_output"),
        (make_answer(evidence_refs=[make_ref(uri="\ud800")]), "evidence_inline"),
    ],
    ids=range(9),
)
def test_what_cannot_be_sent_is_a_breach_not_a_crash(answer: Json, path: str) -> None:
    """Missing lists, wrong shapes, half surrogates, Python objects."""
    assert path in [breach.path for breach in breaches(answer, make_contract())]


def test_depth_is_bounded_before_anything_recurses() -> None:
    """An output of 60 levels fits into a verify body; 61 do not, thousands do no harm."""
    for levels, count in ((60, 0), (61, 1), (250, 1), (5_000, 1)):
        output: Json = {}
        for _ in range(levels - 1):
            output = {"n": output}
        assert (
            len(breaches(make_answer(candidate_output=output), make_contract(output_schema={"type": "object"})))
            == count
        )


def test_evidence_that_makes_the_event_too_large_is_a_breach() -> None:
    """Each part within its own limit, all together beyond the 131,072 bytes of an event."""
    text = {"mime": "text/plain", "content": "x " * 30_000}

    assert breaches(make_answer(evidence_inline=[text] * 2), make_contract()) == []
    [breach] = breaches(make_answer(evidence_inline=[text] * 3), make_contract())
    assert breach.rule == "candidate event exceeds max bytes"


def test_a_contract_may_allow_more_types_and_fewer_bytes() -> None:
    """Its evidence policy decides; where it is not readable, what every contract must say decides."""
    html = _text("<p>", "text/html")

    wider = make_contract(evidence_policy={"inline_mime_allowlist": ["text/html"], "max_inline_evidence_bytes": 3})
    assert breaches(html, wider) == []
    assert [breach.rule for breach in breaches(_text("<p>!", "text/html"), wider)] == [
        "inline evidence exceeds max bytes"
    ]
    for odd in (None, 3, {}, {"inline_mime_allowlist": 7, "max_inline_evidence_bytes": "x"}):
        assert breaches(_text("ok"), make_contract(evidence_policy=odd)) == []
        assert len(breaches(html, make_contract(evidence_policy=odd))) == 1


def test_bytes_not_characters_are_counted() -> None:
    """Two bytes for each é."""
    assert breaches(_text("é" * 32_768), make_contract()) == []
    assert len(breaches(_text("é" * 32_769), make_contract())) == 1


def test_an_unusable_schema_is_told_as_such() -> None:
    """The contract is at fault, and the advice says so."""
    contract = make_contract(output_schema={"$ref": "https://example.test/schema"})

    [breach] = breaches(make_answer(), contract)

    assert "the contract's output_schema cannot be checked: $ref" in breach.advice
    assert len(breaches(make_answer(candidate_output={"answer": "x" * 70_000}), contract)) == 1


def test_texts_of_one_schema_share_a_digest_and_other_schemas_do_not() -> None:
    """White space and the order of keys are the same schema; a keyword more is another one."""
    digests = [
        OutputRules.read(text).digest()
        for text in (
            b'{"type":"object","required":["a"]}',
            b' {"required": ["a"],\n "type": "object"}',
            b'{"type":"object","required":["b"]}',
        )
    ]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
    assert len(digests[0]) == 32


@pytest.mark.parametrize(
    ("text", "reason"),
    [(b"null", "no object"), (b"true", "no object"), (b'{"type":"objekt"}', "objekt"), (b"{", "not JSON")],
)
def test_rules_without_a_usable_schema_say_why(text: bytes, reason: str) -> None:
    """Before any work is done, once for every attempt."""
    with pytest.raises(UnusableSchemaError, match=reason):
        OutputRules.read(text).digest()


def test_rules_read_from_texts_are_the_rules_of_the_contract() -> None:
    """A policy too long to be kept is read just the same."""
    html = _text("<p>", "text/html")
    policy = {"inline_mime_allowlist": ["text/html"], "max_inline_evidence_bytes": 3}
    for padding in (0, 5_000):
        text = orjson.dumps({**policy, "note": "x" * padding})
        rules = OutputRules.read(b'{"type":"object"}', text)

        assert rules.breaches(html) == rules.breaches(html, encoded=orjson.dumps(html)) == []
        assert len(rules.breaches(_text("<p>!", "text/html"))) == 1


@pytest.mark.parametrize(
    "text", [b"[" * 100 + b"]" * 100, b'{"inline_mime_allowlist":["text/html"' + b" " * 70_000 + b"]}"]
)
def test_an_evidence_policy_too_deep_or_too_long_to_read_leaves_what_every_contract_says(text: bytes) -> None:
    """As one that is no object."""
    rules = OutputRules.read(b'{"type":"object"}', text)

    assert rules.breaches(_text("ok")) == []
    assert [breach.rule for breach in rules.breaches(_text("<p>", "text/html"))] == ["inline mime not allowlisted"]
