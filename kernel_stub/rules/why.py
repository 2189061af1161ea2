"""Why a run ended as it did, in five lines: outcome, votes, path, chain, evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.buckets import Ballot
from kernel_stub.rules.aggregation.conclusion import Voice, vote_in
from kernel_stub.rules.aggregation.reexplore import EVENT_TYPES
from kernel_stub.rules.aggregation.round import Round, counted
from kernel_stub.rules.records import TERMINAL_RUN, TERMINAL_STEP, Run, RunEvent, RunStatus, Step, StepStatus

#: What one line names at most; the rest is a number.
MAX_NAMED: Final = 5

_MAX_CHARACTERS: Final = 80
_MAX_ERROR: Final = 400
_DIGEST_CHARACTERS: Final = 19


def explain(run: Run, steps: Sequence[Step], events: Sequence[RunEvent]) -> list[str]:
    """The run's outcome, a line each. Of `events`, in any order, only the re-explore events matter."""
    past = sorted(
        (event for event in events if event.event_type in EVENT_TYPES.values()),
        key=lambda event: (event.event_id or 0, event.created_at),
    )
    if run.status not in TERMINAL_RUN:
        return [_progress(run, steps), *([f"chain: {_rounds(past)}"] if past else [])]
    this = counted(run, steps, past)
    ballots = list(this.ballots.values())
    return [
        _outcome(run, steps, ballots),
        f"votes: {'; '.join(_votes(ballot, this.heard) for ballot in ballots)}{_unheard(this)}",
        f"path: {'; '.join(_path(ballot, this.policy.quorum) for ballot in ballots)}",
        _chain(past, ballots),
        _evidence(this.voices),
    ]


def _progress(run: Run, steps: Sequence[Step]) -> str:
    ended = sum(step.status in TERMINAL_STEP for step in steps)
    return f"{shown(run.run_id)} is {run.status}: {ended} of {len(steps)} steps have ended"


def _outcome(run: Run, steps: Sequence[Step], ballots: Iterable[Ballot]) -> str:
    values = ", ".join(f"{ballot.bucket} {_value(ballot)}" for ballot in ballots)
    failed = [step for step in steps if step.status is StepStatus.FAILED]
    troubles = _listed(
        f"{shown(step.agent_id)} ({shown(step.error or 'no error was kept', _MAX_ERROR)})" for step in failed
    )
    said = "no step succeeded" if run.status is RunStatus.FAILED else values
    return f"{shown(run.run_id)} {run.status}: {said}{f'; failed: {troubles}' if failed else ''}"


def _value(ballot: Ballot) -> str:
    return "null" if ballot.value is None else shown(ballot.value)


def _votes(ballot: Ballot, heard: Sequence[Voice]) -> str:
    names: dict[str, list[str]] = {value: [] for value in ballot.votes}
    for voice in heard:
        vote = vote_in(voice.conclusion, ballot.bucket)
        if vote is not None:
            names[vote].append(shown(voice.agent_id))
    ranked = sorted(ballot.votes, key=lambda value: (-ballot.votes[value], value))
    counts = _listed(f"{shown(value)} {ballot.votes[value]} ({_listed(names[value])})" for value in ranked)
    return f"{ballot.bucket} {counts or 'none'}"


def _unheard(this: Round) -> str:
    heard = {voice.agent_id for voice in this.heard}
    names = _listed(shown(voice.agent_id) for voice in this.voices if voice.agent_id not in heard)
    return f"; not counted, no new evidence: {names}" if names else ""


def _path(ballot: Ballot, quorum: int | None) -> str:
    most = max(ballot.votes.values(), default=0)
    wanted = f" of the {quorum} wanted" if quorum else ""
    match ballot.path:
        case "WINNER_PATH":
            return f"{ballot.bucket} WINNER_PATH, {_votes_cast(most)}{wanted}"
        case "TIE_PATH":
            level = [shown(value) for value, number in ballot.votes.items() if number == most]
            return f"{ballot.bucket} TIE_PATH, {_listed(level)} with {_votes_cast(most)} each"
        case "NULL_PATH":
            return f"{ballot.bucket} NULL_PATH, {ballot.null_kind} because {ballot.null_reason}"


def _votes_cast(number: int) -> str:
    return "1 vote" if number == 1 else f"{number} votes"


def _chain(past: Sequence[RunEvent], ballots: Iterable[Ballot]) -> str:
    tried = [_trial(entry) for ballot in ballots for entry in (*ballot.tie_trace, *ballot.null_trace)]
    last = f"round {len(past) + 1} {', '.join(tried) or 'ended it'}"
    return f"chain: {_rounds(past)}{'; ' if past else ''}{last}"


def _rounds(past: Sequence[RunEvent]) -> str:
    return "; ".join(f"round {n} {_round(event.payload)}" for n, event in enumerate(past, start=1))


def _round(payload: Json) -> str:
    buckets = " and ".join(payload["reexplore"]["unresolved_buckets"])
    return f"{payload['path']} for {buckets}, told {payload['action']}"


def _trial(entry: Json) -> str:
    # The run has ended: what the trace calls pending is a round that was not granted.
    if entry.get("outcome") == "PENDING_REEXPLORE":
        return f"{entry['bucket']} {entry['mode']} had no round left"
    came_to = shown(entry["winner"]) if "winner" in entry else entry["outcome"]
    return f"{entry['bucket']} {entry['mode']} {came_to}"


def _evidence(voices: Sequence[Voice]) -> str:
    return f"cited evidence: {_listed((_cited(voice) for voice in voices if voice.evidence), '; ') or 'none'}"


def _cited(voice: Voice) -> str:
    digests = _listed(shown(digest, _DIGEST_CHARACTERS) for digest in voice.evidence)
    lines = sorted(set(_line_numbers(voice.conclusion)))
    cited = f" lines {_listed(map(str, lines))}" if lines else ""
    return f"{shown(voice.agent_id)} {digests}{cited}"


def _line_numbers(value: Json) -> Iterator[int]:
    """Whole numbers under any key `lines` of a conclusion: where in its evidence an agent points."""
    level = [value]
    while level:
        objects = [item for item in level if isinstance(item, dict)]
        for item in objects:
            yield from _whole_numbers(item.get("lines"))
        level = [child for item in level for child in _children(item)]


def _children(item: Json) -> Iterable[Json]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _whole_numbers(value: Json) -> Iterator[int]:
    items = value if isinstance(value, list) else ()
    return (item for item in items if isinstance(item, int) and not isinstance(item, bool))


def _listed(items: Iterable[str], between: str = ", ") -> str:
    known = list(items)
    rest = len(known) - MAX_NAMED
    return between.join(known[:MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def shown(text: str, characters: int = _MAX_CHARACTERS) -> str:
    """A stranger's text on a line of ours: cut, and nothing in it breaks the line or speaks to a terminal."""
    cut = text if len(text) <= characters else f"{text[:characters]}…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cut)
