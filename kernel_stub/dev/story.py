"""The story of a run: each of its events as sentences for the author, in order; pure, one story for one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from executor_sdk.asking.trial import Said, Weight
from executor_sdk.protocol.plain import Json
from kernel_stub.dev.failures import Failure, failure_of
from kernel_stub.dev.rounds import Reason, reason_of, votes_shown
from kernel_stub.rules.aggregation.buckets import BUCKETS
from kernel_stub.rules.aggregation.reexplore import EVENT_TYPES
from kernel_stub.rules.records import RunEvent, StepStatus

#: Characters of a value in a sentence.
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class FinalCandidate:
    """What a task ended with: the output, how much evidence came with it, and the verdict."""

    output: Json
    cited: int
    inline: int
    score: float


#: The candidate that a task made final.
CandidateOf: TypeAlias = Callable[[str], FinalCandidate]


class Story:
    """A run as it is told."""

    def __init__(self, *, max_attempts: int, quorum: int) -> None:
        self._max_attempts = max_attempts
        self._quorum = quorum
        self._round = 1
        #: By agent: what was answered in this round and in the one before it; and who failed.
        self._answers: dict[str, Json] = {}
        self._before: dict[str, Json] = {}
        self._failed: set[str] = set()
        #: Whether this round was called for because votes differ; else it was for want of votes.
        self._differed = False
        self._mends: set[str] = set()

    def take(self, event: RunEvent, candidate_of: CandidateOf) -> Iterator[Said]:
        """Go on with the run's next event; a mend is said once."""
        for said in self._told(event, candidate_of):
            is_new = said.mend not in self._mends
            self._mends.add(said.mend)
            yield said if is_new else Said(said.weight, said.sentence)

    def _told(self, event: RunEvent, candidate_of: CandidateOf) -> Iterator[Said]:
        facts = event.payload
        match event.event_type:
            case "STEP_RETRY_WAIT":
                yield self._started_over(facts, event.created_at)
            case "STEP_COMPLETED" if facts["status"] == StepStatus.SUCCEEDED:
                yield self._answered(facts, candidate_of(facts["task_id"]))
            case "STEP_COMPLETED":
                yield self._ended_badly(facts)
            case "STEP_LEASE_EXPIRED":
                yield Said("warning", f"{_agent(facts)}: its worker was lost; the same attempt goes on")
            case "RUN_FINALIZED":
                yield from self._outcome(facts)
            case event_type if event_type in EVENT_TYPES.values():
                yield from self._another_round(facts)

    def _answered(self, facts: Mapping[str, Json], candidate: FinalCandidate) -> Said:
        agent = _agent(facts)
        self._answers[agent] = candidate.output
        evidence = f"; evidence: {candidate.inline} inline, {candidate.cited} cited"
        votes = ", ".join(_vote(candidate.output, bucket) for bucket in BUCKETS)
        attempt = f" in attempt {facts['attempt']}" if facts["attempt"] > self._round else ""
        return Said("fact", f"{agent} answered{attempt}: {votes}; passed, score {candidate.score:g}{evidence}")

    def _started_over(self, facts: Mapping[str, Json], at_ms: int) -> Said:
        failure = failure_of(str(facts["error"]))
        wait_s = (facts["next_run_at"] - at_ms) / 1000
        sentence = (
            f"{_agent(facts)}: the step is started over in {wait_s:g} s, attempt {facts['attempt'] + 1} of "
            f"{self._max_attempts}, because {failure.cause}"
        )
        return Said("warning", sentence, failure.mend)

    def _ended_badly(self, facts: Mapping[str, Json]) -> Said:
        agent, attempt = _agent(facts), facts["attempt"]
        self._failed.add(agent)
        if facts["status"] == StepStatus.CANCELLED:
            return Said("warning", f"{agent}: cancelled")
        failure = failure_of(str(facts["error"]))
        return Said("bad", f"{agent}: FAILED, because {failure.cause}; {_no_more(failure, attempt)}", failure.mend)

    def _another_round(self, facts: Mapping[str, Json]) -> Iterator[Said]:
        reasons = [self._reason(bucket, facts) for bucket in _unresolved(facts)]
        self._round += 1
        who = "all who answered are" if self._answers else "everybody is"
        first, *more = dict.fromkeys(reasons)
        told = f"round {self._round}, because {first.because}: {who} asked again, told {facts['action']}"
        yield Said("warning", told, first.mend)
        yield from (Said("warning", f"and because {reason.because}", reason.mend) for reason in more)
        self._differed = any(facts["aggregation"][f"{bucket}_votes"] for bucket in _unresolved(facts))
        if not self._answers:
            # Where nobody answered, everybody is asked again; otherwise who failed has failed for good.
            self._failed.clear()
        self._before, self._answers = self._answers, {}

    def _outcome(self, facts: Mapping[str, Json]) -> Iterator[Said]:
        overview = facts["aggregation"]
        yield from self._later_round(overview)
        for bucket in BUCKETS if self._answers else ():
            yield from self._bucket(bucket, facts)
        decided = overview["final_decision"] is not None
        weight: Weight = "bad" if facts["status"] != "FINALIZED" else "good" if decided else "warning"
        rounds = f"after {self._round} round{'s' if self._round > 1 else ''}"
        values = ", ".join(f"{bucket} {_shown(overview[f'final_{bucket}'])}" for bucket in BUCKETS)
        yield Said(weight, f"{facts['status']} {rounds}: {values}")

    def _bucket(self, bucket: str, facts: Mapping[str, Json]) -> Iterator[Said]:
        overview = facts["aggregation"]
        votes = votes_shown(overview[f"{bucket}_votes"])
        match overview["resolution_paths"][bucket]:
            case "WINNER_PATH":
                yield Said("fact", f"votes for `{bucket}`: {votes}")
            case "TIE_PATH":
                reason = self._reason(bucket, facts)
                modes = [entry["mode"] for entry in overview["tie_policy"]["trace"] if entry["bucket"] == bucket]
                by = "drawn by lot" if modes[-1:] == ["STOCHASTIC"] else f"settled by {', '.join(modes) or 'nobody'}"
                yield Said("warning", f"{reason.because}; it was {by}", reason.mend)
            case _:
                reason = self._reason(bucket, facts)
                yield Said("warning", f"final `{bucket}` is null, because {reason.because}", reason.mend)

    def _later_round(self, overview: Mapping[str, Json]) -> Iterator[Said]:
        """What a round that was asked for more has brought."""
        if self._round == 1 or not self._answers:
            return
        same = [agent for agent, answer in self._answers.items() if self._before.get(agent, ...) == answer]
        if self._differed and len(same) == len(self._answers):
            yield Said(
                "warning",
                f"round {self._round} brought nothing new: every agent answered the same again",
                "look closer when asked again: task.signal is None in the first round only",
            )
        for kind in ("tie_policy", "null_policy"):
            rounds = overview[kind]["reexplore"]
            missing = rounds["missing_new_evidence_agents"]
            asked = rounds["require_new_evidence"] and rounds[f"{kind.removesuffix('_policy')}_iteration"]
            if asked and missing and len(missing) < len(self._answers):
                yield Said(
                    "warning",
                    f"not counted in round {self._round}: {', '.join(missing[:5])} cited no new evidence",
                    "cite something new when asked again: task.artifact(data, mime); inline evidence does not count",
                )

    def _reason(self, bucket: str, facts: Mapping[str, Json]) -> Reason:
        answers = list(self._answers.values())
        return reason_of(bucket, facts["aggregation"], answers, failed=len(self._failed), quorum=self._quorum)


def _agent(facts: Mapping[str, Json]) -> str:
    agent: str = facts["step_id"].rpartition(":")[2]
    return agent


def _unresolved(facts: Mapping[str, Json]) -> list[str]:
    buckets: list[str] = facts["reexplore"]["unresolved_buckets"]
    return buckets


def _no_more(failure: Failure, attempt: int) -> str:
    """Why there is no further attempt."""
    if failure.status is not None and 400 <= failure.status < 500:
        which = "the step failed at its first attempt" if attempt == 1 else "it is not tried again"
        return f"{failure.status} is final: {which}"
    return "no attempt is left"


def _vote(output: Json, bucket: str) -> str:
    if not isinstance(output, dict) or bucket not in output:
        return f"no {bucket}"
    return f"{bucket} {_shown(output[bucket])}"


def _shown(value: Json) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
