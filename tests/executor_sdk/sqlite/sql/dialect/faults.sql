-- fill_disk --
-- From now on the file cannot grow.
PRAGMA max_page_count = 1

-- promise_word --
-- A row that only a later row makes right: without it, the commit fails.
INSERT INTO promises (word) VALUES (:word)
