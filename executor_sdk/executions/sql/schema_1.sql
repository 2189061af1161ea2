-- The first ledger: works, and the asks that want them.

CREATE TABLE works (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, work_id TEXT NOT NULL UNIQUE, step_key TEXT, attempt INTEGER,
    state TEXT NOT NULL, owner TEXT NOT NULL, wanted_until_ms INTEGER NOT NULL, opened_ms INTEGER NOT NULL,
    started_ms INTEGER, ended_ms INTEGER, status INTEGER, body BLOB, headers BLOB, cancel_reason TEXT,
    progress REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX works_by_step ON works (step_key, seq) WHERE step_key IS NOT NULL;
CREATE INDEX works_unfinished ON works (owner) WHERE ended_ms IS NULL;
CREATE INDEX works_finished ON works (ended_ms, seq) WHERE ended_ms IS NOT NULL;
CREATE TABLE asks (
    kind TEXT NOT NULL, name TEXT NOT NULL, body_digest BLOB NOT NULL, work_id TEXT NOT NULL,
    adopted INTEGER NOT NULL, withdrawn TEXT, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE INDEX asks_by_work ON asks (work_id);
CREATE TABLE owners (owner TEXT PRIMARY KEY, heard_ms INTEGER NOT NULL) WITHOUT ROWID;
