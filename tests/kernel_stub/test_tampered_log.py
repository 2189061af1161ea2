"""A log that somebody changed in the store's file: what was lost, moved, added or contradicted is found and named."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from kernel_stub.cli.console import main
from kernel_stub.log.identity import load
from kernel_stub.settings import KernelSettings
from kernel_stub.testing.stub_kernel import stub_kernel
from tests.kernel_stub.log.recorded import EVENTS, IDENTITY, LINES
from tests.kernel_stub.scripted import Scripted

#: Events of one run: nine of each of its two tasks, and seven of its own.
EVENTS_OF_A_RUN: Final = 18
RUN_EVENTS_OF_A_RUN: Final = 7


#: What is said of a log that was there before the chain was.
OLDER: Final = "entries 1 to {entries} are older than the chain: they were chained as they stood\n"


def spec(run_id: str) -> dict[str, Any]:
    """Two agents who agree."""
    agents = [{"agent_id": agent, "executor": "rt", "prompt": "{}"} for agent in ("a", "b")]
    return {"run_id": run_id, "agents": agents}


def play(state_dir: Path, *run_ids: str) -> None:
    """Open the kernel of this directory, and let runs come to their end."""

    async def played() -> None:
        async with stub_kernel({"rt": Scripted()}, state_dir=state_dir) as stub:
            for run_id in run_ids:
                await stub.run(spec(run_id))

    anyio.run(played)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in which one run has ended; never changed."""
    state_dir = tmp_path_factory.mktemp("whole") / "state"
    play(state_dir, "r")
    return state_dir


@pytest.fixture
def settings(whole: Path, tmp_path: Path) -> KernelSettings:
    """A copy of it."""
    copied(whole, tmp_path / "state")
    return KernelSettings(tmp_path / "state")


def copied(source: Path, target: Path) -> None:
    """Copy a state directory whose kernel is closed."""
    shutil.copytree(source, target, dirs_exist_ok=True)


def tamper(settings: KernelSettings, *statements: str, **values: Any) -> None:
    """Change the file as its owner could, without the triggers that stop everybody else."""
    with closing(sqlite3.connect(settings.store_path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%_never_%'")
        for (trigger,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement, values)


@pytest.fixture
def run(settings: KernelSettings, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line on the copy: its exit code, what it said, and what it complained of."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(["--state-dir", str(settings.state_dir), "log", *arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return command


Run = Callable[..., tuple[int, str, str]]


def test_a_whole_log_is_verified_and_replayed(run: Run) -> None:
    """Or each of the checks below would be worth nothing."""
    assert run("verify") == (0, "verified\n", "")
    assert run("replay") == (0, "replayed\n", "")


_BODY: Final = "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '{old}', '{new}') AS BLOB) WHERE seq = 3"
_NEWER: Final = "SELECT {seq}, event_id, task_id, kind, body FROM events WHERE seq = 18"

#: What was done to the file, and how the complaint begins.
TAMPERINGS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "the first event removed": (
        ("DELETE FROM events WHERE seq = 1",),
        "event 1 (not there) is broken: the log has lost",
    ),
    "an event removed": (("DELETE FROM events WHERE seq = 5",), "event 5 (not there) is broken"),
    "an event removed with its place": (
        ("DELETE FROM events WHERE seq = 5", "DELETE FROM chain WHERE event = 5"),
        "e",
    ),
    "the tail cut": (("DELETE FROM events WHERE seq > 12",), "event 13 (not there) is broken"),
    "the tail cut with its places": (
        (
            "DELETE FROM chain WHERE entry > 20",
            "DELETE FROM events WHERE seq NOT IN (SELECT event FROM chain WHERE event > 0)",
            "DELETE FROM run_events WHERE event_id NOT IN (SELECT run_event FROM chain WHERE run_event > 0)",
        ),
        "",
    ),
    "everything removed": (
        ("DELETE FROM events", "DELETE FROM run_events", "DELETE FROM chain", "DELETE FROM sqlite_sequence"),
        "event 1 (not there) is broken",
    ),
    "an event renumbered": (("UPDATE events SET seq = 100 WHERE seq = 4",), "event 4 (not there) is broken"),
    "two events exchanged": (
        (
            "UPDATE events SET seq = -1 WHERE seq = 1",
            "UPDATE events SET seq = 1 WHERE seq = 3",
            "UPDATE events SET seq = 3 WHERE seq = -1",
        ),
        "event 1 (",
    ),
    "an event doubled": (
        (f"INSERT INTO events (seq, event_id, task_id, kind, body) {_NEWER.format(seq=19)}",),
        "event 19 (not chained) is broken: it stands outside the chain",
    ),
    "an event doubled with a place": (
        (
            f"INSERT INTO events (seq, event_id, task_id, kind, body) {_NEWER.format(seq=19)}",
            "INSERT INTO chain (entry, event, link) VALUES (26, 19, zeroblob(32))",
        ),
        "entry 26 (not chained) is broken",
    ),
    "a field added": (
        (_BODY.format(old='{"event_id"', new='{"note":"approved","event_id"'),),
        "event 3 (",
    ),
    "a key doubled": ((_BODY.format(old='"epoch":1', new='"epoch":2,"epoch":1'),), "event 3 ("),
    "white space added": ((_BODY.format(old='"epoch":1', new='"epoch": 1'),), "event 3 ("),
    "the task of an event changed": (("UPDATE events SET task_id = 'x' WHERE seq = 3",), "event 3 ("),
    "a run event removed": (("DELETE FROM run_events WHERE event_id = 3",), "run event 3 (not there) is broken"),
    "the last run event removed": (("DELETE FROM run_events WHERE event_id = 7",), "run event 7 (not there)"),
    "a run event changed": (
        ('UPDATE run_events SET payload = CAST(\'{"run_id":"x"}\' AS BLOB) WHERE event_id = 1',),
        "run event 1 (RUN_CREATED of r) is broken: its signature",
    ),
    "a run event of another time": (
        ("UPDATE run_events SET created_at = 1 WHERE event_id = 7",),
        "run event 7 (RUN_FINALIZED of r) is broken: its signature",
    ),
    "the specification of a run unsigned": (
        ("UPDATE run_events SET subject = NULL WHERE event_id = 1",),
        "run event 1 (RUN_CREATED of r) is broken: its signature",
    ),
    "a link changed": (("UPDATE chain SET link = zeroblob(32) WHERE entry = 5",), "event "),
    "the head cut": (("UPDATE log_head SET entries = 5, events = 4",), "the head of 5 entries is broken"),
    "the head removed": (("DELETE FROM log_head",), "the head of 25 entries is broken: it is not there"),
}

#: What else a complaint says, where its beginning does not say it all.
SAID: Final = {
    "a field added": "$.note is a field that is not signed",
    "a key doubled": "the key epoch stands twice in one object",
    "white space added": "it is not what was chained as entry",
    "two events exchanged": "it is not what was chained as entry",
    "the task of an event changed": "the column task_id beside it",
    "an event removed with its place": "not there",
    "the tail cut with its places": "(not there) is broken: the log has lost it",
}


@pytest.mark.parametrize("name", TAMPERINGS)
@pytest.mark.parametrize("check", ["verify", "replay"])
def test_what_was_done_to_the_log_is_named(settings: KernelSettings, run: Run, name: str, check: str) -> None:
    """By the number of the entry, and what is wrong with it."""
    statements, beginning = TAMPERINGS[name]
    tamper(settings, *statements)

    code, out, complaint = run(check)

    assert (code, out) == (1, "")
    assert complaint.startswith(f"Error: {beginning}")
    assert SAID.get(name, "") in complaint


#: Rows that hold the log, by table: a column that names one, and the columns that say something.
_HELD: Final = {
    "events": ("seq", ("event_id", "task_id", "kind", "body")),
    "run_events": ("event_id", ("run_id", "event_type", "payload", "created_at", "subject", "signature")),
    "chain": ("entry", ("event", "run_event", "link")),
    "log_head": ("one", ("events", "run_events", "entries", "adopted", "chain", "signature_hex")),
}


@pytest.mark.parametrize("seed", range(60))
def test_no_random_tampering_passes(settings: KernelSettings, run: Run, seed: int) -> None:
    """A value changed, a row removed or moved: in any of the tables that hold the log."""
    chance = random.Random(seed)
    table = chance.choice(list(_HELD))
    key, columns = _HELD[table]
    with closing(sqlite3.connect(settings.store_path)) as connection:
        rows = connection.execute(f"SELECT {key}, {', '.join(columns)} FROM {table}").fetchall()
    number, *values = chance.choice(rows)
    column, value = chance.choice([pair for pair in zip(columns, values, strict=True) if pair[1] is not None])
    statements = [
        f"UPDATE {table} SET {column} = :value WHERE {key} = {number}",
        f"DELETE FROM {table} WHERE {key} = {number}",
        f"UPDATE {table} SET {key} = {key} + 1000 WHERE {key} = {number}",
    ]
    # The head has one place, and cannot be moved.
    tamper(settings, chance.choice(statements[: 2 if table == "log_head" else 3]), value=_changed(chance, value))

    code, out, complaint = run("verify")

    assert (code, out) == (1, ""), (table, column)
    assert complaint.startswith("Error: ")
    assert len(complaint.splitlines()) == 1


def _changed(chance: random.Random, value: Any) -> Any:
    """The value with one bit flipped; text stays text."""
    if isinstance(value, int):
        return value + 1
    data = bytearray(value.encode() if isinstance(value, str) else value)
    at = chance.randrange(len(data))
    data[at] ^= 1
    return data.decode() if isinstance(value, str) else bytes(data)


_REPLACED: Final = "UPDATE {table} SET {column} = CAST(replace(CAST({column} AS TEXT), '{old}', '{new}') AS BLOB)"
_DECISION: Final = '"final_decision":"{}"'
_ATTEMPTS: Final = '"max_attempts":{}'

#: What was written into the tables, and what the replay says.
FORGERIES: Final[dict[str, tuple[str, str]]] = {
    "a decision": (
        _REPLACED.format(
            table="run_bodies", column="result", old=_DECISION.format("GO"), new=_DECISION.format("FORGED")
        ),
        'run r is not what the log says: result.aggregation.final_decision is "FORGED", there it is "GO"',
    ),
    "a status": ("UPDATE runs SET status = 'FAILED'", 'run r is not what the log says: status is "FAILED"'),
    "a weight": (
        "UPDATE steps SET weight = 5 WHERE agent_id = 'a'",
        "step r:a is not what the log says: weight is 5.0",
    ),
    "a task": (
        "UPDATE steps SET task_id = 'run-r-b-1' WHERE agent_id = 'a'",
        'step r:a is not what the log says: task_id is "run-r-b-1", there it is "run-r-a-1"',
    ),
    "an output": (
        _REPLACED.format(table="steps", column="result", old="yes", new="no") + " WHERE agent_id = 'a'",
        'step r:a is not what the log says: result.candidate_output.answer is "no", there it is "yes"',
    ),
    "a specification": (
        _REPLACED.format(table="run_bodies", column="spec", old=_ATTEMPTS.format(2), new=_ATTEMPTS.format(9)),
        "run r is not what the log says: its specification is not the one that was submitted",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_tables_that_say_what_the_log_does_not_say_are_found_by_the_replay(
    settings: KernelSettings, run: Run, name: str
) -> None:
    """Where tables and log disagree, the log wins; the log itself is whole."""
    statement, said = FORGERIES[name]
    tamper(settings, statement)

    assert run("verify") == (0, "verified\n", "")
    code, out, complaint = run("replay")

    assert (code, out) == (1, "")
    assert complaint.startswith(f"Error: {said}")


def test_a_run_that_the_tables_lost_is_found_by_the_replay(settings: KernelSettings, run: Run) -> None:
    """Its events are still there."""
    tables = ("attempts", "steps", "run_bodies", "step_counts", "runs")
    tamper(settings, "PRAGMA foreign_keys = OFF", *(f"DELETE FROM {table}" for table in tables))

    code, _, complaint = run("replay")

    assert (code, complaint) == (1, "Error: run r is not what the log says: it has no row\n")


def test_a_log_signed_whole_by_another_key_is_not_the_nodes(settings: KernelSettings, run: Run, tmp_path: Path) -> None:
    """Every hash, signature and link of it holds, and every output of it is forged."""
    play(tmp_path / "forger", "r")
    forged = KernelSettings(tmp_path / "forger")
    shutil.copy(forged.store_path, settings.store_path)
    own, other = load(settings.seed_path).node_id, load(forged.seed_path).node_id

    for check in ("verify", "replay", "head"):
        code, out, complaint = run(check)
        assert (code, out) == (1, "")
        assert complaint.startswith(f"Error: the node's seed is of key {own}, but key {other} signed its log")


def test_a_log_without_its_seed_is_an_error_and_stays_without_one(settings: KernelSettings, run: Run) -> None:
    """A new seed would make this directory another node."""
    own = load(settings.seed_path).node_id
    settings.seed_path.unlink()

    code, out, complaint = run("verify")

    assert (code, out) == (1, "")
    assert complaint == (
        f"Error: {settings.seed_path} is not there, and key {own} signed the log beside it; put that seed file back\n"
    )
    assert not settings.seed_path.exists()


def test_a_whole_log_rolled_back_passes_and_fails_only_against_a_head_that_was_kept(
    whole: Path, settings: KernelSettings, run: Run, tmp_path: Path
) -> None:
    """Log, chain and head were once exactly so; nothing that stands beside them can know better."""
    play(settings.state_dir, "later")
    kept = tmp_path / "kept-elsewhere"
    kept.write_text(run("head")[1])
    assert run("verify", "--from", str(kept)) == (0, "verified\n", "")
    shutil.copy(KernelSettings(whole).store_path, settings.store_path)

    assert run("verify") == (0, "verified\n", "")
    assert run("replay") == (0, "replayed\n", "")
    for head in (str(kept), kept.read_text(), kept.read_text().splitlines()[1]):
        code, out, complaint = run("verify", "--from", head)
        assert (code, out) == (1, "")
        assert complaint == (
            "Error: the log is not the one whose head of 50 entries was kept: it ends at entry 25; "
            "put back a copy that has them\n"
        )


def test_a_log_that_went_on_after_a_roll_back_is_another_one(whole: Path, settings: KernelSettings, run: Run) -> None:
    """It is as long as it was, and others wrote it."""
    play(settings.state_dir, "later")
    kept = run("head")[1].splitlines()[1]
    shutil.copy(KernelSettings(whole).store_path, settings.store_path)
    play(settings.state_dir, "instead", "more")

    assert run("verify")[0] == 0
    code, _, complaint = run("verify", "--from", kept)

    assert code == 1
    assert "it has others as its first 50 entries" in complaint


@pytest.mark.parametrize("head", ["{}", "nowhere"])
def test_what_is_no_head_is_told(run: Run, head: str) -> None:
    """Text that begins as one, or the name of a file."""
    code, _, complaint = run("verify", "--from", head)

    assert code == 1
    assert complaint.startswith("Error: ")
    assert len(complaint.splitlines()) == 1


def test_the_head_is_the_kernels_number_and_then_the_signed_head(settings: KernelSettings, run: Run) -> None:
    """What is kept elsewhere fits on one line."""
    code, out, _ = run("head")

    number, document = out.splitlines()
    assert (code, int(number)) == (0, EVENTS_OF_A_RUN)
    assert f'"entries":{EVENTS_OF_A_RUN + RUN_EVENTS_OF_A_RUN},' in document
    assert f'"node_id":"{load(settings.seed_path).node_id}"' in document


def exported(run: Run, folder: Path) -> tuple[Path, Path]:
    """The files of an exported log and of its chain."""
    chain, events = folder / "chain.jsonl", folder / "events.jsonl"
    code, out, _ = run("export", "--chain", str(chain))
    assert code == 0
    events.write_text(out)
    return events, chain


def test_an_exported_log_is_held_against_its_chain_and_a_head_that_was_kept(
    run: Run, tmp_path: Path, settings: KernelSettings
) -> None:
    """On a machine that knows nothing but the node's key."""
    kept = run("head")[1].splitlines()[1]
    events, chain = exported(run, tmp_path)
    own = load(settings.seed_path).node_id
    settings.seed_path.unlink()
    files = (str(events), "--chain", str(chain), "--trust", own)

    assert run("verify", *files) == (0, "verified\n", "")
    assert run("verify", *files, "--from", kept) == (0, "verified\n", "")
    assert run("replay", *files) == (0, "replayed\n", "")


def test_exported_events_keep_the_bytes_that_were_signed(run: Run, tmp_path: Path, settings: KernelSettings) -> None:
    """The chain lies beside them, in a file of its own."""
    events, chain = exported(run, tmp_path)

    with closing(sqlite3.connect(settings.store_path)) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM events ORDER BY seq")]
    assert events.read_bytes().splitlines() == bodies
    assert len(chain.read_bytes().splitlines()) == 1 + EVENTS_OF_A_RUN + RUN_EVENTS_OF_A_RUN


def test_a_chain_that_was_taken_away_looks_like_an_older_log_and_a_kept_head_tells(
    settings: KernelSettings, run: Run
) -> None:
    """Whoever owns the file can change the tables, take the chain away, and have the node chain what is left."""
    kept = run("head")[1]
    tamper(
        settings,
        "DELETE FROM chain",
        "DELETE FROM log_head",
        "DELETE FROM events WHERE seq = 18",
        "UPDATE run_events SET signature = ''",
    )

    assert run("verify") == (0, "verified\n", OLDER.format(entries=24))
    code, out, complaint = run("verify", "--from", kept)

    assert (code, out) == (1, "")
    assert "head of 25 entries was kept: it ends at entry 24" in complaint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:3] + lines[4:], "event 4 ("),
        (lambda lines: lines[:-1], "event 18 (not there)"),
        (lambda lines: [*lines, lines[-1]], "event 19 (not chained)"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "event 1 ("),
        (lambda lines: [b'{"note":1,' + lines[0][1:], *lines[1:]], "event 1 ("),
    ],
    ids=["left out", "cut", "doubled", "exchanged", "field added"],
)
def test_what_was_done_to_an_exported_log_is_named(
    run: Run, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    """The chain that lies beside it tells."""
    events, chain = exported(run, tmp_path)
    lines = events.read_bytes().splitlines()
    events.write_bytes(b"".join(line + b"\n" for line in change(lines)))

    code, out, complaint = run("verify", str(events), "--chain", str(chain))

    assert (code, out) == (1, "")
    assert complaint.startswith(f"Error: {said}")


def test_a_chain_that_was_cut_is_found(run: Run, tmp_path: Path) -> None:
    """Its signed head stands in its first line."""
    events, chain = exported(run, tmp_path)
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[:-1]))

    code, _, complaint = run("verify", str(events), "--chain", str(chain))

    assert code == 1
    assert complaint.startswith("Error: run event 7 (not there) is broken")


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"entry":1,"link":"zz","event":1}\n'])
def test_what_is_no_chain_is_told(run: Run, tmp_path: Path, line: bytes) -> None:
    """With the number of the line."""
    events, chain = exported(run, tmp_path)
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(lines[0] + line)

    code, _, complaint = run("verify", str(events), "--chain", str(chain))

    assert (code, complaint) == (
        1,
        "Error: line 2 is not of a log's chain: give the file that `log export --chain` wrote\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "FILE", "--from", "{}"), "this is no head"),
        (("verify", "--chain", "FILE"), "--chain belongs to an exported FILE"),
    ],
)
def test_options_that_do_not_go_together_are_told(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """With what to add."""
    code, _, complaint = run(*arguments)

    assert code == 1
    assert said in complaint.lower() or said in complaint


def test_an_exported_log_is_not_held_against_the_key_that_it_names(
    run: Run, tmp_path: Path, settings: KernelSettings
) -> None:
    """Whoever made a file up signed it too: both keys are told, the expected one and the one that was found."""
    file = tmp_path / "foreign.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in LINES))
    own = load(settings.seed_path).node_id

    code, out, complaint = run("verify", str(file))

    assert (code, out) == (1, "")
    assert f"key {IDENTITY.node_id} signed it, expected was {own}; name each key you trust (--trust)" in complaint
    assert run("verify", str(file), "--trust", IDENTITY.node_id)[:2] == (0, "verified\n")
    settings.seed_path.unlink()
    assert "No key to hold this file against" in run("verify", str(file))[2]
    assert not settings.seed_path.exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: lines, 0),
        (lambda lines: lines[:3] + lines[4:], 1),
        (lambda lines: lines[::-1], 1),
        (lambda lines: lines * 2, 1),
    ],
    ids=["whole", "left out", "turned around", "doubled"],
)
def test_an_exported_log_without_its_chain_can_still_be_replayed(
    tmp_path: Path, run: Run, change: Callable[[list[bytes]], list[bytes]], code: int
) -> None:
    """Lines that were left out, turned around or doubled are each signed; the story they tell is not."""
    task = [line for event, line in zip(EVENTS, LINES, strict=True) if event["task_id"] == "run-majority-a-1"]
    file = tmp_path / "exported.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in change(task)))
    trust = ("--trust", IDENTITY.node_id)

    verified = run("verify", str(file), *trust)

    assert verified[:2] == (0, "verified\n")
    assert "nobody can tell whether events were left out or doubled" in verified[2]
    assert run("replay", str(file), *trust)[0] == code


def test_a_log_of_an_older_release_is_chained_as_it_stands_and_says_so(settings: KernelSettings, run: Run) -> None:
    """From then on it is a log like any other; before, only its task events were signed."""
    tamper(
        settings,
        "DROP TABLE chain",
        "DROP TABLE log_head",
        "ALTER TABLE run_events DROP COLUMN subject",
        "ALTER TABLE run_events DROP COLUMN signature",
        "PRAGMA user_version = 3",
    )
    older = OLDER.format(entries=25)

    assert run("verify") == (0, "verified\n", older)
    assert run("replay")[:2] == (0, "replayed\n")
    play(settings.state_dir, "later")
    assert run("verify") == (0, "verified\n", older)
    assert run("replay")[:2] == (0, "replayed\n")
    tamper(settings, "DELETE FROM run_events WHERE event_id = 2")
    assert run("verify")[2].startswith("Error: run event 2 (not there)")
