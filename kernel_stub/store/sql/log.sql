-- load_task_events --
-- The signed events of one task, oldest first.
SELECT body FROM events WHERE task_id = :task_id ORDER BY seq

-- append_event --
-- A signed fact under the number that the head gives it, so that there is never a gap.
INSERT INTO events (seq, event_id, task_id, kind, body) VALUES (:number, :event_id, :task_id, :kind, :body)

-- append_run_event --
-- A fact about a run, signed in a form of our own for its place in the chain.
INSERT INTO run_events (event_id, run_id, event_type, payload, created_at, subject, signature)
VALUES (:number, :run_id, :event_type, :payload, :created_at, :subject, :signature_hex)

-- append_link --
-- The next entry of the chain.
INSERT INTO chain (entry, event, run_event, link) VALUES (:entry, :event, :run_event, :link)

-- put_head --
-- There is one head, renewed by each commit that appends.
INSERT INTO log_head (one, events, run_events, entries, adopted, chain, node_id, signature_hex)
VALUES (1, :events, :run_events, :entries, :adopted, :chain, :node_id, :signature_hex)
ON CONFLICT (one) DO UPDATE SET events = excluded.events, run_events = excluded.run_events,
    entries = excluded.entries, adopted = excluded.adopted, chain = excluded.chain, node_id = excluded.node_id,
    signature_hex = excluded.signature_hex

-- load_head --
-- The head as it was last committed.
SELECT events, run_events, entries, adopted, chain, node_id, signature_hex FROM log_head WHERE one = 1

-- find_stray_event --
-- An event that stands in no place of the chain.
SELECT min(seq) FROM (SELECT seq FROM events EXCEPT SELECT event FROM chain)

-- find_stray_run_event --
-- A run event that stands in no place of the chain.
SELECT min(event_id) FROM (SELECT event_id FROM run_events EXCEPT SELECT run_event FROM chain)

-- find_stray_entry --
-- An entry that the head does not speak of.
SELECT min(entry) FROM chain WHERE entry > (SELECT entries FROM log_head WHERE one = 1)

-- count_log --
-- How many events, run events and entries there are.
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM run_events), (SELECT count(*) FROM chain)

-- entries_page --
-- Entries in order, each with its event, as far as that is there.
SELECT chain.entry, chain.event, chain.run_event, chain.link, events.seq, events.body, events.event_id, events.task_id,
       events.kind, run_events.event_id, run_events.run_id, event_type, payload, created_at, subject, signature
FROM chain LEFT JOIN events ON events.seq = chain.event LEFT JOIN run_events ON run_events.event_id = chain.run_event
WHERE chain.entry > :after ORDER BY chain.entry LIMIT :limit

-- events_page --
-- Signed events in order: to chain those of an older release.
SELECT seq, body FROM events WHERE seq > :after ORDER BY seq LIMIT :limit

-- first_event --
-- Who signed a log that has no head yet.
SELECT body FROM events ORDER BY seq LIMIT 1

-- run_events_page --
-- Run events in order, with what the first of each run is about: to chain those of an older release.
SELECT event_id, run_events.run_id, event_type, payload, run_events.created_at,
       CASE event_type WHEN 'RUN_CREATED' THEN spec END
FROM run_events LEFT JOIN run_bodies ON run_bodies.run_id = run_events.run_id
WHERE event_id > :after ORDER BY event_id LIMIT :limit

-- sign_run_event --
-- A run event of an older release gets its signature.
UPDATE run_events SET subject = :subject, signature = :signature_hex WHERE event_id = :number

-- run_ids --
-- The runs, in pages.
SELECT run_id FROM runs WHERE run_id > :after ORDER BY run_id LIMIT :limit

-- run_history --
-- All events of a run with the digests that were signed beside them.
SELECT run_id, event_type, payload, created_at, event_id, subject FROM run_events
WHERE run_id = :run_id ORDER BY event_id
