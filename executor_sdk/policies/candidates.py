"""What a candidate must meet: the kernel's rules on an output and its evidence, each with what an author can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from executor_sdk.policies.schemas import UnusableSchemaError, misfits
from executor_sdk.policies.smuggling import hides_media
from executor_sdk.protocol.plain import Json, NotJsonError, depth, parse
from executor_sdk.protocol.requests import INLINE_MIME_TYPES, MAX_INLINE_EVIDENCE_BYTES, MAX_OUTPUT_BYTES

#: Levels of an output: the verify body that carries it has two more and may have 64.
MAX_OUTPUT_DEPTH: Final = 60

#: Levels of JSON in an inline evidence: the kernel's parser stops at 128.
MAX_INLINE_DEPTH: Final = 127

#: Bytes of the signed event that proposes a candidate, and what its frame takes of them.
MAX_EVENT_BYTES: Final = 131_072
EVENT_FRAME_BYTES: Final = 2_048

MISFIT: Final = "verifier did not pass candidate; reason_codes=[101]"

_MAX_UINT: Final = 2**64 - 1
_REF_TEXTS: Final = ("uri", "digest", "mime", "producer")
_REF_NUMBERS: Final = ("size_bytes", "created_at")


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that an answer breaks: the kernel's sentence for it, where, and what to do about it."""

    rule: str
    path: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}; {self.advice}"

    def details(self) -> dict[str, Json]:
        """Plain JSON for the details of an error body."""
        return {"path": self.path, "rule": self.rule, "advice": self.advice}


def breaches(answer: Mapping[str, Json], contract: Mapping[str, Json], *, encoded: bytes | None = None) -> list[Breach]:
    """Everything in an answer to `/execute` that a kernel would refuse, and where the output breaks its schema.

    `answer` is plain JSON (parsed, or through `plain.checked`); an empty list means that it may go out. `encoded` are
    its bytes, from a caller who has them: small and flat as a whole, it is so in every part.
    """
    output = answer.get("candidate_output")
    if encoded is not None and _small_and_flat(encoded):
        found = _evidence_breaches(answer, contract, None)
        return found + _schema_breaches(output, contract, len(encoded))
    size_bytes, found = _output_breaches(output)
    found += _evidence_breaches(answer, contract, size_bytes)
    # What is too large or no JSON is not worth a closer look.
    return found if size_bytes is None else found + _schema_breaches(output, contract, size_bytes)


def _small_and_flat(encoded: bytes) -> bool:
    brackets = encoded.count(b"{") + encoded.count(b"[")
    return len(encoded) <= MAX_OUTPUT_BYTES and brackets <= MAX_OUTPUT_DEPTH


def proposal_breaches(answer: Mapping[str, Json], contract: Mapping[str, Json]) -> list[Breach]:
    """What a kernel refuses when a candidate is proposed, before anyone verifies it; each rule is what it then says."""
    size_bytes, found = _output_breaches(answer.get("candidate_output"))
    return found + _evidence_breaches(answer, contract, size_bytes)


def schema_breaches(output: Json, contract: Mapping[str, Json]) -> list[Breach]:
    """Where `output` breaks the contract's schema, by the kernel's minimal check or by the whole of JSON Schema."""
    size_bytes, found = _output_breaches(output)
    return found if size_bytes is None else _schema_breaches(output, contract, size_bytes)


def _schema_breaches(output: Json, contract: Mapping[str, Json], size_bytes: int) -> list[Breach]:
    schema = contract.get("output_schema")
    if output is None or schema == {}:
        return [] if isinstance(output, dict) else [_no_object(output)]
    try:
        found = misfits(schema, output, size_bytes=size_bytes)
    except UnusableSchemaError as error:
        return [Breach(MISFIT, "candidate_output", f"the contract's output_schema cannot be checked: {error}")]
    return [Breach(MISFIT, _in_output(error.path), f"make it fit output_schema: {error.sentence}") for error in found]


def _output_breaches(output: Json) -> tuple[int | None, list[Breach]]:
    """The compact size of `output`, None where it breaks a rule itself."""
    path = "candidate_output"
    try:
        body = orjson.dumps(output)
    except orjson.JSONEncodeError as error:
        return None, [Breach("candidate_output is not JSON", path, f"return plain JSON: {error}")]
    if len(body) > MAX_OUTPUT_BYTES:
        advice = f"it has {len(body)} bytes of {MAX_OUTPUT_BYTES}; keep the bulk as an artifact and cite it"
        return None, [Breach("candidate structured summary exceeds limit", path, advice)]
    if body.count(b"{") + body.count(b"[") > MAX_OUTPUT_DEPTH and depth(output) > MAX_OUTPUT_DEPTH:
        return None, [Breach(f"candidate_output is nested deeper than {MAX_OUTPUT_DEPTH}", path, "flatten it")]
    return len(body), []


def _evidence_breaches(
    answer: Mapping[str, Json], contract: Mapping[str, Json], output_bytes: int | None
) -> list[Breach]:
    found: list[Breach] = []
    inline, refs = answer.get("evidence_inline"), answer.get("evidence_refs")
    for items, path in ((inline, "evidence_inline"), (refs, "evidence_refs")):
        if not isinstance(items, list):
            found.append(Breach(f"{path} must be an array", path, "send [] when there is none"))
    if isinstance(inline, list) and inline:
        found.extend(_inline_breaches(inline, contract))
    if isinstance(refs, list) and refs:
        found.extend(_ref_breaches(refs))
    if (inline or refs) and not found and output_bytes is not None:
        found.extend(_event_breaches(output_bytes, inline, refs))
    return found


def _inline_breaches(items: Sequence[Json], contract: Mapping[str, Json]) -> Iterator[Breach]:
    allowed, limit = _inline_limits(contract.get("evidence_policy"))
    for n, item in enumerate(items):
        path = f"evidence_inline[{n}]"
        mime, content = (item.get("mime"), item.get("content")) if isinstance(item, dict) else (None, None)
        if not isinstance(mime, str) or not isinstance(content, str):
            yield Breach("inline evidence must be {mime, content}", path, "both are strings")
        elif (breach := _inline_breach(mime, content, path, allowed, limit)) is not None:
            yield breach


def _inline_limits(policy: Json) -> tuple[Sequence[str], int]:
    """The contract's MIME types and size; what every contract must say where this one is not readable."""
    policy = policy if isinstance(policy, dict) else {}
    allowed, limit = policy.get("inline_mime_allowlist"), policy.get("max_inline_evidence_bytes")
    return (
        allowed if isinstance(allowed, list) else INLINE_MIME_TYPES,
        min(limit, MAX_INLINE_EVIDENCE_BYTES) if isinstance(limit, int) else MAX_INLINE_EVIDENCE_BYTES,
    )


def _inline_breach(mime: str, content: str, path: str, allowed: Sequence[str], limit: int) -> Breach | None:
    """The first rule that one inline evidence breaks, in the kernel's order."""
    if mime.startswith(("image/", "video/", "audio/")):
        return Breach("inline media is forbidden", path, "keep it as an artifact and cite it by reference")
    if mime not in allowed:
        return Breach("inline mime not allowlisted", path, f"{mime[:80]!r} is not one of {_listed(allowed)}")
    if (size := _size_bytes(content)) is None:
        return Breach("inline evidence is not JSON", path, "half of a surrogate pair cannot be sent as UTF-8")
    if size > limit:
        return Breach("inline evidence exceeds max bytes", path, f"it has {size} of {limit}; keep it as an artifact")
    return _content_breach(mime, content, path)


def _content_breach(mime: str, content: str, path: str) -> Breach | None:
    if mime == "application/json" and not _is_json(content):
        return Breach("application/json inline evidence must be valid json", path, "send JSON text, or text/plain")
    if hides_media(content):
        rule = "inline media payload detected (including base64/data-uri)"
        return Breach(rule, path, "keep the picture, sound or film as an artifact and cite it by reference")
    return None


def _ref_breaches(refs: Sequence[Json]) -> Iterator[Breach]:
    for n, ref in enumerate(refs):
        path = f"evidence_refs[{n}]"
        if (field := _ill_typed(ref)) is not None:
            yield Breach(f"artifact_ref.{field} required", path, f"it needs {_listed(_REF_TEXTS + _REF_NUMBERS)}")
        elif not ref["digest"].strip():
            yield Breach("artifact_ref.digest required", f"{path}.digest", "write sha256: and the digest of its bytes")


def _ill_typed(ref: Json) -> str | None:
    """The first field of a reference that is missing or has another type; sizes and times are unsigned 64-bit."""
    if not isinstance(ref, dict):
        return "uri"
    for field in _REF_TEXTS:
        if not isinstance(ref.get(field), str):
            return field
    for field in _REF_NUMBERS:
        value = ref.get(field)
        if type(value) is not int or not 0 <= value <= _MAX_UINT:
            return field
    return None


def _event_breaches(output_bytes: int, inline: Any, refs: Any) -> Iterator[Breach]:
    try:
        size = output_bytes + len(orjson.dumps((inline, refs))) + EVENT_FRAME_BYTES
    except orjson.JSONEncodeError as error:
        yield Breach("evidence is not JSON", "evidence_inline", str(error))
        return
    if size > MAX_EVENT_BYTES:
        advice = f"output and evidence together are about {size} bytes of {MAX_EVENT_BYTES}; keep the bulk as artifacts"
        yield Breach("candidate event exceeds max bytes", "evidence_inline", advice)


def _no_object(output: Json) -> Breach:
    """Null is never an output; and where a schema asks for nothing, whatever is no object was recorded as refused."""
    kind = "null" if output is None else type(output).__name__
    return Breach(MISFIT, "candidate_output", f"return an object with the string `answer`, not {kind}")


def _listed(words: Sequence[object]) -> str:
    return ", ".join(str(word)[:80] for word in words[:10])


def _in_output(path: str) -> str:
    return f"candidate_output{path[1:]}"


def _size_bytes(content: str) -> int | None:
    if content.isascii():
        return len(content)
    try:
        return len(content.encode())
    except UnicodeEncodeError:
        return None


def _is_json(content: str) -> bool:
    try:
        parse(content.encode(), max_depth=MAX_INLINE_DEPTH)
    except NotJsonError:
        return False
    return True
