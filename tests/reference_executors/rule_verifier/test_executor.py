"""The verifier as an executor: a verdict with every broken rule's code, and a check before anybody proposes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor_sdk import Executor, InvalidInputsError, Task, in_process
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.process import Done, InProcess
from reference_executors.rule_verifier.executor import executor
from tests.reference_executors.rule_verifier.test_rules import GOOD


@pytest.fixture
def rt() -> Iterator[InProcess]:
    """The verifier."""
    with in_process(executor) as running:
        yield running


def _proposed(rt: InProcess, output: Json) -> Done:
    """What somebody else proposed, with one file, which both of them can read."""
    author = Executor(provider_family="test", model_id="author")

    @author.execute("swarm")
    def propose(inputs: dict[str, Json], task: Task) -> dict[str, Json]:
        task.artifact(b"figures", "text/csv")
        return inputs

    with in_process(author) as theirs:
        done = theirs.execute(output)
        rt.artifacts.update(theirs.artifacts)
    return done


def test_a_candidate_that_breaks_no_rule_passes(rt: InProcess) -> None:
    """The policy's own verdict stands."""
    judged = rt.verify(_proposed(rt, GOOD))

    assert (judged.status, judged.reason_codes) == ("passed", [100])


def test_a_verdict_names_every_broken_rule(rt: InProcess) -> None:
    """Not only the first: an author repairs them in one go."""
    judged = rt.verify(_proposed(rt, GOOD | {"decision": "MAYBE", "confidence": 0.1}))

    assert (judged.status, judged.reason_codes) == ("failed", [1101, 1102])


def test_a_cited_file_that_is_another_one_fails_the_candidate(rt: InProcess) -> None:
    """The digest is looked at whenever a file is read."""
    done = _proposed(rt, GOOD)
    rt.artifacts[done.evidence_refs[0].digest] = b"other figures"

    judged = rt.verify(done)

    assert (judged.status, judged.reason_codes) == ("failed", [203])


def test_a_cited_file_that_cannot_be_read_leaves_it_open(rt: InProcess) -> None:
    """Nothing is held against who proposed it."""
    done = _proposed(rt, GOOD)
    rt.artifacts.clear()

    assert rt.verify(done).status == "inconclusive"


def test_an_output_can_be_checked_before_it_is_proposed(rt: InProcess) -> None:
    """The same rules, as a task of its own."""
    held = rt.execute({"output": GOOD, "cited_files": 1})
    broken = rt.execute({"output": GOOD})

    assert (held.output.decision, held.output.broken) == ("HOLDS", [])
    assert (broken.output.decision, [rule.code for rule in broken.output.broken]) == ("BROKEN", [1104])
    assert broken.output.check_summary == "4 rules, 1 broken"
    assert rt.verify(held).status == rt.verify(broken).status == "passed"


def test_inputs_of_another_kind_are_refused(rt: InProcess) -> None:
    """An output is an object here, because every rule looks into one."""
    with pytest.raises(InvalidInputsError):
        rt.execute({"output": 5})


def test_each_rule_is_published_with_its_code(rt: InProcess) -> None:
    """The rules are data, and so is what the codes mean."""
    assert rt.capabilities()["reason_codes"] == {
        "1101": "SHAPE_BROKEN",
        "1102": "CONFIDENCE_OUT_OF_RANGE",
        "1103": "CONTROL_FIGURES_MISSING",
        "1104": "NO_FILE_CITED",
    }
