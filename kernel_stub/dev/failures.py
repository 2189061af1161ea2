"""Failures of an attempt: from the kernel's sentence to what it means for the author, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

import orjson

from executor_sdk.protocol.reason_codes import FIRST_OWN_CODE


class Failure(NamedTuple):
    """Why an attempt failed, and the mend; `status` is that of a refused `/execute`."""

    cause: str
    mend: str
    status: int | None = None


#: What to do about a code in the body of a refused `/execute`.
_BY_CODE: Final[Mapping[str, str]] = {
    "INVALID_INPUTS": "give inputs that fit with --input, or the field a default, or Field(examples=[...])",
    "UNKNOWN_TASK_TYPE": "decorate a function with @executor.execute for it, or name another one with --task-type",
    "HANDLER_CRASHED": "the log above has the traceback under that reference",
    "TASK_TIMEOUT": "give it more time, @executor.execute(..., timeout_s=100), or less to do",
    "TASK_LOST": "the work was cut, by a reload or a stop: save once more and leave it alone",
    "SATURATED": "allow more at once: max_concurrency and max_queued of the executor",
    "TRY_LATER": "@executor.execute(..., retries=3) tries again inside the work, which costs the run no attempt",
    "FETCH_FAILED": "see that the address answers; @executor.execute(..., retries=3) asks again inside the work",
    "UNFETCHABLE": "allow the host with allow_hosts, or the folder with file_roots, or give another address by --input",
}

#: What to do about a rule for candidates; the first that is found in the sentence.
_BY_RULE: Final[Mapping[str, str]] = {
    "inline mime not allowlisted": "cite it instead: task.artifact(data, mime); inline may be text, Markdown, CSV or "
    "JSON",
    "inline media": "cite it instead: task.artifact(data, mime)",
    "must be valid json": "task.evidence(value) writes JSON by itself; text needs no mime",
    "exceeds": "keep the bulk with task.artifact(data, mime), which cites it",
    "nested deeper": "return a flatter output",
    "artifact_ref": "cite what task.artifact(data, mime) returns",
    "reason_codes=[101]": 'return an object with the string `answer`, which every run demands: {"answer": "..."}',
}

#: What a verdict's reason codes mean, and what to do.
_BY_REASON: Final[Mapping[int, tuple[str, str]]] = {
    101: ("the output does not fit the contract's output_schema", _BY_RULE["reason_codes=[101]"]),
    102: ("confidence is below what the policy asks for", "return a `confidence` from 0 to 1"),
    103: ("the output is longer than the policy allows", "return less, and cite the rest with task.artifact"),
    104: ("the policy wants a check_summary", "return the string `check_summary`"),
    105: ("the policy's score is too low", "mend what the other reason codes name"),
    200: (
        "nothing was judged: the evidence could not be reached, or /verify gave no answer",
        "see the line of /verify above; a verifier that crashes counts as no answer",
    ),
    201: ("nothing was judged: /verify or the evidence took too long", "make the verifier quicker"),
    202: ("nothing was judged: the verifier may not read the evidence", "cite what the verifier may read"),
    203: ("the cited evidence is not what its digest says", "cite what task.artifact(data, mime) returns"),
    999: ("the verifier turned it down", "see the line of /verify above"),
}

_CODE: Final = re.compile(r'"code":\s*"([^"]*)",\s*"message":\s*"((?:[^"\\]|\\.)*)')


def failure_of(error: str) -> Failure:
    """Explain the sentence that a step keeps of its last attempt."""
    for pattern, explain in _SENTENCES:
        if (found := pattern.fullmatch(error)) is not None:
            return explain(found)
    return Failure(error, "")


def _refused(found: re.Match[str]) -> Failure:
    status, body = int(found["status"]), found["body"] or ""
    told = _CODE.search(body)
    code, message = (told[1], _unescaped(told[2])) if told else ("", body)
    sentence = f"/execute answered {status}{f' {code}' if code else ''}{f': {message}' if message else ''}"
    if code == "INVALID_OUTPUT":
        return Failure(f"the kernel would refuse the candidate: {message}", _mend_of_rule(message), status)
    if code == "TRY_LATER":
        sentence = f"the handler raised TryLater: {message}"
    return Failure(sentence, _BY_CODE.get(code) or _mend_of_status(status), status)


def _mend_of_status(status: int) -> str:
    if status in {408, 425, 429}:
        return f"answer 503 instead: a kernel takes {status} for as final as every other 4xx"
    if status < 500:
        return "raise TryLater instead of Refuse where another try may help, or give other inputs with --input"
    return "see the line of /execute above, and the log"


def _unready(found: re.Match[str]) -> Failure:
    mend = {
        "/health": "the health check says no: see its line above",
        "/capabilities": "the executor does not say what it offers: see the log",
    }[found["path"]]
    return Failure(f"{found['path']} answered {found['status']}, so /execute was never asked", mend)


def _unanswered(found: re.Match[str]) -> Failure:
    if "timed out" in found["rest"]:
        return Failure(
            f"{found['path']} gave no answer within the kernel's patience, and all copies of the call neither",
            "do the work in less time, or in another task: the next attempt adopts work that goes on",
        )
    return Failure(f"{found['path']} could not be reached", "see that the executor is still served, as a line above")


def _undecoded(found: re.Match[str]) -> Failure:
    return Failure(f"{found['path']} answered something else than the contract says: {found['rest']}", "")


def _turned_down(found: re.Match[str]) -> Failure:
    codes = [int(code) for code in re.findall(r"\d+", found["codes"])]
    told = [_reason(code) for code in codes if code != 100] or [("the verifier gave no reason", "")]
    return Failure(
        f"the candidate was not passed: {'; '.join(cause for cause, _ in told)}",
        "; ".join(dict.fromkeys(mend for _, mend in told if mend)),
    )


def _reason(code: int) -> tuple[str, str]:
    if code >= FIRST_OWN_CODE:
        return f"your own verifier turned it down with code {code}", "the line of /verify above has its message"
    return _BY_REASON.get(code, (f"reason code {code}", ""))


def _profile(found: re.Match[str]) -> Failure:
    return Failure(
        f"the executor does not offer the profile {found['profile']}",
        f"@executor.execute(..., profiles=[{found['profile']!r}])",
    )


def _invalid(found: re.Match[str]) -> Failure:
    return Failure(f"the kernel refused the candidate: {found['rule']}", _mend_of_rule(found["rule"]))


def _mend_of_rule(sentence: str) -> str:
    return next((mend for rule, mend in _BY_RULE.items() if rule in sentence), "")


def _unescaped(text: str) -> str:
    """The text of a JSON string that may have been cut."""
    try:
        whole: str = orjson.loads(f'"{text}"')
    except orjson.JSONDecodeError:
        return text
    return whole


_Explain: TypeAlias = Callable[[re.Match[str]], Failure]

_SENTENCES: Final[tuple[tuple[re.Pattern[str], _Explain], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), explain)
    for pattern, explain in (
        (r"runtime /execute status: (?P<status>\d{3}) ?[^;]*(?:; body: (?P<body>.*))?", _refused),
        (r"runtime (?P<path>/health|/capabilities) status: (?P<status>\d{3}).*", _unready),
        (r"runtime (?P<path>/\w+) request: (?P<rest>.*)", _unanswered),
        (r"runtime (?P<path>/\w+) decode: (?P<rest>.*)", _undecoded),
        (r"verifier did not pass candidate; reason_codes=\[(?P<codes>[\d, ]*)\]", _turned_down),
        (r"profile '(?P<profile>.*?)' not supported by executor .*", _profile),
        (r"invalid event: (?P<rule>.*)", _invalid),
    )
)
