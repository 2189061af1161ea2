-- load_run --
-- One run without its bodies.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs WHERE run_id = :run_id

-- load_bodies --
-- The large parts of one run.
SELECT spec, shared_inputs, result FROM run_bodies WHERE run_id = :run_id

-- load_rounds --
-- The rounds a run has gone, oldest first: the next round reads its state from them.
SELECT run_id, event_type, payload, created_at, event_id, subject FROM run_events
WHERE run_id = :run_id AND event_type IN ('RUN_TIE_REEXPLORE_TRIGGERED', 'RUN_NULL_REEXPLORE_TRIGGERED')
ORDER BY event_id

-- newest_runs --
-- Runs, the newest first.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs ORDER BY created_at DESC, run_id LIMIT :limit

-- newest_run_events --
-- Events of one run, the newest first.
SELECT run_id, event_type, payload, created_at, event_id, subject FROM run_events
WHERE run_id = :run_id AND event_id > :after_id ORDER BY event_id DESC LIMIT :limit

-- oldest_run_events --
-- Events of one run, the oldest first: to follow it.
SELECT run_id, event_type, payload, created_at, event_id, subject FROM run_events
WHERE run_id = :run_id AND event_id > :after_id ORDER BY event_id LIMIT :limit

-- insert_run --
-- A new run.
INSERT INTO runs (run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision)
VALUES (:run_id, :status, :task_type, :error, :created_at, :updated_at, :started_at, :finished_at, 1)

-- update_run --
-- A run has moved.
UPDATE runs SET status = :status, error = :error, updated_at = :updated_at, started_at = :started_at,
                finished_at = :finished_at, revision = revision + :bodies_changed
WHERE run_id = :run_id

-- insert_bodies --
-- The bodies of a new run.
INSERT INTO run_bodies (run_id, spec, shared_inputs, result) VALUES (:run_id, :spec, :shared_inputs, :result)

-- update_bodies --
-- A round has new inputs, or the run its result; the specification stays.
UPDATE run_bodies SET shared_inputs = :shared_inputs, result = :result WHERE run_id = :run_id

-- set_aside --
-- The run of a step that cannot be read: none of its steps is claimed until somebody has mended it.
INSERT INTO set_aside (run_id, step_id, reason, set_aside_at)
SELECT run_id, step_id, :reason, :now_ms FROM steps WHERE step_id = :step_id
ON CONFLICT (run_id) DO NOTHING

-- hide_steps --
-- All steps of the run that is set aside with this one.
UPDATE steps SET ready = 2
WHERE run_id = (SELECT run_id FROM steps WHERE step_id = :step_id)
  AND (ready = 1 OR status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED'))

-- take_back --
-- A run that was set aside can be read again.
DELETE FROM set_aside WHERE run_id = :run_id RETURNING run_id

-- show_steps --
-- The steps of a run that is set aside no longer.
UPDATE steps SET ready = CASE status WHEN 'QUEUED' THEN 1 ELSE 0 END WHERE run_id = :run_id AND ready = 2

-- dead_letters --
-- Steps that ended without success and runs that cannot be read, the newest first; decodes nothing.
SELECT run_id, step_id, executor, attempt, reason FROM (
    SELECT * FROM (
        SELECT run_id, step_id, executor, attempt, coalesce(error, '') AS reason, created_at
        FROM steps WHERE status = 'FAILED' ORDER BY created_at DESC, step_id LIMIT :limit
    ) AS failed
    UNION ALL
    SELECT steps.run_id, steps.step_id, executor, attempt, reason, created_at
    FROM set_aside JOIN steps ON steps.step_id = set_aside.step_id
) AS letters
ORDER BY created_at DESC, step_id LIMIT :limit
