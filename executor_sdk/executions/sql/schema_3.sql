-- A verifier is chosen by the task type of the work that proposed the candidate; of older work nobody knows it.

ALTER TABLE works ADD COLUMN task_type TEXT;
