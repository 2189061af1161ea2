-- lock_head --
-- The head, before anything is numbered. Nobody else writes between BEGIN IMMEDIATE and the commit: no row is locked.
SELECT events, run_events, entries, adopted, chain, node_id, signature_hex FROM log_head WHERE one = 1
