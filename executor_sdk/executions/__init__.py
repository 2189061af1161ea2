"""What runs and what has run: work that belongs to a step, the asks that want it, the ledger that remembers both."""
