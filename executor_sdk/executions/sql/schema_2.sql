-- Who asks is part of what is asked; who is alive is asked of the operating system; a success is kept until it is
-- turned down.

ALTER TABLE works ADD COLUMN turned_down INTEGER NOT NULL DEFAULT 0;
ALTER TABLE works ADD COLUMN busy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE works ADD COLUMN asked_elsewhere INTEGER NOT NULL DEFAULT 0;
ALTER TABLE works ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE works SET size_bytes = 1024 + coalesce(length(body), 0) WHERE ended_ms IS NOT NULL;
-- Keys of steps and digests of bodies are made another way now. A body without a digest is taken for the same.
UPDATE works SET step_key = NULL;
-- All that forgetting looks at: beside large answers, reading the rows themselves takes ten times as long.
DROP INDEX works_finished;
CREATE INDEX works_finished ON works (ended_ms, seq, size_bytes, sent, busy, work_id) WHERE ended_ms IS NOT NULL;
CREATE INDEX works_busy ON works (owner) WHERE busy = 1;

CREATE TABLE asks_of_callers (
    caller TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, body_digest BLOB, work_id TEXT NOT NULL,
    adopted INTEGER NOT NULL, withdrawn TEXT, PRIMARY KEY (caller, kind, name)
) WITHOUT ROWID;
INSERT INTO asks_of_callers SELECT '', kind, name, NULL, work_id, adopted, withdrawn FROM asks;
DROP TABLE asks;
ALTER TABLE asks_of_callers RENAME TO asks;
CREATE INDEX asks_by_work ON asks (work_id);

DROP TABLE owners;
CREATE TABLE waits (work_id TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (work_id, owner)) WITHOUT ROWID;
