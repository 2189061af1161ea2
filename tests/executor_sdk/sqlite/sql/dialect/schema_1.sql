-- The first release: a table, and a trigger with a semicolon inside.
CREATE TABLE words (word TEXT NOT NULL UNIQUE, times REAL NOT NULL) STRICT;

CREATE TRIGGER words_are_never_removed BEFORE DELETE ON words BEGIN
    SELECT raise(ABORT, 'a word is never removed');
END;
