-- What the queue keeps: runs, their bodies, steps, counts, attempts, run events, executors.

CREATE TABLE runs (
    run_id      TEXT PRIMARY KEY,
    status      TEXT NOT NULL,
    task_type   TEXT NOT NULL,
    error       TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    revision    INTEGER NOT NULL          -- rises with every change of the run's bodies, so that they can be cached
) STRICT;

CREATE INDEX runs_by_age ON runs (created_at);

-- The large parts of a run stand apart: a step's change must not rewrite a specification of ten thousand agents.
CREATE TABLE run_bodies (
    run_id        TEXT PRIMARY KEY REFERENCES runs (run_id),
    spec          BLOB NOT NULL,
    shared_inputs BLOB NOT NULL,
    result        BLOB NOT NULL
) STRICT;

CREATE TABLE steps (
    step_id     TEXT PRIMARY KEY,
    run_id      TEXT NOT NULL REFERENCES runs (run_id),
    agent_id    TEXT NOT NULL,
    executor    TEXT NOT NULL,
    profile     TEXT NOT NULL,
    prompt      TEXT NOT NULL,
    weight      REAL NOT NULL,
    priority    INTEGER NOT NULL,
    status      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    recoveries  INTEGER NOT NULL,
    lease_id    TEXT,
    lease_owner TEXT,
    lease_until INTEGER,
    next_run_at INTEGER NOT NULL,
    task_id     TEXT,
    error       TEXT,
    result      BLOB NOT NULL,
    ready       INTEGER NOT NULL DEFAULT 0  -- 1: may be claimed now; a claim first sets it on what has become due
) STRICT;

CREATE INDEX steps_of_a_run ON steps (run_id, priority DESC, step_id);

-- A claim reads only these three; none holds a step that has ended.
CREATE INDEX steps_to_claim ON steps (priority DESC, next_run_at, created_at, step_id) WHERE ready = 1;
CREATE INDEX steps_waiting ON steps (next_run_at) WHERE ready = 0 AND status IN ('QUEUED', 'RETRY_WAIT');
CREATE INDEX steps_leased ON steps (lease_until) WHERE status IN ('LEASED', 'REMOTE_DISPATCHED');

CREATE INDEX steps_failed ON steps (created_at) WHERE status = 'FAILED';

-- How many steps of a run are in each state, kept by the triggers below: "was this the last one?" costs the same
-- in a run of three steps and of ten thousand.
CREATE TABLE step_counts (
    run_id TEXT NOT NULL,
    status TEXT NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (run_id, status)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER steps_are_counted_when_made AFTER INSERT ON steps BEGIN
    INSERT INTO step_counts (run_id, status, n) VALUES (new.run_id, new.status, 1)
        ON CONFLICT (run_id, status) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER steps_are_counted_when_moved AFTER UPDATE OF status ON steps WHEN old.status <> new.status BEGIN
    UPDATE step_counts SET n = n - 1 WHERE run_id = old.run_id AND status = old.status;
    INSERT INTO step_counts (run_id, status, n) VALUES (new.run_id, new.status, 1)
        ON CONFLICT (run_id, status) DO UPDATE SET n = n + 1;
END;

CREATE TABLE attempts (
    step_id             TEXT NOT NULL REFERENCES steps (step_id),
    n                   INTEGER NOT NULL,
    task_id             TEXT NOT NULL,
    execution_id        TEXT NOT NULL,
    verify_execution_id TEXT NOT NULL,
    phase               TEXT NOT NULL,
    execute_body        BLOB,
    verify_body         BLOB,
    candidate           BLOB,
    error               TEXT,
    PRIMARY KEY (step_id, n)
) STRICT;

CREATE TABLE run_events (
    event_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id     TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX run_events_of_a_run ON run_events (run_id, event_id);
CREATE INDEX run_events_of_rounds ON run_events (run_id, event_id)
    WHERE event_type IN ('RUN_TIE_REEXPLORE_TRIGGERED', 'RUN_NULL_REEXPLORE_TRIGGERED');

CREATE TABLE executors (
    name                          TEXT PRIMARY KEY,
    base_url                      TEXT NOT NULL,
    remote                        INTEGER NOT NULL,
    target_node_id                TEXT,
    scope_hint                    TEXT,
    agent_event_callback_base_url TEXT,
    commit_plane_endpoint         TEXT,
    commit_plane_token_file       TEXT
) STRICT;
