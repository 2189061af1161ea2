"""What is read from an answer, whatever a stranger has put into it."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from executor_sdk.client.exchange import Answer


def make_answer(body: Any = b"", **headers: str) -> Answer:
    """A refusal with a body, of plain JSON or of bytes as they are."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(503, "Service Unavailable", sent, body if isinstance(body, bytes) else orjson.dumps(body))


@pytest.mark.parametrize(("said", "after_s"), [("0", 0.0), ("7", 7.0), (" 120 ", 120.0)])
def test_seconds_are_read_from_retry_after(said: str, after_s: float) -> None:
    """Whole seconds, as RFC 9110 has them."""
    assert make_answer(retry_after=said).after_s == after_s


def test_a_date_is_read_from_retry_after() -> None:
    """As the time from now on; one that has passed is now."""
    soon = make_answer(retry_after=formatdate(time.time() + 3_600, usegmt=True)).after_s

    assert soon is not None
    assert 3_500 < soon <= 3_600
    assert make_answer(retry_after="Wed, 21 Oct 2015 07:28:00 GMT").after_s == 0.0


@pytest.mark.parametrize("said", ["", "soon", "-1", "1.5", "٣", "9" * 400, "nan", "Wed, 99 Oct 2015 99:28:00 GMT"])
def test_what_is_no_time_says_nothing(said: str) -> None:
    """And raises nothing."""
    assert make_answer(retry_after=said).after_s is None
    assert make_answer().after_s is None


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({"error": {"code": "NO", "message": "never"}}, "NO", "NO: never"),
        ({"error": {"code": 5, "message": "never"}}, None, '{"error":{"code":5,"message":"never"}}'),
        ({"error": "text"}, None, '{"error":"text"}'),
        ([], None, "[]"),
        (b"<html>\xff", None, "<html>\ufffd"),
    ],
)
def test_code_and_sentence_are_those_of_our_error_body(body: Any, code: str | None, sentence: str) -> None:
    """Of any other body the first characters are shown as they are."""
    answer = make_answer(body)

    assert (answer.code, answer.sentence) == (code, sentence)
