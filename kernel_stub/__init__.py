"""A minimal but honest coordination kernel: registry, runs, queue, aggregation and a signed event log."""
