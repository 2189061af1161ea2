-- load_steps --
-- The steps of a run in the order in which aggregation reads them.
SELECT step_id, run_id, agent_id, executor, profile, prompt, weight, priority, status, created_at, attempt, recoveries,
       lease_id, lease_owner, lease_holder, next_run_at, task_id, error, result
FROM steps WHERE run_id = :run_id ORDER BY priority DESC, step_id

-- count_steps --
-- How many steps of a run are in each state.
SELECT status, n FROM step_counts WHERE run_id = :run_id

-- insert_step --
-- A new step; none, if the tasks of another step have the ids that its tasks would have.
INSERT INTO steps (step_id, run_id, agent_id, executor, profile, prompt, weight, priority, status, created_at, attempt,
                   recoveries, lease_id, lease_owner, lease_holder, next_run_at, task_id, error, result, ready,
                   task_stem)
VALUES (:step_id, :run_id, :agent_id, :executor, :profile, :prompt, :weight, :priority, :status, :created_at, :attempt,
        :recoveries, :lease_id, :lease_owner, :lease_holder, :next_run_at, :task_id, :error, :result, :ready,
        :task_stem)
ON CONFLICT (task_stem) DO NOTHING RETURNING step_id

-- find_namesake --
-- The step whose tasks have ids of this stem.
SELECT step_id FROM steps WHERE task_stem = :task_stem

-- update_step --
-- A step has moved; what it was made of stays.
UPDATE steps SET status = :status, attempt = :attempt, recoveries = :recoveries, lease_id = :lease_id,
                 lease_owner = :lease_owner, lease_holder = :lease_holder, next_run_at = :next_run_at,
                 task_id = :task_id, error = :error, result = :result, ready = :ready
WHERE step_id = :step_id

-- put_attempt --
-- An attempt is made, or has come further.
INSERT INTO attempts (step_id, n, task_id, execution_id, verify_execution_id, phase, execute_body, verify_body,
                      candidate, error, new_work, turned_down)
VALUES (:step_id, :n, :task_id, :execution_id, :verify_execution_id, :phase, :execute_body, :verify_body, :candidate,
        :error, :new_work, :turned_down)
ON CONFLICT (step_id, n) DO UPDATE SET phase = excluded.phase, execute_body = excluded.execute_body,
    verify_body = excluded.verify_body, candidate = excluded.candidate, error = excluded.error,
    turned_down = excluded.turned_down

-- make_due --
-- What waits and has become due may be claimed.
UPDATE steps SET ready = 1
WHERE ready = 0 AND status IN ('QUEUED', 'RETRY_WAIT') AND next_run_at <= :now_ms

-- release --
-- A worker that stops hands its steps back at once: what nobody holds is resumed by the next claim.
UPDATE steps SET lease_holder = '' WHERE step_id = :step_id AND lease_id = :lease_id AND status = 'LEASED'
