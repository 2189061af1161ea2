-- load_ask --
-- One ask by its key.
SELECT body_digest, work_id, adopted, withdrawn FROM asks WHERE caller = :caller AND kind = :kind AND name = :name

-- load_work --
-- One work; this is the order of columns in which all works are read.
SELECT work_id, step_key, attempt, state, owner, opened_ms, started_ms, ended_ms, status, body, headers, cancel_reason,
       progress, note, sent, turned_down, busy, task_type
FROM works WHERE work_id = :work_id

-- load_work_of_ask --
-- The work that an ask belongs to.
SELECT works.work_id, step_key, attempt, state, owner, opened_ms, started_ms, ended_ms, status, body, headers,
       cancel_reason, progress, note, sent, turned_down, busy, task_type
FROM works JOIN asks ON asks.work_id = works.work_id WHERE caller = :caller AND kind = :kind AND name = :name

-- load_latest_of_step --
-- Only the latest work of a step is adopted, and only its threads are waited for.
SELECT work_id, step_key, attempt, state, owner, opened_ms, started_ms, ended_ms, status, body, headers, cancel_reason,
       progress, note, sent, turned_down, busy, task_type
FROM works WHERE step_key = :step_key ORDER BY seq DESC LIMIT 1

-- load_page --
-- Works in the order of their opening.
SELECT work_id, step_key, attempt, state, owner, opened_ms, started_ms, ended_ms, status, body, headers, cancel_reason,
       progress, note, sent, turned_down, busy, task_type
FROM works WHERE seq > coalesce((SELECT seq FROM works WHERE work_id = :after), 0) ORDER BY seq LIMIT :limit

-- load_cancelled --
-- Work of one process that somebody has cancelled.
SELECT work_id, step_key, attempt, state, owner, opened_ms, started_ms, ended_ms, status, body, headers, cancel_reason,
       progress, note, sent, turned_down, busy, task_type
FROM works WHERE owner = :owner AND ended_ms IS NULL AND cancel_reason IS NOT NULL

-- insert_work --
-- New work.
INSERT INTO works (work_id, step_key, attempt, state, owner, wanted_until_ms, opened_ms, started_ms, task_type)
VALUES (:work_id, :step_key, :attempt, :state, :owner, 0, :opened_ms, :started_ms, :task_type)

-- count_asks --
-- How many asks a work has.
SELECT count(*) FROM asks WHERE work_id = :work_id

-- put_ask --
-- An ask belongs to a work; one that opens again belongs to the new work from now on.
INSERT OR REPLACE INTO asks (caller, kind, name, body_digest, work_id, adopted)
VALUES (:caller, :kind, :name, :body_digest, :work_id, :adopted)

-- start_work --
-- Only its owner starts queued work, once, and only while somebody wants it.
UPDATE works SET state = 'RUNNING', started_ms = :now_ms
WHERE work_id = :work_id AND owner = :owner AND state = 'QUEUED' AND cancel_reason IS NULL RETURNING work_id

-- end_work --
-- The first end of the owner wins; what others took for lost, because they thought its owner dead, has not ended.
UPDATE works SET state = :state, ended_ms = :now_ms, cancel_reason = coalesce(cancel_reason, :reason), status = :status,
    body = :body, headers = :headers, busy = :busy, size_bytes = :size_bytes
WHERE work_id = :work_id AND owner = :owner AND (ended_ms IS NULL OR (state = 'LOST' AND cancel_reason IS NULL))

-- rest_work --
-- No thread of it runs any more.
UPDATE works SET busy = 0 WHERE work_id = :work_id

-- answer_ask --
-- Its answer went out whole.
UPDATE works SET sent = 1 WHERE work_id = (
    SELECT work_id FROM asks WHERE caller = :caller AND kind = :kind AND name = :name)

-- turn_down --
-- Its candidate was not passed; what runs has none yet.
UPDATE works SET turned_down = 1 WHERE ended_ms IS NOT NULL AND work_id = (
    SELECT work_id FROM asks WHERE caller = :caller AND kind = :kind AND name = :name)

-- withdraw_ask --
-- One ask no longer wants its work.
UPDATE asks SET withdrawn = coalesce(withdrawn, :reason) WHERE caller = :caller AND kind = :kind AND name = :name

-- cancel_unwanted --
-- Work stops when no ask is left that wants it.
UPDATE works SET cancel_reason = coalesce(cancel_reason, :reason)
WHERE work_id = :work_id AND NOT EXISTS (SELECT 1 FROM asks WHERE work_id = works.work_id AND withdrawn IS NULL)

-- add_wait --
-- Somebody in this process waits for work of another one.
INSERT OR IGNORE INTO waits (work_id, owner) VALUES (:work_id, :owner)

-- count_wait --
-- The owner sees that somebody came, even who has gone again.
UPDATE works SET asked_elsewhere = asked_elsewhere + 1 WHERE work_id = :work_id

-- remove_wait --
-- Nobody in this process waits for it any more.
DELETE FROM waits WHERE work_id = :work_id AND owner = :owner

-- load_waits --
-- Which processes wait for a work.
SELECT owner FROM waits WHERE work_id = :work_id

-- load_asked_elsewhere --
-- How often another process has begun to wait for a work.
SELECT asked_elsewhere FROM works WHERE work_id = :work_id

-- report_progress --
-- How far work is.
UPDATE works SET progress = :progress, note = :note
WHERE work_id = :work_id AND owner = :owner AND ended_ms IS NULL AND (progress <> :progress OR note <> :note)

-- unfinished_owners --
-- Processes that have work which has not ended, or whose threads still run.
SELECT DISTINCT owner FROM works WHERE ended_ms IS NULL UNION SELECT DISTINCT owner FROM works WHERE busy = 1

-- bury_works --
-- What a process that died has left behind is lost.
UPDATE works SET state = 'LOST', ended_ms = :now_ms, size_bytes = :size_bytes
WHERE owner = :owner AND ended_ms IS NULL RETURNING work_id

-- bury_threads --
-- A process that died has no threads.
UPDATE works SET busy = 0 WHERE owner = :owner AND busy = 1

-- bury_waits --
-- And it waits for nothing.
DELETE FROM waits WHERE owner = :owner

-- forgettable --
-- Ended work beyond a bound, the newest kept; nothing before its time, and nothing whose threads still run.
SELECT work_id FROM (
    SELECT work_id, ended_ms, sent, busy, row_number() OVER newest AS place, sum(size_bytes) OVER newest AS bytes
    FROM works WHERE ended_ms IS NOT NULL WINDOW newest AS (ORDER BY ended_ms DESC, seq DESC)
) WHERE (place > :count OR bytes > :total_bytes OR ended_ms < :oldest_ms) AND busy = 0
    AND ended_ms <= CASE WHEN sent THEN :heard_before_ms ELSE :unheard_before_ms END

-- forget_asks --
-- The asks of a work that is forgotten.
DELETE FROM asks WHERE work_id = :work_id

-- forget_waits --
-- Those who waited for it and were killed before they could leave.
DELETE FROM waits WHERE work_id = :work_id

-- forget_work --
-- Forget a work.
DELETE FROM works WHERE work_id = :work_id

-- kept_bytes --
-- What all ended work takes.
SELECT coalesce(sum(size_bytes), 0) FROM works WHERE ended_ms IS NOT NULL
