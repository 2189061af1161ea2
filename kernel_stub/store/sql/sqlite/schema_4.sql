-- All entries of the log, task events and run events, in one chained sequence under a signed head.

CREATE TABLE chain (
    entry     INTEGER PRIMARY KEY,
    event     INTEGER,          -- events.seq, or
    run_event INTEGER,          -- run_events.event_id
    link      BLOB NOT NULL,    -- the hash of the link before and of this entry
    CHECK ((event IS NULL) <> (run_event IS NULL))
) STRICT;

CREATE TRIGGER links_are_never_changed BEFORE UPDATE ON chain BEGIN
    SELECT raise(ABORT, 'a link is never changed: the chain behind it would not hold');
END;

CREATE TRIGGER links_are_never_removed BEFORE DELETE ON chain BEGIN
    SELECT raise(ABORT, 'a link is never removed: the chain behind it would not hold');
END;

CREATE TABLE log_head (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    events        INTEGER NOT NULL,
    run_events    INTEGER NOT NULL,
    entries       INTEGER NOT NULL,
    adopted       INTEGER NOT NULL,     -- entries of an older release, chained as they stood
    chain         TEXT NOT NULL,        -- the last link
    node_id       TEXT NOT NULL,
    signature_hex TEXT NOT NULL
) STRICT;

-- The digest of what a run event is about, and its signature; a run event of an older release gets both when the
-- node first opens the log.
ALTER TABLE run_events ADD COLUMN subject TEXT;
ALTER TABLE run_events ADD COLUMN signature TEXT NOT NULL DEFAULT '';

CREATE TRIGGER run_events_are_never_changed BEFORE UPDATE ON run_events WHEN old.signature <> '' BEGIN
    SELECT raise(ABORT, 'a run event is never changed: it is signed');
END;

CREATE TRIGGER run_events_are_never_removed BEFORE DELETE ON run_events BEGIN
    SELECT raise(ABORT, 'a run event is never removed: it is signed');
END;
