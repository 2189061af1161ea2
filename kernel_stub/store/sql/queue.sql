-- load_run --
-- One run without its bodies.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs WHERE run_id = :run_id

-- load_bodies --
-- The large parts of one run.
SELECT spec, shared_inputs, result FROM run_bodies WHERE run_id = :run_id

-- load_steps --
-- The steps of a run in the order in which aggregation reads them.
SELECT step_id, run_id, agent_id, executor, profile, prompt, weight, priority, status, created_at, attempt, recoveries,
       lease_id, lease_owner, lease_until, next_run_at, task_id, error, result
FROM steps WHERE run_id = :run_id ORDER BY priority DESC, step_id

-- load_state --
-- A step with its run, its current attempt, and how many steps of the run have not ended: one statement, because
-- each one that the writer runs may have to wait for the interpreter.
SELECT steps.step_id, steps.run_id, agent_id, executor, profile, prompt, weight, priority, steps.status,
       steps.created_at, attempt, recoveries, lease_id, lease_owner, lease_until, next_run_at, steps.task_id,
       steps.error, steps.result,
       runs.run_id, runs.status, task_type, runs.error, runs.created_at, updated_at, started_at, finished_at, revision,
       attempts.step_id, n, attempts.task_id, execution_id, verify_execution_id, phase, execute_body, verify_body,
       candidate, attempts.error,
       (SELECT coalesce(sum(step_counts.n), 0) FROM step_counts WHERE step_counts.run_id = steps.run_id
        AND step_counts.status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED'))
FROM steps JOIN runs ON runs.run_id = steps.run_id
LEFT JOIN attempts ON attempts.step_id = steps.step_id AND attempts.n = steps.attempt
WHERE steps.step_id = :step_id

-- load_reexplores --
-- The rounds a run has gone, oldest first: the next round reads its state from them.
SELECT run_id, event_type, payload, created_at, event_id FROM run_events
WHERE run_id = :run_id AND event_type IN ('RUN_TIE_REEXPLORE_TRIGGERED', 'RUN_NULL_REEXPLORE_TRIGGERED')
ORDER BY event_id

-- load_task_events --
-- The signed events of one task, oldest first.
SELECT body FROM events WHERE task_id = :task_id ORDER BY seq

-- count_steps --
-- How many steps of a run are in each state.
SELECT status, n FROM step_counts WHERE run_id = :run_id

-- make_due --
-- What waits and has become due may be claimed.
UPDATE steps SET ready = 1
WHERE ready = 0 AND status IN ('QUEUED', 'RETRY_WAIT') AND next_run_at <= :now_ms

-- find_due --
-- The next steps to claim.
SELECT step_id FROM steps INDEXED BY steps_to_claim
WHERE ready = 1 ORDER BY priority DESC, next_run_at, created_at, step_id LIMIT :limit

-- find_expired --
-- Steps whose holder has not renewed in time: it died, or lost its disk or network.
SELECT step_id FROM steps INDEXED BY steps_leased
WHERE status IN ('LEASED', 'REMOTE_DISPATCHED') AND lease_until <= :now_ms ORDER BY lease_until LIMIT :limit

-- renew --
-- Only the holder of the current lease may hold on, and only while its run is not being cancelled.
UPDATE steps SET lease_until = :until_ms
WHERE step_id = :step_id AND lease_id = :lease_id AND status = 'LEASED'
  AND (SELECT status FROM runs WHERE runs.run_id = steps.run_id) <> 'CANCELLING'

-- release --
-- A worker that stops hands its steps back at once.
UPDATE steps SET lease_until = 0 WHERE step_id = :step_id AND lease_id = :lease_id AND status = 'LEASED'

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

-- insert_step --
-- A new step.
INSERT INTO steps (step_id, run_id, agent_id, executor, profile, prompt, weight, priority, status, created_at, attempt,
                   recoveries, lease_id, lease_owner, lease_until, next_run_at, task_id, error, result, ready)
VALUES (:step_id, :run_id, :agent_id, :executor, :profile, :prompt, :weight, :priority, :status, :created_at, :attempt,
        :recoveries, :lease_id, :lease_owner, :lease_until, :next_run_at, :task_id, :error, :result, :ready)

-- update_step --
-- A step has moved; what it was made of stays.
UPDATE steps SET status = :status, attempt = :attempt, recoveries = :recoveries, lease_id = :lease_id,
                 lease_owner = :lease_owner, lease_until = :lease_until, next_run_at = :next_run_at,
                 task_id = :task_id, error = :error, result = :result, ready = :ready
WHERE step_id = :step_id

-- put_attempt --
-- An attempt is made, or has come further.
INSERT INTO attempts (step_id, n, task_id, execution_id, verify_execution_id, phase, execute_body, verify_body,
                      candidate, error)
VALUES (:step_id, :n, :task_id, :execution_id, :verify_execution_id, :phase, :execute_body, :verify_body, :candidate,
        :error)
ON CONFLICT (step_id, n) DO UPDATE SET phase = excluded.phase, execute_body = excluded.execute_body,
    verify_body = excluded.verify_body, candidate = excluded.candidate, error = excluded.error

-- append_run_event --
-- A local, unsigned fact about a run.
INSERT INTO run_events (run_id, event_type, payload, created_at) VALUES (:run_id, :event_type, :payload, :created_at)

-- append_events --
-- Signed facts; the store repeats the row for as many as there are.
INSERT INTO events (event_id, task_id, kind, body) VALUES (?, ?, ?, ?)
