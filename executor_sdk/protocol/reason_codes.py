"""Reason codes: why a verdict is what it is, in the protocol's numbers."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ReasonCode(IntEnum):
    """The protocol's own codes. An author's codes start at 1000; the kernel lets those through."""

    UNKNOWN = 0
    SCHEMA_OK = 100
    SCHEMA_INVALID = 101
    CONFIDENCE_TOO_LOW = 102
    OUTPUT_TOO_LARGE = 103
    CHECK_SUMMARY_MISSING = 104
    SCORE_TOO_LOW = 105
    EVIDENCE_UNREACHABLE = 200
    EVIDENCE_TIMEOUT = 201
    EVIDENCE_AUTH_DENIED = 202
    EVIDENCE_DIGEST_MISMATCH = 203
    TASK_TIMEOUT = 300
    INVALID_OUTPUT = 301
    TASK_EXPIRED = 302
    RUNTIME_CRASH = 303
    CUSTOM_ERROR = 999


#: The codes that make a verdict inconclusive: the evidence could not be looked at, so nothing was judged.
INCONCLUSIVE: Final = frozenset(
    {ReasonCode.EVIDENCE_UNREACHABLE, ReasonCode.EVIDENCE_TIMEOUT, ReasonCode.EVIDENCE_AUTH_DENIED}
)

#: The smallest code that is an author's own.
FIRST_OWN_CODE: Final = 1000
