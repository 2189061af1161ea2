-- log_head --
-- The number of the last event that was ever appended: SQLite remembers it, whatever became of the event.
SELECT max((SELECT coalesce(max(seq), 0) FROM events),
           (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'))
