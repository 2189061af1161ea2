-- The second release knows promises.
CREATE TABLE promises (word TEXT REFERENCES words (word) DEFERRABLE INITIALLY DEFERRED) STRICT;
