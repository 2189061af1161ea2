-- newest_runs --
-- Runs, the newest first.
SELECT run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, revision
FROM runs ORDER BY created_at DESC, run_id LIMIT :limit

-- newest_run_events --
-- Events of one run, the newest first.
SELECT run_id, event_type, payload, created_at, event_id FROM run_events
WHERE run_id = :run_id AND event_id > :after_id ORDER BY event_id DESC LIMIT :limit

-- oldest_run_events --
-- Events of one run, the oldest first: to follow it.
SELECT run_id, event_type, payload, created_at, event_id FROM run_events
WHERE run_id = :run_id AND event_id > :after_id ORDER BY event_id LIMIT :limit

-- failed_steps --
-- Steps that ended without success, the newest first.
SELECT step_id, run_id, agent_id, executor, profile, prompt, weight, priority, status, created_at, attempt, recoveries,
       lease_id, lease_owner, lease_until, next_run_at, task_id, error, result
FROM steps INDEXED BY steps_failed WHERE status = 'FAILED' ORDER BY created_at DESC, step_id LIMIT :limit

-- succeeded_steps --
-- Steps that ended with a result, in pages.
SELECT step_id, run_id, agent_id, executor, profile, prompt, weight, priority, status, created_at, attempt, recoveries,
       lease_id, lease_owner, lease_until, next_run_at, task_id, error, result
FROM steps WHERE step_id > :after AND status = 'SUCCEEDED' ORDER BY step_id LIMIT :limit

-- list_executors --
-- The registry by name.
SELECT name, base_url, remote, target_node_id, scope_hint, agent_event_callback_base_url, commit_plane_endpoint,
       commit_plane_token_file
FROM executors ORDER BY name

-- load_executor --
-- One entry of the registry.
SELECT name, base_url, remote, target_node_id, scope_hint, agent_event_callback_base_url, commit_plane_endpoint,
       commit_plane_token_file
FROM executors WHERE name = :name

-- put_executor --
-- The same name replaces.
INSERT OR REPLACE INTO executors (name, base_url, remote, target_node_id, scope_hint, agent_event_callback_base_url,
                                  commit_plane_endpoint, commit_plane_token_file)
VALUES (:name, :base_url, :remote, :target_node_id, :scope_hint, :agent_event_callback_base_url,
        :commit_plane_endpoint, :commit_plane_token_file)

-- remove_executor --
-- Forget an entry.
DELETE FROM executors WHERE name = :name

-- log_head --
-- The number of the last event that was ever appended: SQLite remembers it, whatever became of the event.
SELECT max((SELECT coalesce(max(seq), 0) FROM events),
           (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'))

-- log_page --
-- Signed events in order.
SELECT seq, body FROM events WHERE seq > :after ORDER BY seq LIMIT :limit

-- step_among --
-- The first of these ids that is a step's.
SELECT step_id FROM steps WHERE step_id IN (SELECT value FROM json_each(:step_ids)) LIMIT 1
