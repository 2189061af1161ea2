-- add_word --
-- A word, and how often it was said.
INSERT INTO words (word, times) VALUES (:word, :times)

-- list_words --
-- All words, the oldest first.
SELECT word FROM words ORDER BY rowid

-- say --
-- One more time; the new number.
UPDATE words SET times = times + 1 WHERE word = :word RETURNING times

-- how_often --
-- What stands there for a word.
SELECT times FROM words WHERE word = :word

-- set_times --
-- Another number for a word.
UPDATE words SET times = :times WHERE word = :word
