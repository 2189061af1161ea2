-- lock_run --
-- A run, before anything of it is counted. Nobody else writes between BEGIN IMMEDIATE and the commit: no row is locked.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs WHERE run_id = :run_id

-- lock_run_of_step --
-- The run of a step, before its other steps are counted: of two workers that end the last two steps, one is the last.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs WHERE run_id = (SELECT run_id FROM steps WHERE step_id = :step_id)

-- executors_with_work --
-- The executors that have a step to claim: one look into the index for each, however many steps it has.
WITH RECURSIVE due (executor) AS (
    SELECT min(executor) FROM steps WHERE ready = 1
    UNION ALL
    SELECT (SELECT min(executor) FROM steps WHERE ready = 1 AND executor > due.executor) FROM due
    WHERE due.executor IS NOT NULL
)
SELECT executor FROM due WHERE executor IS NOT NULL

-- find_due --
-- The next steps of one executor to claim, and their place among those of all.
SELECT -priority, next_run_at, created_at, step_id FROM steps INDEXED BY steps_due
WHERE ready = 1 AND executor = :executor ORDER BY priority DESC, next_run_at, created_at, step_id LIMIT :limit

-- list_holders --
-- Whoever holds steps: asked one by one whether they live.
SELECT DISTINCT lease_holder FROM steps INDEXED BY steps_held
WHERE ready = 0 AND status IN ('LEASED', 'REMOTE_DISPATCHED')

-- find_left --
-- Steps whose holder is dead, or has handed them back.
SELECT step_id, executor FROM steps INDEXED BY steps_held
WHERE ready = 0 AND status IN ('LEASED', 'REMOTE_DISPATCHED') AND lease_holder = :holder ORDER BY step_id LIMIT :limit

-- find_lost --
-- Of the leases that a worker holds, those to let go: the step is held under another one, or its run is being cancelled.
SELECT mine.key FROM json_each(:leases) AS mine WHERE NOT EXISTS (
    SELECT 1 FROM steps JOIN runs ON runs.run_id = steps.run_id
    WHERE steps.step_id = mine.key AND lease_id = mine.value AND steps.status = 'LEASED' AND runs.status <> 'CANCELLING'
)
