"""What a candidate must meet: the kernel's rules on an output and its evidence, each with what an author can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

import orjson
from msgspec import Struct

from executor_sdk.policies.compiled import compiled
from executor_sdk.policies.schemas import UnusableSchemaError, check_usable, misfits
from executor_sdk.policies.smuggling import hides_media
from executor_sdk.protocol.plain import Json, NotJsonError, is_deeper, parse
from executor_sdk.protocol.requests import INLINE_MIME_TYPES, MAX_INLINE_EVIDENCE_BYTES, MAX_OUTPUT_BYTES

#: Levels of an output: the verify body that carries it has two more and may have 64.
MAX_OUTPUT_DEPTH: Final = 60

#: Levels of JSON in an inline evidence: the kernel's parser stops at 128.
MAX_INLINE_DEPTH: Final = 127

#: Bytes of the signed event that proposes a candidate, and what its frame takes of them.
MAX_EVENT_BYTES: Final = 131_072
EVENT_FRAME_BYTES: Final = 2_048

#: Bytes of an evidence policy that is read at all, and of one that is worth keeping.
_MAX_POLICY_BYTES: Final = 65_536
_KEPT_POLICY_BYTES: Final = 4_096

MISFIT: Final = "verifier did not pass candidate; reason_codes=[101]"

_MAX_UINT: Final = 2**64 - 1
_REF_TEXTS: Final = ("uri", "digest", "mime", "producer")
_REF_NUMBERS: Final = ("size_bytes", "created_at")


class Breach(Struct, frozen=True):
    """A rule that an answer breaks: the kernel's sentence for it, where, and what to do about it."""

    rule: str
    path: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}; {self.advice}"

    def details(self) -> dict[str, Json]:
        """Plain JSON for the details of an error body."""
        return {"path": self.path, "rule": self.rule, "advice": self.advice}


class _Inline(NamedTuple):
    """What a contract allows for one inline evidence."""

    mimes: Sequence[str]
    max_bytes: int


class OutputRules(NamedTuple):
    """What one contract asks of an answer to `/execute`; its schema is compiled once for each distinct text.

    Rules hold the text only: however many requests wait with theirs, compiled schemas stay within their bound.
    """

    schema: bytes
    inline: _Inline

    @classmethod
    def read(cls, schema: bytes, evidence_policy: bytes | None = None) -> Self:
        """The rules from two members of a contract as they came: `output_schema` and `evidence_policy`."""
        return cls(schema, _inline(evidence_policy or b"null"))

    @classmethod
    def of(cls, contract: Mapping[str, Json]) -> Self:
        """The rules of a contract in plain JSON."""
        return cls.read(orjson.dumps(contract.get("output_schema")), orjson.dumps(contract.get("evidence_policy")))

    def digest(self) -> str:
        """32 hex digits that stand for the schema, whatever its white space and the order of its keys.

        Raises:
            UnusableSchemaError: no output can be checked against the schema; the message says why.
        """
        return check_usable(self.schema).digest

    def breaches(self, answer: Mapping[str, Json], *, encoded: bytes | None = None) -> list[Breach]:
        """Everything in an answer that a kernel would refuse, and where the output breaks its schema.

        `answer` is plain JSON (parsed, or through `plain.checked`); an empty list means that it may go out. `encoded`
        are its bytes, from a caller who has them: small and flat as a whole, it is so in every part.
        """
        output = answer.get("candidate_output")
        if encoded is not None and _small_and_flat(encoded):
            found = _evidence_breaches(answer, self.inline, None)
            return found + _schema_breaches(output, self.schema, len(encoded))
        size_bytes, found = _output_breaches(output)
        found += _evidence_breaches(answer, self.inline, size_bytes)
        # What is too large or no JSON is not worth a closer look.
        return found if size_bytes is None else found + _schema_breaches(output, self.schema, size_bytes)


def _small_and_flat(encoded: bytes) -> bool:
    brackets = encoded.count(b"{") + encoded.count(b"[")
    return len(encoded) <= MAX_OUTPUT_BYTES and brackets <= MAX_OUTPUT_DEPTH


def proposal_breaches(answer: Mapping[str, Json], contract: Mapping[str, Json]) -> list[Breach]:
    """What a kernel refuses when a candidate is proposed, before anyone verifies it; each rule is what it then says."""
    size_bytes, found = _output_breaches(answer.get("candidate_output"))
    return found + _evidence_breaches(answer, _inline_limits(contract.get("evidence_policy")), size_bytes)


def _schema_breaches(output: Json, text: bytes, size_bytes: int) -> list[Breach]:
    try:
        schema = compiled(text)
        if output is None or schema.schema == {}:
            return [] if isinstance(output, dict) else [_no_object(output)]
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
    if is_deeper(body, MAX_OUTPUT_DEPTH):
        return None, [Breach(f"candidate_output is nested deeper than {MAX_OUTPUT_DEPTH}", path, "flatten it")]
    return len(body), []


def _evidence_breaches(answer: Mapping[str, Json], limits: _Inline, output_bytes: int | None) -> list[Breach]:
    found: list[Breach] = []
    inline, refs = answer.get("evidence_inline"), answer.get("evidence_refs")
    for items, path in ((inline, "evidence_inline"), (refs, "evidence_refs")):
        if not isinstance(items, list):
            found.append(Breach(f"{path} must be an array", path, "send [] when there is none"))
    if isinstance(inline, list) and inline:
        found.extend(_inline_breaches(inline, limits))
    if isinstance(refs, list) and refs:
        found.extend(_ref_breaches(refs))
    if (inline or refs) and not found and output_bytes is not None:
        found.extend(_event_breaches(output_bytes, inline, refs))
    return found


def _inline_breaches(items: Sequence[Json], limits: _Inline) -> Iterator[Breach]:
    for n, item in enumerate(items):
        path = f"evidence_inline[{n}]"
        mime, content = (item.get("mime"), item.get("content")) if isinstance(item, dict) else (None, None)
        if not isinstance(mime, str) or not isinstance(content, str):
            yield Breach("inline evidence must be {mime, content}", path, "both are strings")
        elif (breach := _inline_breach(mime, content, path, limits)) is not None:
            yield breach


def _inline(evidence_policy: bytes) -> _Inline:
    if len(evidence_policy) <= _KEPT_POLICY_BYTES:
        return _kept_inline(evidence_policy)
    return _read_inline(evidence_policy if len(evidence_policy) <= _MAX_POLICY_BYTES else b"null")


def _read_inline(evidence_policy: bytes) -> _Inline:
    try:
        return _inline_limits(parse(evidence_policy))
    except NotJsonError:
        return _inline_limits(None)


#: At most half a megabyte: policies are alike, and far shorter than what is kept.
_kept_inline = lru_cache(maxsize=128)(_read_inline)


def _inline_limits(policy: Json) -> _Inline:
    """The contract's MIME types and size; what every contract must say where this one is not readable."""
    policy = policy if isinstance(policy, dict) else {}
    allowed, limit = policy.get("inline_mime_allowlist"), policy.get("max_inline_evidence_bytes")
    return _Inline(
        allowed if isinstance(allowed, list) else INLINE_MIME_TYPES,
        min(limit, MAX_INLINE_EVIDENCE_BYTES) if isinstance(limit, int) else MAX_INLINE_EVIDENCE_BYTES,
    )


def _inline_breach(mime: str, content: str, path: str, limits: _Inline) -> Breach | None:
    """The first rule that one inline evidence breaks, in the kernel's order."""
    if mime.startswith(("image/", "video/", "audio/")):
        return Breach("inline media is forbidden", path, "keep it as an artifact and cite it by reference")
    if mime not in limits.mimes:
        return Breach("inline mime not allowlisted", path, f"{mime[:80]!r} is not one of {_listed(limits.mimes)}")
    if (size := _size_bytes(content)) is None:
        return Breach("inline evidence is not JSON", path, "half of a surrogate pair cannot be sent as UTF-8")
    if size > limits.max_bytes:
        advice = f"it has {size} of {limits.max_bytes}; keep it as an artifact"
        return Breach("inline evidence exceeds max bytes", path, advice)
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
