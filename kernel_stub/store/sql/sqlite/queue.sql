-- lock_run --
-- A run, before anything of it is counted. Nobody else writes between BEGIN IMMEDIATE and the commit: no row is locked.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs WHERE run_id = :run_id

-- lock_step --
-- A step with its run, its current attempt, and how many steps of the run have not ended: one statement, because each
-- one that the writer runs may have to wait for the interpreter. A dialect with row locks needs two: first the run is
-- locked, then the others are counted; otherwise, of two workers that end the last two steps, neither is the last.
SELECT steps.step_id, steps.run_id, agent_id, executor, profile, prompt, weight, priority, steps.status,
       steps.created_at, attempt, recoveries, lease_id, lease_owner, lease_holder, next_run_at, steps.task_id,
       steps.error, steps.result,
       runs.run_id, runs.status, task_type, runs.error, runs.created_at, updated_at, started_at, finished_at, revision,
       attempts.step_id, n, attempts.task_id, execution_id, verify_execution_id, phase, execute_body, verify_body,
       candidate, attempts.error, new_work, turned_down,
       (SELECT coalesce(sum(step_counts.n), 0) FROM step_counts WHERE step_counts.run_id = steps.run_id
        AND step_counts.status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED'))
FROM steps JOIN runs ON runs.run_id = steps.run_id
LEFT JOIN attempts ON attempts.step_id = steps.step_id AND attempts.n = steps.attempt
WHERE steps.step_id = :step_id

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
-- Who holds steps: asked one by one whether they live.
SELECT DISTINCT lease_holder FROM steps INDEXED BY steps_held
WHERE ready = 0 AND status IN ('LEASED', 'REMOTE_DISPATCHED')

-- find_left --
-- Steps whose holder is dead, or has handed them back.
SELECT step_id, executor FROM steps INDEXED BY steps_held
WHERE ready = 0 AND status IN ('LEASED', 'REMOTE_DISPATCHED') AND lease_holder = :holder LIMIT :limit

-- find_lost --
-- Of the leases that a worker holds, those to let go: the step is held under another one, or its run is being cancelled.
SELECT mine.key FROM json_each(:leases) AS mine WHERE NOT EXISTS (
    SELECT 1 FROM steps JOIN runs ON runs.run_id = steps.run_id
    WHERE steps.step_id = mine.key AND lease_id = mine.value AND steps.status = 'LEASED' AND runs.status <> 'CANCELLING'
)
