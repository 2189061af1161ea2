-- The signed event log, append-only by the schema itself.

CREATE TABLE events (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    task_id  TEXT,
    kind     TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;

CREATE INDEX events_of_a_task ON events (task_id, seq);

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events BEGIN
    SELECT raise(ABORT, 'an event is never changed; append one that corrects it');
END;

CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events BEGIN
    SELECT raise(ABORT, 'an event is never removed; append one that revokes it');
END;
