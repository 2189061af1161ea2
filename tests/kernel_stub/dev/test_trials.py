"""Trials: what the kernel of `executor dev` says of runs of real executors, over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio
import orjson
import pytest

from executor_sdk.asking.trial import Said, Trial, installed_kernel
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import serve
from kernel_stub.dev.kernel import open_trial_kernel
from kernel_stub.rules.records import RunStatus
from tests.kernel_stub.dev import tiny
from tests.kernel_stub.scripted import Scripted

pytestmark = pytest.mark.anyio

#: What is tried, by how many agents, a part of a sentence, and a part of the mend that is said with it.
CASES: Final[dict[str, tuple[Callable[[], Any], int, str, str]]] = {
    "no decision": (
        lambda: tiny.says({"answer": "42"}),
        3,
        "round 2, because `decision` is missing in 3 of 3 answers: all who answered are asked again, told NEED_",
        'add a field `decision` with a closed vocabulary: decision: Literal["GROWTH", "DECLINE"]',
    ),
    "decision null": (lambda: tiny.decides(None), 3, "because `decision` is null in 3 of 3", "votes are strings"),
    "decision blank": (lambda: tiny.decides(" "), 3, "because `decision` is blank in 3 of 3", "not blank"),
    "decision no string": (
        lambda: tiny.decides(True), 3, "because `decision` is no string but a boolean in 3 of 3", "votes are strings"
    ),
    "answer blank": (lambda: tiny.answers(""), 3, "because `answer` is blank in 3 of 3", "return a string"),
    "three decisions": (
        lambda: tiny.decides("up", "rising", "growth"),
        3,
        "round 2, because NO quorum for `decision`: three answers, three different strings (GROWTH, RISING, UP)",
        "close the vocabulary with decision: Literal[",
    ),
    "free text": (
        lambda: tiny.answers("it grew", "growth is strong", "sales are up"),
        3,
        "because NO quorum for `answer`: three answers, three different strings",
        "free text is never equal",
    ),
    "numbers": (
        lambda: tiny.answers("41.9", "42.0", "42.1"), 3, "because NO quorum for `answer`", "round the number"
    ),
    "punctuation": (
        lambda: tiny.answers("42!", "42", "42."), 3, "because NO quorum for `answer`", "spaces or punctuation only"
    ),
    "a tie": (
        lambda: tiny.decides("up", "down"),
        4,
        "`decision` is tied: DOWN and UP have two votes each; it was drawn by lot",
        "CONFIDENCE_WEIGHTED",
    ),
    "nothing new": (
        lambda: tiny.decides("up", "rising", "growth"),
        3,
        "round 2 brought nothing new: every agent answered the same again",
        "task.signal",
    ),
    "not counted": (
        tiny.looking_closer,
        3,
        "not counted in round 2: agent-2, agent-3 cited no new evidence",
        "inline evidence does not count",
    ),
    "refused": (
        tiny.refusing,
        3,
        "agent-1: FAILED, because /execute answered 422 NO_ROWS: the file has no rows; 422 is final: the step failed",
        "raise TryLater instead of Refuse",
    ),
    "try later": (
        tiny.trying_later,
        3,
        "the step is started over in 0.2 s, attempt 2 of 2, because the handler raised TryLater: the model is loading",
        "retries=3",
    ),
    "evidence of a forbidden type": (
        tiny.showing_pages,
        3,
        "because the kernel would refuse the candidate: evidence_inline[0]: inline mime not allowlisted; 'text/html'",
        "cite it instead: task.artifact(data, mime)",
    ),
    "no answer field": (
        lambda: tiny.says({"text": "42"}), 3, "because the kernel would refuse the candidate", "the string `answer`"
    ),
    "a crash": (
        lambda: tiny.raises(KeyError("x")),
        1,
        "raised KeyError; the log has it under reference",
        "the log above has the traceback",
    ),
    "attempts used up": (lambda: tiny.raises(KeyError("x")), 1, "no attempt is left", ""),
    "everybody failed": (
        lambda: tiny.raises(KeyError("x")), 1, "because no step succeeded: everybody is asked again", "mend what"
    ),
    "too slow": (tiny.slow, 1, "/execute answered 504 TASK_TIMEOUT", "timeout_s=100"),
    "inputs that do not fit": (tiny.typed, 1, "/execute answered 422 INVALID_INPUTS", "--input"),
    "a file that may not be read": (tiny.fetching, 1, "/execute answered 422 UNFETCHABLE", "file_roots"),
    "turned down": (
        tiny.strict,
        1,
        "because the candidate was not passed: your own verifier turned it down with code 1001",
        "the line of /verify above has its message",
    ),
    "a verifier that crashes": (
        tiny.clumsy, 1, "because the candidate was not passed: nothing was judged", "a verifier that crashes"
    ),
    "unwell": (tiny.unwell, 1, "/health answered 503, so /execute was never asked", "the health check says no"),
}  # fmt: skip

#: What a foreign executor does, and what is said of it.
FOREIGN: Final[dict[str, tuple[dict[str, Json], str, str]]] = {
    "429": ({"status": 429}, "429 is final: the step failed at its first attempt", "answer 503 instead"),
    "an error body of its own": (
        {"status": 500, "body": {"oops": "disk"}},
        '/execute answered 500: {"oops"',
        "the log",
    ),
    "evidence of a forbidden type": (
        {"inline": [{"mime": "text/html", "content": "<p>"}]},
        "because the kernel refused the candidate: inline mime not allowlisted",
        "task.artifact",
    ),
    "an output that is none": ({"out": None}, "does not fit the contract's output_schema", "the string `answer`"),
    "an answer that is none": (
        {"status": 200, "body": {"answer": "yes"}}, "/execute answered something else than the contract says", ""
    ),
    "a verdict with the policy's code": (
        {"verdict": {"passed": False, "verification_status": "failed", "reason_codes": [101], "score": 0.0}},
        "the output does not fit the contract's output_schema",
        "the string `answer`",
    ),
}  # fmt: skip


async def tried(app: Any, folder: Path, agents: int, inputs: Json = None) -> list[Said]:
    """What is said of one trial of `app`."""
    said: list[Said] = []
    with serve(app) as served, anyio.fail_after(60):
        async with open_trial_kernel(folder, served.url) as kernel:
            await kernel.run(Trial("swarm", "default", {} if inputs is None else inputs, agents), said.append)
    return said


@pytest.mark.parametrize("case", CASES)
async def test_what_happened_is_told_with_its_mend(case: str, tmp_path: Path) -> None:
    """In one sentence that names the cause."""
    make, agents, sentence, mend = CASES[case]

    said = await tried(make(), tmp_path, agents)

    found = [one for one in said if sentence in one.sentence]
    assert found, said
    assert mend in found[0].mend
    assert all(one.weight in {"warning", "bad"} for one in found)


@pytest.mark.parametrize("case", FOREIGN)
async def test_executors_that_the_kit_did_not_make_are_explained_too(case: str, tmp_path: Path) -> None:
    """From the kernel's own sentences."""
    orders, sentence, mend = FOREIGN[case]

    said = await tried(Scripted(), tmp_path, 1, {"prompt": orjson.dumps(orders).decode()})

    found = [one for one in said if sentence in one.sentence]
    assert found, said
    assert mend in found[0].mend


async def test_a_run_that_goes_well_says_so_and_no_more(tmp_path: Path) -> None:
    """Each answer, the votes, the decision; nothing to mend."""
    said = await tried(tiny.decides("GROWTH", "growth", "DECLINE"), tmp_path, 3)

    assert [one.sentence for one in said if "answered" not in one.sentence] == [
        "3 agents do swarm with {}",
        "votes for `decision`: GROWTH 2, DECLINE 1",
        "votes for `answer`: 42 3",
        "FINALIZED after 1 round: decision GROWTH, answer 42",
    ]
    assert sorted(one.sentence for one in said if "answered" in one.sentence)[2] == (
        "agent-3 answered: decision DECLINE, answer 42; passed, score 1; evidence: 0 inline, 0 cited"
    )
    assert said[-1].weight == "good"
    assert not [one for one in said if one.mend]


async def test_a_mend_is_said_once(tmp_path: Path) -> None:
    """Three agents that fail alike need it once; their sentences stand all the same."""
    said = await tried(tiny.showing_pages(), tmp_path, 3)

    assert len([one for one in said if "started over" in one.sentence]) >= 3
    assert len([one for one in said if one.mend.startswith("cite it instead")]) == 1


async def test_a_trial_that_is_cut_short_ends_its_run(tmp_path: Path) -> None:
    """As a save does: the next trial is not held up by the one before it."""
    said: list[Said] = []
    with serve(tiny.decides("GROWTH")) as served, anyio.fail_after(60):
        async with open_trial_kernel(tmp_path, served.url) as kernel:
            with anyio.CancelScope() as scope:

                def tell(one: Said) -> None:
                    scope.cancel()

                await kernel.run(Trial("swarm", "default", {}, 3), tell)
            await kernel.run(Trial("swarm", "default", {}, 3), said.append)
            runs = await kernel._kernel.store.runs.newest(limit=10)

    assert said[-1].sentence == "FINALIZED after 1 round: decision GROWTH, answer 42"
    assert {run.status for run in runs} <= {RunStatus.CANCELLED, RunStatus.CANCELLING, RunStatus.FINALIZED}


async def test_inputs_that_no_kernel_takes_are_told(tmp_path: Path) -> None:
    """Before anything runs."""
    said = await tried(tiny.decides("GROWTH"), tmp_path, 1, {"text": "x" * 200_000})

    assert said[-1].weight == "bad"
    assert said[-1].sentence.startswith("the kernel takes no such run: ")


async def test_an_executor_that_is_gone_is_told(tmp_path: Path) -> None:
    """Nothing listens there."""
    said: list[Said] = []
    with serve(tiny.decides("GROWTH")) as served:
        url = served.url
    with anyio.fail_after(60):
        async with open_trial_kernel(tmp_path, url) as kernel:
            await kernel.run(Trial("swarm", "default", {}, 1), said.append)

    assert any("/health could not be reached" in one.sentence for one in said), said


def test_the_kernel_is_found_where_it_is_installed() -> None:
    """By its entry point."""
    assert installed_kernel() is open_trial_kernel
