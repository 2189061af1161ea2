-- load_task_events --
-- The signed events of one task, oldest first.
SELECT body FROM events WHERE task_id = :task_id ORDER BY seq

-- append_event --
-- A signed fact.
INSERT INTO events (event_id, task_id, kind, body) VALUES (:event_id, :task_id, :kind, :body)

-- log_page --
-- Signed events in order.
SELECT seq, body FROM events WHERE seq > :after ORDER BY seq LIMIT :limit
