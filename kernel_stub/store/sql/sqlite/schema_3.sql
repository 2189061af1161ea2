-- Leases end with their holder and not with a time; runs that cannot be read stand aside; task ids are unique.

-- The id of the holder's lock beside the file; empty once the step is handed back. What is leased by an older release
-- has no holder that is alive.
ALTER TABLE steps ADD COLUMN lease_holder TEXT;
UPDATE steps SET lease_holder = '' WHERE status IN ('LEASED', 'REMOTE_DISPATCHED');
DROP INDEX steps_leased;
ALTER TABLE steps DROP COLUMN lease_until;
CREATE INDEX steps_held ON steps (lease_holder)
    WHERE ready = 0 AND status IN ('LEASED', 'REMOTE_DISPATCHED');

-- What a claim may take, by executor, so that an executor that is full or silent costs the others nothing.
DROP INDEX steps_to_claim;
CREATE INDEX steps_due ON steps (executor, priority DESC, next_run_at, created_at, step_id) WHERE ready = 1;

-- A task's id is run-RUN-AGENT-N: run `a-b` with agent `c` and run `a` with agent `b-c` would share it. Of steps that
-- do so already, the first one has the name.
ALTER TABLE steps ADD COLUMN task_stem TEXT;
UPDATE steps SET task_stem = run_id || '-' || agent_id
WHERE rowid IN (SELECT min(rowid) FROM steps GROUP BY run_id || '-' || agent_id);
CREATE UNIQUE INDEX steps_by_task_stem ON steps (task_stem);

-- A step with ready = 2 belongs to a run that is set aside.
CREATE TABLE set_aside (
    run_id       TEXT PRIMARY KEY,
    step_id      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    set_aside_at INTEGER NOT NULL
) STRICT;

-- new_work: the executor is told not to hand out what it has. turned_down: another executor's verdict ended it.
ALTER TABLE attempts ADD COLUMN new_work INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN turned_down INTEGER NOT NULL DEFAULT 0;
