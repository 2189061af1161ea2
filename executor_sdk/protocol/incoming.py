"""The bodies of `POST /execute` and `POST /verify`, read once: names decoded, large parts left as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec
import orjson
from msgspec import Raw

from executor_sdk.protocol.canonical import declared_bytes, sorted_bytes
from executor_sdk.protocol.plain import MAX_DEPTH, Json, NotJsonError, is_deeper, parse
from executor_sdk.protocol.wire import EvidenceRef, InlineEvidence, PolicyBinding, WireError

T = TypeVar("T")

#: Bytes of a digest that stays inside one executor; it never crosses the wire.
DIGEST_BYTES: Final = 16

#: Parts of contracts whose digests are remembered: nearly all contracts of a kernel share their parts.
_REMEMBERED: Final = 1_024
_MAX_REMEMBERED_BYTES: Final = 4_096

_ABSENT: Final = Raw(b"null")
_BACKSLASH: Final = ord("\\")


class _Contract(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The parts of a task contract, each as its text; a part that is not there is `null`."""

    inputs: Raw = _ABSENT
    output_schema: Raw = _ABSENT
    evidence_policy: Raw = _ABSENT
    budget: Raw = _ABSENT
    assignment: Raw = _ABSENT
    acceptance: Raw = _ABSENT
    protocol_version: Raw = _ABSENT
    task_id: Raw = _ABSENT
    task_type: Raw = _ABSENT
    task_mode: Raw = _ABSENT
    expiry_ms: Raw = _ABSENT


class _Body(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    task_id: str
    execution_id: str
    task_type: str
    inputs: Raw
    task_contract: _Contract
    profile: str = "default"
    stage: str = "EXPLORE"
    attempt_id: str | None = None
    seed_bundle: Raw = _ABSENT


class _KnownContract(_Contract, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    pass


class _KnownBody(_Body, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    task_contract: _KnownContract


_KNOWN: Final = msgspec.json.Decoder(_KnownBody)
_EXECUTE: Final = msgspec.json.Decoder(_Body)


class ExecuteRequest:
    """One request to do a task. `stage` is any string: kernels say EXPLORE, DECIDE or DIVERGE_MODE, documents explore,
    verify or finalize. Unknown keys are allowed at every level and are part of `contract` and `inputs`."""

    __slots__ = (
        "_body", "_has_more", "_view", "execution_id",
        "inputs", "inputs_text", "profile", "stage", "task_id", "task_type",
    )  # fmt: skip

    def __init__(self, body: bytes, *, max_depth: int = MAX_DEPTH) -> None:
        """Read `body`.

        Raises:
            NotJsonError: it is no JSON text, or nests deeper than `max_depth`.
            WireError: a field is missing or has another type.
        """
        view: _Body
        try:
            view = decoded(_KNOWN, body, max_depth)
            #: Whether there is more in the body than its names say.
            self._has_more = False
        except WireError:
            view = decoded(_EXECUTE, body, max_depth)
            self._has_more = True
        self._view = view
        self._body = body
        self.task_id = view.task_id
        self.execution_id = view.execution_id
        self.task_type = view.task_type
        self.profile = view.profile
        self.stage = view.stage
        #: The inputs as the text that came, and as plain JSON.
        self.inputs_text = bytes(view.inputs)
        self.inputs = _loaded(self.inputs_text)

    @classmethod
    def of(cls, body: Mapping[str, Json]) -> ExecuteRequest:
        """The request that `body` encodes."""
        return cls(declared_bytes(dict(body)))

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole body."""
        return len(self._body)

    @property
    def output_schema_text(self) -> bytes:
        """The text of the contract's output schema; `null` where the contract has none."""
        return bytes(self._view.task_contract.output_schema)

    @property
    def evidence_policy_text(self) -> bytes:
        """The text of the contract's evidence policy; `null` where the contract has none."""
        return bytes(self._view.task_contract.evidence_policy)

    @property
    def plain(self) -> dict[str, Json]:
        """The whole body as plain JSON, with `profile` and `stage` where they were left out."""
        body: dict[str, Json] = orjson.loads(self._body)
        return {**body, "profile": self.profile, "stage": self.stage}

    @property
    def contract(self) -> dict[str, Json]:
        """The whole task contract as plain JSON."""
        contract: dict[str, Json] = orjson.loads(self._body)["task_contract"]
        return contract

    @property
    def seed_bundle(self) -> Json:
        """The whole seed bundle as plain JSON."""
        return orjson.loads(bytes(self._view.seed_bundle))

    def step_digest(self, caller: str, stem: str, schema_digest: str) -> bytes:
        """What all attempts of one step have in common; `stem` is the task id without the attempt.

        Seeds, stage, expiry and ids differ between attempts and are left out. A re-explore round carries its signal
        in the inputs, so its step is another one.
        """
        view = self._view
        return _digest(sorted_bytes([caller, view.task_type, view.profile, stem, schema_digest, self.inputs]))

    def digest(self, step_digest: bytes) -> bytes:
        """What all copies of this request have in common, however a gateway has encoded them.

        Raises:
            NotJsonError: a part of the body is not JSON.
        """
        view, contract = self._view, self._view.task_contract
        own = [
            declared_bytes([view.task_id, view.execution_id, view.stage, view.attempt_id]),
            _canonical(b",".join((contract.task_id, contract.expiry_ms, view.seed_bundle))),
        ]
        if (inputs := bytes(contract.inputs)) != self.inputs_text and _loaded(inputs) != self.inputs:
            own.append(sorted_bytes(_loaded(inputs)))
        if self._has_more:
            own.append(sorted_bytes(_loaded(self._body)))
        shared = b",".join(
            (
                contract.evidence_policy,
                contract.budget,
                contract.assignment,
                contract.acceptance,
                contract.protocol_version,
                contract.task_type,
                contract.task_mode,
            )
        )
        shared_digest = _remembered(shared) if len(shared) <= _MAX_REMEMBERED_BYTES else _shared_digest(shared)
        return _digest(step_digest + shared_digest + b",".join(own))


class CandidateText(msgspec.Struct, frozen=True, gc=False):
    """A proposed output with its evidence, as `POST /verify` carries it."""

    candidate_id: str
    execution_id: str
    output: Raw
    output_ref: EvidenceRef | None = None
    evidence_inline: list[InlineEvidence] = []
    evidence_refs: list[EvidenceRef] = []


class _Policy(msgspec.Struct, frozen=True, gc=False):
    policy_id: str
    policy_version: str
    policy_hash: str
    policy_params: Raw = _ABSENT


class _VerifyBody(msgspec.Struct, frozen=True, gc=False):
    candidate: CandidateText
    output_schema: Raw
    policy: _Policy


_VERIFY: Final = msgspec.json.Decoder(_VerifyBody)


class VerifyRequest:
    """One request to judge a candidate."""

    __slots__ = ("candidate", "output_schema_text", "output_text", "policy")

    def __init__(self, body: bytes, *, max_depth: int = MAX_DEPTH) -> None:
        """Read `body`.

        Raises:
            NotJsonError: it is no JSON text, or nests deeper than `max_depth`.
            WireError: a field is missing or has another type.
        """
        view = decoded(_VERIFY, body, max_depth)
        self.candidate = view.candidate
        #: Both as the text that came.
        self.output_text = bytes(view.candidate.output)
        self.output_schema_text = bytes(view.output_schema)
        bound = view.policy
        params = _loaded(bound.policy_params)
        self.policy = PolicyBinding(bound.policy_id, bound.policy_version, bound.policy_hash, params)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes, max_depth: int) -> T:
    """The names of a body, once its depth and its text are known to be fit for every parser here.

    Raises:
        NotJsonError: it is no JSON text, or nests deeper than `max_depth`.
        WireError: a field is missing or has another type.
    """
    if is_deeper(body, max_depth):
        raise NotJsonError(f"nested deeper than {max_depth} levels")
    if not body.isascii() or (body.find(_BACKSLASH) >= 0 and b"\\u" in body):
        # Text that msgspec may take and orjson does not: parsed whole, by the parser that all parts go through.
        _loaded(body)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise WireError(str(error)) from None
    except msgspec.DecodeError:
        # The parser of all parts says what is wrong with the text in its own words.
        _loaded(body)
        raise NotJsonError("the text is not JSON") from None


def _loaded(text: bytes | Raw) -> Json:
    """A part of a body whose depth was checked with the whole."""
    return parse(bytes(text), max_depth=None)


def _canonical(texts: bytes) -> bytes:
    """The one encoding of JSON texts with commas between; scalars without escapes are their own."""
    if b"{" in texts or b"[" in texts or b"\\" in texts:
        return sorted_bytes(_loaded(b"[%b]" % texts))[1:-1]
    return texts


def _digest(data: bytes) -> bytes:
    # Not a digest of the wire, so it may be the quickest that is strong: SHA-256 takes twice as long.
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def _shared_digest(text: bytes) -> bytes:
    return _digest(sorted_bytes(_loaded(b"[%b]" % text)))


#: What nearly all contracts of a kernel share is digested once for each distinct text: at most 4 MiB of texts.
_remembered: Final = lru_cache(maxsize=_REMEMBERED)(_shared_digest)


def attempt_of(request: ExecuteRequest) -> tuple[str, int | None]:
    """The task id without its attempt, and the attempt; None where no run step is asked for.

    A kernel names the task of a run step `run-RUN-AGENT-ATTEMPT` and puts the agent into the inputs. Tasks made by
    hand have other ids, and no earlier attempt.
    """
    agent = request.inputs.get("agent_id") if isinstance(request.inputs, dict) else None
    stem, _, number = request.task_id.rpartition("-")
    # isdecimal alone takes digits of every script, and int() would read them.
    counted = number.isascii() and number.isdecimal() and len(number) < 10 and number[0] != "0"
    if not isinstance(agent, str) or not counted or not stem.endswith(f"-{agent}"):
        return request.task_id, None
    return stem, int(number)
