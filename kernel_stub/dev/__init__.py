"""The kernel of `executor dev`: it tries an executor in runs, and says in words what happened and why."""
