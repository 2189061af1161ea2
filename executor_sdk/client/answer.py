"""What came back of a call: an answer, status and bounded bytes, before anybody judged it; or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

#: Characters of an error answer that kernels keep.
KEPT_CHARACTERS: Final = 512


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    reason_phrase: str
    #: To be looked up by lower-case names.
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def excerpt(self) -> str:
        """The first 512 characters of the body, trimmed."""
        # A character has at most four bytes; nothing behind these can be among the first 512.
        return self.body[: 4 * KEPT_CHARACTERS].decode("utf-8", "replace").strip()[:KEPT_CHARACTERS]

    @property
    def sentence(self) -> str:
        """What the body says went wrong: code and message of our error body, or the excerpt as it is."""
        try:
            error = orjson.loads(self.body)["error"]
            return f"{error['code']}: {error['message']}"
        except (ValueError, LookupError, TypeError):
            return self.excerpt


class NoAnswerError(Exception):
    """No whole answer came: there is no connection, or it broke, or what came is no HTTP."""

    def __init__(self, sentence: str, *, timed_out: bool = False) -> None:
        super().__init__(sentence)
        self.timed_out = timed_out


class OversizedAnswerError(Exception):
    """The answer is larger than asked for; `answer` holds what was read of it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"more than {len(answer.body)} bytes")
        self.answer = answer
